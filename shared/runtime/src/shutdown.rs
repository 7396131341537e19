//! How a process is told to stop.

use tokio_util::sync::CancellationToken;

/// Returns a token that is cancelled by `SIGTERM` or `SIGINT`. A second signal ends the process at once, for people who
/// press Ctrl-C twice.
///
/// # Errors
/// When the signals cannot be listened to.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("asked to stop");
        told.cancel();
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::warn!("asked again: ending at once");
        std::process::exit(130);
    });
    Ok(stop)
}
