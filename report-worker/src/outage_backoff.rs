//! Waits between tries of something that is away.

use std::time::Duration;

/// Waits between tries of something that is away: longer each time, up to five seconds, never in step with others.
#[derive(Debug, Default)]
pub(crate) struct OutageBackoff {
    tries: u32,
}

impl OutageBackoff {
    /// Returns how long to wait before the next try.
    pub(crate) fn next(&mut self) -> Duration {
        let step = Duration::from_millis(50 << self.tries.min(7)).min(Duration::from_secs(5));
        self.tries += 1;
        step.mul_f64(0.5 + rand::random::<f64>() / 2.0)
    }
}
