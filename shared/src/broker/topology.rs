//! Exchanges, queues and bindings, as data.

use std::time::Duration;

use crate::backoff::Backoff;

/// Returns the configured delay that a message with the wish `wanted` waits for: the shortest that is long enough, else the
/// longest. They differ only after the configuration changed; the due time in the database is the truth either way.
pub(super) fn closest_delay(delays: &Backoff, wanted: Duration) -> Duration {
    let delays = delays.delays();
    delays.iter().find(|delay| **delay >= wanted).or(delays.last()).copied().unwrap_or(wanted)
}
