//! Which tables are made from the log.

/// A table that the log makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    pub table: &'static str,
    /// The columns that name a row, for a person who looks for it.
    pub key: &'static [&'static str],
    /// Columns that tell when or from where a row was written, not what the log says: as SQL texts
    /// over a row `t`.
    pub ignored: &'static [&'static str],
    /// Which rows `t` are compared, in SQL.
    pub compared: &'static str,
}

const fn view(table: &'static str, key: &'static [&'static str]) -> View {
    View { table, key, ignored: &[], compared: "true" }
}

/// Every table that a rebuild makes anew.
pub const VIEWS: &[View] = &[
    View { ignored: &["'updated_at'"], ..view("checkpoints", &["shard"]) },
    view("conversations", &["conversation_id"]),
    view("members", &["conversation_id", "user_id"]),
    // The log does not say any more where a message was that was erased from it.
    View {
        ignored: &["CASE WHEN t.deleted_at IS NULL THEN '' ELSE 'position' END"],
        ..view("messages", &["conversation_id", "conversation_seq"])
    },
    view("reactions", &["conversation_id", "conversation_seq", "emoji", "user_id"]),
    // Those of deleted messages go while they are erased from the log, as do the uses of their files
    // and what is left to be erased: at no moment are the two the same for sure.
    View {
        compared: "NOT EXISTS (SELECT FROM messages m WHERE m.deleted_at IS NOT NULL \
            AND (m.conversation_id, m.conversation_seq) = (t.conversation_id, t.conversation_seq))",
        ..view("edits", &["conversation_id", "conversation_seq", "position"])
    },
    View {
        compared: "NOT EXISTS (SELECT FROM messages m WHERE m.deleted_at IS NOT NULL \
            AND (m.conversation_id, m.conversation_seq) = (t.conversation_id, t.conversation_seq))",
        ..view("attachment_uses", &["conversation_id", "conversation_seq", "attachment_id"])
    },
    View { compared: "false", ..view("erasures", &["conversation_id", "conversation_seq"]) },
    view("accounts", &["user_id"]),
    view("devices", &["user_id", "device_id"]),
    view("contacts", &["user_id", "contact_id"]),
    view("account_settings", &["user_id"]),
    view("conversation_marks", &["user_id", "conversation_id"]),
    view("notification_endpoints", &["user_id", "endpoint_id"]),
    View { ignored: &["'at'"], ..view("dead_letters", &["shard", "position"]) },
];

/// Every other table: what the log does not have, and a rebuild leaves alone.
pub const KEPT: &[&str] = &[
    "_sqlx_migrations",
    "attachments",
    "dead_endpoints",
    "holds",
    "last_seen",
    "notification_checkpoints",
    "notification_deliveries",
    "notification_events",
    "notification_timers",
    "response_times",
];
