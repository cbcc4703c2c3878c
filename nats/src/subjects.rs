//! Every subject, stream, bucket and header name, formatted and parsed in one place.

use parley_domain::{ConversationId, LogId, Subject};

/// All events of the deployment.
pub const ALL_EVENTS: &str = "dm.evt.>";
/// What `dm.cmd.<verb>` subjects begin with.
pub const COMMAND_PREFIX: &str = "dm.cmd";
/// Queue group of the commands instances on `dm.cmd.<verb>`.
pub const COMMAND_QUEUE: &str = "parley-commands";
/// Key-value bucket with the deployment's record.
pub const DEPLOYMENT_BUCKET: &str = "PARLEY";
/// Its only key.
pub const DEPLOYMENT_KEY: &str = "deployment";
/// Key-value bucket with the leases, in memory, aged by the server.
pub const LEASE_BUCKET: &str = "PARLEY_LEASES";

/// Key-value bucket with who is connected where, in memory.
pub const PRESENCE_BUCKET: &str = "PARLEY_PRESENCE";

/// Headers of an event, a copy of what is in it, for consumers that do not parse bodies.
pub const TYPE_HEADER: &str = "Dm-Type";
pub const VERSION_HEADER: &str = "Dm-Version";
/// W3C Trace Context.
pub const TRACEPARENT_HEADER: &str = "traceparent";
/// Whose act a command on `dm.cmd.<verb>` is.
pub const ACTOR_HEADER: &str = "Dm-Actor";
/// The caller's device, optional.
pub const DEVICE_HEADER: &str = "Dm-Device";

/// The most shards that a deployment may have.
pub const MAX_SHARDS: u16 = 1_024;

/// The stream of a shard: `DM_3`.
pub fn stream_name(shard: u16) -> String {
    format!("DM_{shard}")
}

/// What the stream of a shard takes: `dm.evt.3.>`.
pub fn stream_subjects(shard: u16) -> String {
    format!("dm.evt.{shard}.>")
}

/// The subject of a conversation's or account's events: `dm.evt.3.d.alice.bob`, `dm.evt.2.a.alice`.
pub fn event_subject(shard: u16, id: &impl LogId) -> String {
    format!("dm.evt.{shard}.{id}")
}

/// The shard of an event's subject, and what it is about; `None` for anything else.
pub fn parse_event_subject(subject: &str) -> Option<(u16, Subject)> {
    let (shard, about) = subject.strip_prefix("dm.evt.")?.split_once('.')?;
    let parsed: u16 = shard.parse().ok()?;
    // One spelling a number: no `+3`, no `03`.
    if shard != format!("{parsed}") {
        return None;
    }
    Some((parsed, Subject::parse(about).ok()?))
}

/// Where the owner of a shard takes commands: `dm.shard.3`.
pub fn shard_subject(shard: u16) -> String {
    format!("dm.shard.{shard}")
}

/// Where backend services send a command: `dm.cmd.message.send`.
pub fn command_subject(verb: &str) -> String {
    format!("{COMMAND_PREFIX}.{verb}")
}

/// Who types where, from gateway to gateway; not kept anywhere.
pub const ALL_TYPING: &str = "dm.typing.>";

/// Where gateways say that somebody types: `dm.typing.d.alice.bob`.
pub fn typing_subject(conversation: &ConversationId) -> String {
    format!("dm.typing.{conversation}")
}

/// The conversation of a typing subject; `None` for anything else.
pub fn parse_typing_subject(subject: &str) -> Option<ConversationId> {
    ConversationId::parse(subject.strip_prefix("dm.typing.")?).ok()
}

/// What an entry of the bucket of presence is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceKey<'a> {
    /// The gateway's own sign of life.
    Gateway { gateway: &'a str },
    /// Somebody is connected to that gateway.
    User { gateway: &'a str, user: &'a str },
}

/// The subject of an entry: `$KV.PARLEY_PRESENCE.gateway.<gateway>` or
/// `$KV.PARLEY_PRESENCE.user.<gateway>.<user>`.
pub fn presence_subject(key: PresenceKey<'_>) -> String {
    match key {
        PresenceKey::Gateway { gateway } => format!("$KV.{PRESENCE_BUCKET}.gateway.{gateway}"),
        PresenceKey::User { gateway, user } => {
            format!("$KV.{PRESENCE_BUCKET}.user.{gateway}.{user}")
        }
    }
}

/// `None` for anything else.
pub fn parse_presence_subject(subject: &str) -> Option<PresenceKey<'_>> {
    let key = subject.strip_prefix("$KV.")?.strip_prefix(PRESENCE_BUCKET)?.strip_prefix('.')?;
    let (kind, rest) = key.split_once('.')?;
    match (kind, rest.split_once('.')) {
        ("gateway", None) => Some(PresenceKey::Gateway { gateway: rest }),
        ("user", Some((gateway, user))) => Some(PresenceKey::User { gateway, user }),
        _ => None,
    }
}

/// The lease on a shard's ownership.
pub fn shard_lease(shard: u16) -> String {
    format!("shard.{shard}")
}

/// The sign of life of a commands instance.
pub fn instance_lease(instance: &str) -> String {
    format!("commands.{instance}")
}

/// The shard of a conversation or account: what NATS's own `{{partition(S,…)}}` gives for all tokens of the
/// id (FNV-1a over the tokens without their dots, modulo S; nats-server `subject_transform.go`).
/// `shards` is at least 1.
pub fn shard_of(id: &impl LogId, shards: u16) -> u16 {
    let hash = id
        .as_str()
        .bytes()
        .filter(|byte| *byte != b'.')
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let shard = hash % u32::from(shards.max(1));
    u16::try_from(shard).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_presence_is_read_as_it_was_written() {
        for key in [
            PresenceKey::Gateway { gateway: "g1" },
            PresenceKey::User { gateway: "g1", user: "al-ice_1" },
        ] {
            assert_eq!(parse_presence_subject(&presence_subject(key)), Some(key));
        }
        for other in ["$KV.PARLEY_PRESENCE.user.g1", "$KV.PARLEY_LEASES.gateway.g1", "dm.evt.3"] {
            assert_eq!(parse_presence_subject(other), None, "{other}");
        }
    }

    #[test]
    fn an_event_subject_is_read_as_it_was_written() {
        let id = ConversationId::parse("d.alice.bob").unwrap();
        let subject = event_subject(3, &id);
        assert_eq!(subject, "dm.evt.3.d.alice.bob");
        assert_eq!(parse_typing_subject(&typing_subject(&id)), Some(id.clone()));
        assert_eq!(parse_typing_subject(&subject), None);
        assert_eq!(parse_event_subject(&subject), Some((3, id.into())));
        let account = Subject::parse("a.alice").unwrap();
        assert_eq!(event_subject(0, &account), "dm.evt.0.a.alice");
        assert_eq!(parse_event_subject("dm.evt.0.a.alice"), Some((0, account)));
        for other in [
            "dm.evt.3",
            "dm.evt.x.d.a.b",
            "dm.evt.03.d.a.b",
            "dm.evt.+3.d.a.b",
            "dm.cmd.3.d.a.b",
            "dm.evt.3.d.b.a",
            "dm.evt.3.a",
            "dm.evt.3.a.b.c",
            "",
        ] {
            assert_eq!(parse_event_subject(other), None, "{other}");
        }
    }
}
