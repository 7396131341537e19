//! Planned failures between any two durable effects. Nothing of this is compiled in without the feature `failpoints`.

/// Fails here when the environment variable `FAILPOINTS` says so: `after_store=return(abort)` ends the process at once, as a
/// kill would; `panic`, `sleep(ms)` and `pause` work as the crate `fail` describes them.
macro_rules! fail_here {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::reach($name);
    };
}

pub(crate) use fail_here;

/// Does what is configured for the failpoint.
#[cfg(feature = "failpoints")]
pub(crate) fn reach(name: &str) {
    static SCENARIO: std::sync::OnceLock<()> = std::sync::OnceLock::new();
    // Reads FAILPOINTS and stays set up until the process ends.
    SCENARIO.get_or_init(|| std::mem::forget(fail::FailScenario::setup()));
    fail::fail_point!(name, |action| {
        match action.as_deref() {
            Some("abort") | None => std::process::abort(),
            Some(other) => tracing::error!(name, other, "the failpoint knows only return(abort)"),
        }
    });
}
