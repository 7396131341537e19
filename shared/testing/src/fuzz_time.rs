//! How long tests that look for trouble at random go on.

use std::time::Duration;

/// Set by `make fuzz`.
const VARIABLE: &str = "WAITLESS_TEST_FUZZ_SECONDS";

/// Returns 20 seconds, unless `WAITLESS_TEST_FUZZ_SECONDS` says otherwise.
#[must_use]
pub fn fuzz_time() -> Duration {
    fuzz_time_or(Duration::from_secs(20))
}

/// Returns `usual`, unless `WAITLESS_TEST_FUZZ_SECONDS` says otherwise.
#[must_use]
pub fn fuzz_time_or(usual: Duration) -> Duration {
    let seconds = crate::environment::variable(VARIABLE).and_then(|seconds| seconds.parse().ok());
    seconds.map_or(usual, Duration::from_secs)
}
