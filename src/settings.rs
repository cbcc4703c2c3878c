//! What several subcommands read from the environment.

use parley_runtime::config::Env;

const NATS_SCHEMES: [&str; 2] = ["nats", "tls"];
const DATABASE_SCHEMES: [&str; 2] = ["postgres", "postgresql"];

pub const NATS_URL: &str = "PARLEY_NATS_URL";
pub const DATABASE_URL: &str = "PARLEY_DATABASE_URL";
/// What would have gone out, in place of sending it.
pub const OUTBOX_FILE: &str = "PARLEY_NOTIFY_OUTBOX_FILE";
/// Where files of messages are.
pub const ATTACHMENTS_DIR: &str = "PARLEY_ATTACHMENTS_DIR";

pub fn nats_url(env: &mut Env) -> String {
    env.url_list(NATS_URL, "nats://127.0.0.1:4222", &NATS_SCHEMES)
}

pub fn database_url(env: &mut Env) -> String {
    env.required_url(DATABASE_URL, &DATABASE_SCHEMES)
}
