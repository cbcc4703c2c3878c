//! The ids of the wire contract: parsed once at the edge, valid ever after.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

/// The longest user, device or client message id, in bytes.
pub const MAX_ID_BYTES: usize = 64;

/// An id that the contract does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    #[error("a {what} is 1 to {MAX_ID_BYTES} characters of A-Z, a-z, 0-9, _ and -")]
    Name { what: &'static str },
    #[error("a clientMessageId is 1 to {MAX_ID_BYTES} printable ASCII characters")]
    ClientMessage,
    #[error("a conversation id is d.<lo>.<hi>, g.<uuid> or c.<uuid>")]
    Conversation,
    #[error("a direct conversation needs two different people")]
    WithOneself,
    #[error("the people of a direct conversation id are in byte order: d.<lo>.<hi>")]
    Order,
    #[error("an account id is a.<userId>")]
    Account,
    #[error("a new group or channel is named by a UUIDv7 of its kind: g.<uuid> or c.<uuid>")]
    New,
}

pub(crate) fn is_name(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn is_client_message_id(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $valid:expr, $error:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "SmolStr", into = "SmolStr")]
        pub struct $name(SmolStr);

        impl $name {
            /// Checks the form; errors with [`InvalidId`].
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                if $valid(text) { Ok(Self(SmolStr::new(text))) } else { Err($error) }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<SmolStr> for $name {
            type Error = InvalidId;
            fn try_from(text: SmolStr) -> Result<Self, InvalidId> {
                if $valid(&text) { Ok(Self(text)) } else { Err($error) }
            }
        }

        impl From<$name> for SmolStr {
            fn from(id: $name) -> SmolStr {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id!(
    /// The marketplace's own id of a person.
    UserId, is_name, InvalidId::Name { what: "userId" }
);
text_id!(
    /// The marketplace's own id of a browser or computer.
    DeviceId, is_name, InvalidId::Name { what: "deviceId" }
);
text_id!(
    /// The client's name for a message: the same one from the same sender in the same
    /// conversation is the same message.
    ClientMessageId, is_client_message_id, InvalidId::ClientMessage
);

/// What sort of conversation an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Direct,
    Group,
    Channel,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Group => "group",
            Self::Channel => "channel",
        }
    }
}

/// A conversation: `d.<lo>.<hi>`, `g.<uuid>` or `c.<uuid>`.
///
/// A direct conversation's id *is* its two members, so it needs no creation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct ConversationId(SmolStr);

impl ConversationId {
    /// The direct conversation of two people, in either order.
    pub fn direct(one: &UserId, other: &UserId) -> Result<Self, InvalidId> {
        let (lo, hi) = match one.cmp(other) {
            std::cmp::Ordering::Less => (one, other),
            std::cmp::Ordering::Greater => (other, one),
            std::cmp::Ordering::Equal => return Err(InvalidId::WithOneself),
        };
        Ok(Self(smol_str::format_smolstr!("d.{lo}.{hi}")))
    }

    /// Checks the form; errors with [`InvalidId`].
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        check_conversation(text)?;
        Ok(Self(SmolStr::new(text)))
    }

    /// A group or channel that is to be created.
    ///
    /// # Errors
    /// [`InvalidId::New`] if `uuid` is not a version 7, or of a direct conversation, whose id is its
    /// members.
    pub fn new(kind: Kind, uuid: Uuid) -> Result<Self, InvalidId> {
        let prefix = match kind {
            Kind::Group => 'g',
            Kind::Channel => 'c',
            Kind::Direct => return Err(InvalidId::New),
        };
        if uuid.get_version_num() != 7 {
            return Err(InvalidId::New);
        }
        Ok(Self(smol_str::format_smolstr!("{prefix}.{}", uuid.hyphenated())))
    }

    /// The UUID of a group's or channel's id.
    pub fn uuid(&self) -> Option<Uuid> {
        let (_, rest) = self.0.split_once('.')?;
        Uuid::try_parse(rest).ok()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn kind(&self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'g') => Kind::Group,
            Some(b'c') => Kind::Channel,
            // The only other form that `parse` lets through.
            _ => Kind::Direct,
        }
    }

    /// The two people of a direct conversation, in byte order; `None` for a group or channel.
    pub fn direct_members(&self) -> Option<[UserId; 2]> {
        let (lo, hi) = self.direct_names()?;
        Some([UserId(SmolStr::new(lo)), UserId(SmolStr::new(hi))])
    }

    /// As [`Self::direct_members`], borrowed.
    pub fn direct_names(&self) -> Option<(&str, &str)> {
        self.0.strip_prefix("d.")?.split_once('.')
    }

    /// Whether this person is one of the two of a direct conversation.
    pub fn is_direct_member(&self, user: &UserId) -> bool {
        self.direct_names().is_some_and(|(lo, hi)| lo == user.as_str() || hi == user.as_str())
    }
}

