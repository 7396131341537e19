//! When a failed attempt is tried again.

use std::time::Duration;

/// The configured delays, shortest first; each has a delay queue of its own on the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule {
    delays: Vec<Duration>,
}

/// A delay to wait: the queue it waits in, and the jittered time after which the database calls it due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryDelay {
    /// Which delay queue.
    pub queue: Duration,
    /// Of a job never longer than `queue`, so that it is due when its message comes back. A delivery's may be: the sweeper rings then.
    pub due_after: Duration,
}

impl RetrySchedule {
    /// Sorts the delays. At least one is needed.
    ///
    /// # Errors
    /// Says so when the list is empty or holds a zero.
    pub fn new(mut delays: Vec<Duration>) -> Result<Self, &'static str> {
        delays.sort_unstable();
        delays.dedup();
        if delays.is_empty() || delays.first().is_some_and(Duration::is_zero) {
            return Err("at least one delay is needed, and none may be zero");
        }
        Ok(Self { delays })
    }

    /// Returns the delays, shortest first.
    #[must_use]
    pub fn delays(&self) -> &[Duration] {
        &self.delays
    }

    /// Returns the delay after the `errors`-th error (from 1). `random` is uniform in 0..1 and shortens it by up to a fifth,
    /// so that jobs that failed together do not come back together.
    #[must_use]
    pub fn after(&self, errors: u32, random: f64) -> RetryDelay {
        let last = self.delays.len().saturating_sub(1);
        let index = (errors.saturating_sub(1) as usize).min(last);
        let queue = self.delays.get(index).copied().unwrap_or(Duration::from_secs(5));
        RetryDelay { queue, due_after: queue.mul_f64(1.0 - 0.2 * random.clamp(0.0, 1.0)) }
    }
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self { delays: [5, 30, 120, 600, 3600].map(Duration::from_secs).to_vec() }
    }
}
