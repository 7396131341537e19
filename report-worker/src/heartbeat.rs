//! The worker's liveness: one beat a second on a thread, a runtime and a connection of its own, so that no report however
//! heavy can hold it up.
//!
//! Others may take this worker's jobs after two missed beats. When no beat has succeeded for one and a half, counted from the
//! start of the last good one by a clock that nobody can set, the worker stops its own jobs: whoever takes them finds them left.

use std::sync::Arc;
use std::time::Duration;

use store::{Heartbeat, WorkerInfo};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::attempt::StopReason;
use crate::worker::{Health, OUTAGE_BACKOFF, Worker};

/// A beat that takes longer counts as failed; the next one is tried.
const BEAT_WITHIN: Duration = Duration::from_secs(10);
/// Time to take the worker's row away at a clean end.
const RETIRE_WITHIN: Duration = Duration::from_secs(2);

/// Starts the thread. It beats until `stop`; the receiver answers when it has ended.
pub(crate) fn start(worker: Arc<Worker>, stop: CancellationToken) -> anyhow::Result<oneshot::Receiver<()>> {
    let (ended, when_ended) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("heartbeat".to_owned()).spawn(move || {
        runtime.block_on(beat_until_stopped(&worker, &stop));
        let _nobody_waits = ended.send(());
    })?;
    Ok(when_ended)
}

async fn beat_until_stopped(worker: &Worker, stop: &CancellationToken) {
    let mut heartbeat = HeartbeatLoop { worker, stop, last_good: Instant::now(), fenced: false };
    while let Some(mut session) = heartbeat.register().await {
        if heartbeat.beat_while_possible(session.as_mut()).await {
            if let Ok(Err(error)) = tokio::time::timeout(RETIRE_WITHIN, session.retire()).await {
                tracing::warn!(%error, "the worker's row could not be removed; the sweeper will");
            }
            return;
        }
    }
}

struct HeartbeatLoop<'a> {
    worker: &'a Worker,
    stop: &'a CancellationToken,
    /// When the last good beat was sent.
    last_good: Instant,
    fenced: bool,
}

impl HeartbeatLoop<'_> {
    /// Registers the worker, however long the database is away. `None`: told to stop before.
    async fn register(&mut self) -> Option<Box<dyn Heartbeat>> {
        let info = WorkerInfo {
            id: self.worker.id,
            host: host_name(),
            pid: std::process::id(),
            lanes: self.worker.settings.lanes.clone(),
            concurrency: u32::from(self.worker.settings.concurrency),
        };
        let mut backoff = OUTAGE_BACKOFF;
        loop {
            let sent = Instant::now();
            let registering = self.worker.backends.store.register_worker(info.clone());
            match self.await_or_fence(tokio::time::timeout(BEAT_WITHIN, registering)).await {
                Ok(Ok(session)) => {
                    self.succeeded(sent);
                    return Some(session);
                }
                Ok(Err(error)) => tracing::warn!(%error, "the worker could not register yet"),
                Err(_) => tracing::warn!("the worker could not register in time"),
            }
            let wait = sleep_until(Instant::now() + backoff.pause());
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = self.await_or_fence(wait) => {}
            }
        }
    }

    /// Beats until told to stop (true) or until beats have failed for so long that a new registration is due (false).
    async fn beat_while_possible(&mut self, session: &mut dyn Heartbeat) -> bool {
        let every = self.worker.settings.heartbeat;
        let mut next = self.last_good + every;
        loop {
            let wait = sleep_until(next);
            let stop = self.stop.clone();
            tokio::select! {
                biased;
                () = stop.cancelled() => return true,
                () = self.await_or_fence(wait) => {}
                // Whoever is told of our jobs again in this moment may take us for dead: beat at once.
                () = session.cut_off() => tracing::warn!("the heartbeat's session ended; opening another"),
            }
            let sent = Instant::now();
            let beating = session.beat(self.worker.attempts.progress());
            match self.await_or_fence(tokio::time::timeout(BEAT_WITHIN, beating)).await {
                Ok(Ok(lost)) => {
                    self.succeeded(sent);
                    next = sent + every;
                    for (job, attempt) in lost {
                        tracing::info!(%job, attempt, "a job is no longer this worker's");
                        self.worker.attempts.stop(job, attempt, StopReason::NoLongerOurs);
                    }
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a heartbeat failed");
                    next = Instant::now() + every / 4;
                }
                Err(_) => return false,
            }
            if self.last_good.elapsed() > BEAT_WITHIN + every * 2 {
                return false;
            }
        }
    }

    /// Awaits something without missing the moment at which this worker must stop its jobs.
    async fn await_or_fence<T>(&mut self, waiting: impl Future<Output = T>) -> T {
        let mut waiting = std::pin::pin!(waiting);
        loop {
            let fence_at = self.last_good + self.worker.settings.heartbeat * 3 / 2;
            tokio::select! {
                biased;
                () = sleep_until(fence_at), if !self.fenced => self.fence(),
                outcome = &mut waiting => return outcome,
            }
        }
    }

    fn fence(&mut self) {
        self.fenced = true;
        if *self.worker.health.borrow() == Health::Starting {
            return;
        }
        tracing::error!("no heartbeat succeeded in time: this worker stops its jobs before others take them");
        metrics::counter!("waitless_worker_fenced_total").increment(1);
        self.worker.health.send_replace(Health::Fenced);
        self.worker.attempts.stop_all(StopReason::Fenced);
    }

    fn succeeded(&mut self, sent: Instant) {
        self.last_good = sent;
        self.fenced = false;
        if self.worker.health.send_replace(Health::Alive) == Health::Fenced {
            tracing::info!("heartbeats succeed again");
        }
    }
}

/// Returns this machine's name, for people who look at the list of workers.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}
