//! What goes wrong with a server, as opposed to what the domain refuses.

/// A server did not do its part. Trying again later may help.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    #[error("NATS at {url} cannot be reached: {why}")]
    Unreachable { url: String, why: String },
    #[error("JetStream did not {what}: {why}")]
    JetStream { what: &'static str, why: String },
    #[error(
        "this deployment was created with {deployed} shards, not {configured}; \
         the number of shards is fixed when a deployment is created"
    )]
    ShardsDiffer { deployed: u16, configured: u16 },
    #[error("the deployment record of NATS cannot be read: {0}")]
    Deployment(String),
    #[error("a command cannot be taken now: {0}")]
    Overloaded(&'static str),
    #[error("PostgreSQL did not answer: {0}")]
    Views(String),
}

impl Failure {
    /// Wraps what async-nats says of a JetStream call.
    pub fn jetstream(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::JetStream { what, why: why.to_string() }
    }
}
