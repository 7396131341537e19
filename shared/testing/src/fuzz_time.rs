//! How long tests that look for trouble at random go on.

use std::time::Duration;

/// Set by `make fuzz`.
const VARIABLE: &str = "WAITLESS_TEST_FUZZ_SECONDS";

/// Returns 20 seconds, unless `WAITLESS_TEST_FUZZ_SECONDS` says otherwise.
#[must_use]
pub fn fuzz_time() -> Duration {
    let seconds = crate::environment::variable(VARIABLE).and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(20))
}
