//! Which tables are made from the log.

/// A table that the log makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    pub table: &'static str,
    /// The columns that name a row, for a person who looks for it.
    pub key: &'static [&'static str],
    /// Columns that tell when or from where a row was written, not what the log says.
    pub ignored: &'static [&'static str],
}

const fn view(table: &'static str, key: &'static [&'static str]) -> View {
    View { table, key, ignored: &[] }
}

/// Every table that a rebuild makes anew.
pub const VIEWS: &[View] = &[
    View { ignored: &["updated_at"], ..view("checkpoints", &["shard"]) },
    view("conversations", &["conversation_id"]),
    view("members", &["conversation_id", "user_id"]),
    view("messages", &["conversation_id", "conversation_seq"]),
    view("accounts", &["user_id"]),
    view("devices", &["user_id", "device_id"]),
    view("contacts", &["user_id", "contact_id"]),
    view("account_settings", &["user_id"]),
    view("conversation_marks", &["user_id", "conversation_id"]),
    view("notification_endpoints", &["user_id", "endpoint_id"]),
    View { ignored: &["at"], ..view("dead_letters", &["shard", "position"]) },
];

/// Every other table: what the log does not have, and a rebuild leaves alone.
pub const KEPT: &[&str] = &[
    "_sqlx_migrations",
    "dead_endpoints",
    "last_seen",
    "notification_checkpoints",
    "notification_deliveries",
    "notification_events",
    "notification_timers",
];
