//! How often watchers poll the store: the more of them there are, the less often each.

use std::time::Duration;

/// A watcher polls the store this often although nothing rang, in case a broadcast was lost.
const INTERVAL: Duration = Duration::from_secs(5);

/// With many watchers each polls less often, so that all together ask the store at most 200 times a second.
const SHARE: Duration = Duration::from_millis(5);

/// Returns the time from one poll of a watcher's to its next.
pub(super) fn interval(watchers: usize) -> Duration {
    // Jitter, so that watchers that came together do not ask together.
    INTERVAL.max(share(watchers)).mul_f64(0.8 + 0.4 * rand::random::<f64>())
}

/// Returns how long one watcher of so many waits before it makes up for a loss that hit all of them.
pub(super) fn catch_up_delay(watchers: usize) -> Duration {
    share(watchers).mul_f64(rand::random::<f64>())
}

fn share(watchers: usize) -> Duration {
    SHARE.saturating_mul(u32::try_from(watchers).unwrap_or(u32::MAX))
}
