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

/// Reads `FAILPOINTS`, once a process. What a test configures afterwards stays.
#[cfg(feature = "failpoints")]
pub(crate) fn set_up() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // Its end would clear everything, and there is none before the process's.
    ONCE.call_once(|| std::mem::forget(fail::FailScenario::setup()));
}

/// Does what is configured for the failpoint.
#[cfg(feature = "failpoints")]
pub(crate) fn reach(name: &str) {
    fail::fail_point!(name, |action| {
        match action.as_deref() {
            Some("abort") | None => std::process::abort(),
            Some(other) => tracing::error!(name, other, "the failpoint knows only return(abort)"),
        }
    });
}
