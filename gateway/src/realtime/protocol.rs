//! The frames of a WebSocket: what clients say and what they are told, in the contract's JSON.

mod incoming;
mod outgoing;

pub use incoming::{ClientFrame, Hello, MAX_REF_BYTES, Malformed, Rejected, Unusable, parse};
pub use outgoing::{
    ErrorFrame, ack, caught_up, draining, error, event, pong, presence, ready, sync, token, typing,
};

/// A frame to send, ready-made; clones share it.
pub type Frame = tokio_tungstenite::tungstenite::Utf8Bytes;

/// The largest frame that a client may send.
pub const MAX_FRAME_BYTES: usize = 64 * 1_024;

/// Why the server ends a connection. See the contract for what a client does then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Close {
    Malformed,
    Unauthenticated,
    Forbidden,
    HeartbeatMissed,
    TooSlow,
    TooLarge,
    Flooding,
    Draining,
}

impl Close {
    pub const ALL: [Self; 8] = [
        Self::Malformed,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::HeartbeatMissed,
        Self::TooSlow,
        Self::TooLarge,
        Self::Flooding,
        Self::Draining,
    ];

    pub fn code(self) -> u16 {
        match self {
            Self::Malformed => 4400,
            Self::Unauthenticated => 4401,
            Self::Forbidden => 4403,
            Self::HeartbeatMissed => 4408,
            Self::TooSlow => 4409,
            Self::TooLarge => 4413,
            Self::Flooding => 4429,
            Self::Draining => 4503,
        }
    }

    /// For metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::HeartbeatMissed => "heartbeat_missed",
            Self::TooSlow => "too_slow",
            Self::TooLarge => "too_large",
            Self::Flooding => "flooding",
            Self::Draining => "draining",
        }
    }
}
