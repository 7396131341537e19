//! One attempt at a job that is running here.

use std::sync::OnceLock;
use std::time::Instant;

use model::job::{Caller, Job};
use model::progress::{Phase, Progress};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::exclusivity::RunPermit;

/// Why an attempt is told to stop before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The caller no longer wants the job.
    Cancelled,
    /// The store says that somebody else has it, or that it is over.
    NoLongerOurs,
    /// This worker could not renew its claim and must assume that somebody else will take the job.
    Fenced,
    /// This process is stopping.
    Shutdown,
}

/// One attempt that is running here.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) job_id: Uuid,
    pub(crate) attempt: i32,
    pub(crate) caller: Caller,
    /// Others may wait for this run too: it may go on although the job was cancelled.
    pub(crate) may_be_joined: bool,
    pub(crate) since: Instant,
    /// Cancelled when the attempt is to stop; see [`Attempt::stopped`].
    pub(crate) stop: CancellationToken,
    reason: OnceLock<StopReason>,
    progress: Mutex<Progress>,
    /// Its right to run here; given back when it has ended.
    permit: Mutex<Option<RunPermit>>,
}

impl Attempt {
    pub(crate) fn new(job: &Job, permit: Option<RunPermit>) -> Self {
        let phase = if permit.is_some() { Phase::Starting } else { Phase::Waiting };
        Self {
            job_id: job.id,
            attempt: job.attempt,
            caller: job.caller.clone(),
            may_be_joined: job.sharing.joined.is_some(),
            since: Instant::now(),
            stop: CancellationToken::new(),
            reason: OnceLock::new(),
            progress: Mutex::new(Progress { phase, ..Progress::default() }),
            permit: Mutex::new(permit),
        }
    }

    /// Gives the attempt its permit to run.
    pub(crate) fn hold(&self, permit: RunPermit) {
        *self.permit.lock() = Some(permit);
    }

    /// Gives the permit back.
    pub(crate) fn release(&self) {
        self.permit.lock().take();
    }

    /// Tells the attempt to stop. The first reason counts.
    pub(crate) fn stop(&self, reason: StopReason) {
        if self.reason.set(reason).is_ok() {
            self.stop.cancel();
        }
    }

    /// Waits until the attempt is told to stop and returns why.
    pub(crate) async fn stopped(&self) -> StopReason {
        self.stop.cancelled().await;
        self.reason.get().copied().unwrap_or(StopReason::Shutdown)
    }

    /// Returns how far it is.
    pub(crate) fn progress(&self) -> Progress {
        *self.progress.lock()
    }

    /// Changes how far it is.
    pub(crate) fn advance(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock());
    }
}
