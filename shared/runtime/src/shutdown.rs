//! How a process is told to stop.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Beyond the grace of the service: for closing connections, and for telemetry.
const MARGIN: Duration = Duration::from_secs(10);

/// A process that has begun nothing, not even read its settings, has this long to end.
const AT_START: Duration = Duration::from_secs(1);

/// `service.shutdown_grace`, once it is known.
static GRACE: Mutex<Option<Duration>> = Mutex::new(None);

/// Says how long the service may take to stop. A process that takes some seconds longer is ended, whatever it hangs in.
pub fn limit(grace: Duration) {
    *GRACE.lock().unwrap_or_else(PoisonError::into_inner) = Some(grace);
}

/// Returns a token that is cancelled by `SIGTERM` or `SIGINT`. A second signal ends the process at once, for people who
/// press Ctrl-C twice.
///
/// The signals are heard on a thread of their own, so that they are heard whatever the process is busy with.
///
/// # Errors
/// When the signals cannot be listened to.
pub fn on_signal() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let told = stop.clone();
    let (tell, listening) = std::sync::mpsc::sync_channel(1);
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(tell.send(Err(error))),
        };
        runtime.block_on(hear(&told, &tell));
    })?;
    listening.recv().unwrap_or_else(|_ended| Err(io::Error::other("the thread that hears signals ended")))?;
    Ok(stop)
}

async fn hear(told: &CancellationToken, tell: &std::sync::mpsc::SyncSender<io::Result<()>>) {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = signal(SignalKind::terminate()).and_then(|term| Ok((term, signal(SignalKind::interrupt())?)));
    let (mut terminate, mut interrupt) = match signals {
        Ok(signals) => signals,
        Err(error) => return drop(tell.send(Err(error))),
    };
    let _waited_for = tell.send(Ok(()));
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    // Before anything is said: whoever reads what we say may hang as well.
    told.cancel();
    tracing::info!("asked to stop");
    let grace = *GRACE.lock().unwrap_or_else(PoisonError::into_inner);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = tokio::time::sleep(grace.map_or(AT_START, |grace| grace + MARGIN)) => {
            if grace.is_none() {
                std::process::exit(0);
            }
            std::thread::spawn(|| tracing::error!("something did not end in time; ending anyway"));
            tokio::time::sleep(Duration::from_millis(100)).await;
            std::process::exit(1);
        }
    }
    tracing::warn!("asked again: ending at once");
    std::process::exit(130);
}
