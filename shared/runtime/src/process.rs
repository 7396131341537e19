//! A service's process: signals from its first line, one line for what ends it, and an end that nothing can hold up.

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Opening;
use crate::shutdown;

/// Threads that are blocked when everything else has ended (in a file system that does not answer, say) have this long to end.
const BLOCKED_WITHIN: Duration = Duration::from_secs(1);

/// Runs a service: `main` is given a token that is cancelled by `SIGTERM` or `SIGINT`. An error is told in one line on standard error.
pub fn run<F, Fut>(main: F) -> ExitCode
where
    F: FnOnce(CancellationToken) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let ended = shutdown::on_signal().map_err(anyhow::Error::from).and_then(|stop| block_on(main(stop))?);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "logging may not have started, and people look here first")]
fn tell(error: &anyhow::Error) {
    eprintln!("Error: {error:#}");
}

/// Runs `main` on a runtime of many threads, and leaves behind threads that are still blocked a moment after it has ended.
///
/// # Errors
/// When no runtime can be made.
pub fn block_on<Fut: Future>(main: Fut) -> anyhow::Result<Fut::Output> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let output = runtime.block_on(main);
    runtime.shutdown_timeout(BLOCKED_WITHIN);
    Ok(output)
}

/// Serves until `serving` ends, or until the database turns out to be one that waiting does not open.
///
/// # Errors
/// Those of the service, and those of `opening`.
pub async fn serve_while_opening(
    serving: impl Future<Output = anyhow::Result<()>>,
    opening: Opening,
) -> anyhow::Result<()> {
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        served = &mut serving => return served,
        opened = opening => opened?,
    }
    tracing::info!("the database is open");
    serving.await
}