fn check_conversation(text: &str) -> Result<(), InvalidId> {
    let (prefix, rest) = text.split_once('.').ok_or(InvalidId::Conversation)?;
    match prefix {
        "d" => {
            let (lo, hi) = rest.split_once('.').ok_or(InvalidId::Conversation)?;
            if !is_name(lo) || !is_name(hi) {
                return Err(InvalidId::Conversation);
            }
            match lo.cmp(hi) {
                std::cmp::Ordering::Less => Ok(()),
                std::cmp::Ordering::Equal => Err(InvalidId::WithOneself),
                std::cmp::Ordering::Greater => Err(InvalidId::Order),
            }
        }
        "g" | "c" => {
            let uuid = Uuid::try_parse(rest).map_err(|_| InvalidId::Conversation)?;
            // One spelling an id: hyphenated, lower case.
            let canonical = uuid.hyphenated().to_string() == rest;
            if canonical { Ok(()) } else { Err(InvalidId::Conversation) }
        }
        _ => Err(InvalidId::Conversation),
    }
}

impl TryFrom<SmolStr> for ConversationId {
    type Error = InvalidId;
    fn try_from(text: SmolStr) -> Result<Self, InvalidId> {
        check_conversation(&text)?;
        Ok(Self(text))
    }
}

impl From<ConversationId> for SmolStr {
    fn from(id: ConversationId) -> SmolStr {
        id.0
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for ConversationId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> UserId {
        UserId::parse(text).unwrap()
    }

    #[test]
    fn a_direct_id_is_its_two_members_in_byte_order() {
        let id = ConversationId::direct(&user("bob"), &user("alice")).unwrap();
        assert_eq!(id.as_str(), "d.alice.bob");
        assert_eq!(id.direct_members(), Some([user("alice"), user("bob")]));
        assert!(id.is_direct_member(&user("bob")));
        assert!(!id.is_direct_member(&user("eve")));
        assert_eq!(ConversationId::parse("d.alice.bob"), Ok(id));
        // Byte order, not alphabetical order: upper case comes first.
        assert_eq!(ConversationId::direct(&user("a"), &user("Z")).unwrap().as_str(), "d.Z.a");
    }

    #[test]
    fn what_is_not_a_conversation_id_is_refused_by_name() {
        assert_eq!(ConversationId::parse("d.a.a"), Err(InvalidId::WithOneself));
        assert_eq!(ConversationId::parse("d.bob.alice"), Err(InvalidId::Order));
        for text in [
            "", "d", "d.", "d.a", "d.a.", "d.a.b.c", "x.a.b", "d.a.b*", "d.a.>", "d.ä.b", "g.1",
            "g.", "a.alice",
        ] {
            assert_eq!(ConversationId::parse(text), Err(InvalidId::Conversation), "{text}");
        }
        let uuid = "0193e5a0-7b1c-7def-8123-456789abcdef";
        assert_eq!(ConversationId::parse(&format!("g.{uuid}")).unwrap().kind(), Kind::Group);
        assert_eq!(ConversationId::parse(&format!("c.{uuid}")).unwrap().kind(), Kind::Channel);
        assert!(ConversationId::parse(&format!("g.{}", uuid.to_uppercase())).is_err());
        assert!(ConversationId::parse(&format!("g.{}", uuid.replace('-', ""))).is_err());
    }

    #[test]
    fn a_new_group_is_named_by_a_uuid_of_version_7() {
        let seven = Uuid::try_parse("0193e5a0-7b1c-7def-8123-456789abcdef").unwrap();
        let id = ConversationId::new(Kind::Group, seven).unwrap();
        assert_eq!((id.kind(), id.uuid()), (Kind::Group, Some(seven)));
        assert_eq!(ConversationId::parse(id.as_str()), Ok(id));
        assert_eq!(ConversationId::new(Kind::Direct, seven), Err(InvalidId::New));
        assert_eq!(ConversationId::new(Kind::Channel, Uuid::from_u128(1)), Err(InvalidId::New));
        assert_eq!(ConversationId::parse("d.a.b").unwrap().uuid(), None);
    }

    #[test]
    fn names_are_64_safe_characters_at_most() {
        assert!(UserId::parse(&"a".repeat(64)).is_ok());
        for text in ["", "a b", "a.b", "a*", "a>", "é", &"a".repeat(65)] {
            assert!(UserId::parse(text).is_err(), "{text}");
        }
        assert!(ClientMessageId::parse("c 1 / ~!").is_ok());
        for text in ["", "a\n", "é", "\u{7f}", &"c".repeat(65)] {
            assert!(ClientMessageId::parse(text).is_err(), "{text}");
        }
    }
}
