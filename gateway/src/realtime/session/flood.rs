//! A token bucket in two words: the generic cell rate algorithm.

use std::time::{Duration, Instant};

/// Lets a burst through, and a steady rate after it.
#[derive(Debug)]
pub struct Flood {
    /// When the bucket will be full again.
    full_at: Instant,
}

/// How much is a flood.
#[derive(Debug, Clone, Copy)]
pub struct FloodConfig {
    pub frames_per_second: u32,
    pub burst_frames: u32,
}

impl Flood {
    pub fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Counts one frame; says whether it is within the limit.
    pub fn admit(&mut self, config: FloodConfig, now: Instant) -> bool {
        let each = Duration::from_secs(1) / config.frames_per_second.max(1);
        let full_at = self.full_at.max(now) + each;
        if full_at.duration_since(now) > each * config.burst_frames.max(1) {
            return false;
        }
        self.full_at = full_at;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_rate() {
        let config = FloodConfig { frames_per_second: 10, burst_frames: 3 };
        let start = Instant::now();
        let mut flood = Flood::new(start);
        let mut admitted = |millis| flood.admit(config, start + Duration::from_millis(millis));
        assert!(admitted(0) && admitted(0) && admitted(0));
        assert!(!admitted(0) && !admitted(99));
        assert!(admitted(100) && !admitted(100));
        assert!(admitted(1_000) && admitted(1_000) && admitted(1_000) && !admitted(1_000));
    }
}
