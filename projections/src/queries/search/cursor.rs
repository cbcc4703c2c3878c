//! Where a search goes on.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use parley_domain::{ConversationId, Timestamp};

use super::super::InvalidCursor;

/// More shards than any deployment has.
const MAX_SHARDS: usize = 4_096;

/// A place in a search, opaque to clients: what was there when it began, and what is looked at next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchCursor {
    /// By shard: the search is about the messages up to these positions. Whatever comes later moves
    /// its conversation to the front of the others, but not of these.
    pub(super) as_of: Vec<u64>,
    pub(super) place: Place,
}

/// A message of a conversation, and of when that conversation's newest is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub active_at: Timestamp,
    pub conversation_id: ConversationId,
    pub conversation_seq: u64,
}

impl SearchCursor {
    /// Reads what [`fmt::Display`] wrote.
    ///
    /// # Errors
    /// [`InvalidCursor`].
    pub fn parse(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let plain = String::from_utf8(bytes).map_err(|_| InvalidCursor)?;
        let mut parts = plain.split(' ');
        let mut part = || parts.next().ok_or(InvalidCursor);
        let millis = part()?.parse().map_err(|_| InvalidCursor)?;
        let conversation_id = ConversationId::parse(part()?).map_err(|_| InvalidCursor)?;
        let conversation_seq = part()?.parse().map_err(|_| InvalidCursor)?;
        let as_of: Result<Vec<u64>, _> = parts.map(str::parse).collect();
        let as_of = as_of.ok().filter(|as_of| as_of.len() <= MAX_SHARDS).ok_or(InvalidCursor)?;
        let active_at = Timestamp::from_unix_millis(millis);
        Ok(Self { as_of, place: Place { active_at, conversation_id, conversation_seq } })
    }
}

impl fmt::Display for SearchCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { active_at, conversation_id, conversation_seq } = &self.place;
        let mut plain = format!("{} {conversation_id} {conversation_seq}", active_at.unix_millis());
        for position in &self.as_of {
            plain.push(' ');
            plain.push_str(&position.to_string());
        }
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        for as_of in [vec![], vec![0], vec![1, u64::MAX, 3, 4]] {
            let place = Place {
                active_at: Timestamp::from_unix_millis(1_795_254_300_123),
                conversation_id: ConversationId::parse("d.alice.bob").unwrap(),
                conversation_seq: 7,
            };
            let cursor = SearchCursor { as_of, place };
            assert_eq!(SearchCursor::parse(&cursor.to_string()), Ok(cursor));
        }
        let plain = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        for text in ["", "x", "====", "ä", &plain("1"), &plain("1 d.a.b"), &plain("x d.a.b 1 1")] {
            assert_eq!(SearchCursor::parse(text), Err(InvalidCursor), "{text}");
        }
        for text in ["1 d.b.a 1", "1 d.a.b -1", "1 d.a.b 1 x", "1 d.a.b 1  2", "p 1 d.a.b"] {
            assert_eq!(SearchCursor::parse(&plain(text)), Err(InvalidCursor), "{text}");
        }
    }
}
