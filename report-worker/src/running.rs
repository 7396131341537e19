//! The attempts this process is running.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use model::job::{Caller, Job};
use model::progress::{Phase, Progress};
use store::AttemptProgress;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::company::Place;

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
    place: Mutex<Option<Place>>,
}

impl Attempt {
    fn new(job: &Job, place: Option<Place>) -> Self {
        let phase = if place.is_some() { Phase::Starting } else { Phase::Waiting };
        Self {
            job_id: job.id,
            attempt: job.attempt,
            caller: job.caller.clone(),
            may_be_joined: job.sharing.joined.is_some(),
            since: Instant::now(),
            stop: CancellationToken::new(),
            reason: OnceLock::new(),
            progress: Mutex::new(Progress { phase, ..Progress::default() }),
            place: Mutex::new(place),
        }
    }

    /// Gives the attempt its place.
    pub(crate) fn hold(&self, place: Place) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    fn leave(&self) {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
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
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes how far it is.
    pub(crate) fn advance(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Every attempt of this process, by job.
#[derive(Debug, Default)]
pub(crate) struct Running {
    attempts: Mutex<HashMap<Uuid, Arc<Attempt>>>,
}

impl Running {
    /// Adds the attempt of a job that was just claimed. `None`: exactly this attempt is running here already.
    ///
    /// An older attempt of the same job is fenced by this one and told to stop. Without `place` it waits for one.
    pub(crate) fn add(&self, job: &Job, place: Option<Place>) -> Option<Arc<Attempt>> {
        let mut attempts = self.lock();
        if let Some(known) = attempts.get(&job.id) {
            if known.attempt >= job.attempt {
                return None;
            }
            known.stop(StopReason::NoLongerOurs);
        }
        let attempt = Arc::new(Attempt::new(job, place));
        attempts.insert(job.id, Arc::clone(&attempt));
        Some(attempt)
    }

    /// Forgets an attempt that has ended, and frees its place.
    pub(crate) fn remove(&self, attempt: &Attempt) {
        attempt.leave();
        let mut attempts = self.lock();
        if attempts.get(&attempt.job_id).is_some_and(|known| known.attempt == attempt.attempt) {
            attempts.remove(&attempt.job_id);
        }
    }

    /// Returns every attempt.
    pub(crate) fn all(&self) -> Vec<Arc<Attempt>> {
        self.lock().values().cloned().collect()
    }

    /// Returns what the heartbeat carries.
    pub(crate) fn progress(&self) -> Vec<AttemptProgress> {
        let of = |attempt: &Arc<Attempt>| AttemptProgress {
            job_id: attempt.job_id,
            attempt: attempt.attempt,
            progress: attempt.progress(),
        };
        self.lock().values().map(of).collect()
    }

    /// Stops the attempt of a job unless it is newer than `up_to`.
    pub(crate) fn stop(&self, job_id: Uuid, up_to: i32, reason: StopReason) {
        let found = self.lock().get(&job_id).filter(|known| known.attempt <= up_to).cloned();
        if let Some(attempt) = found {
            attempt.stop(reason);
        }
    }

    /// Finds the attempt of a job.
    pub(crate) fn find(&self, job_id: Uuid) -> Option<Arc<Attempt>> {
        self.lock().get(&job_id).cloned()
    }

    /// Stops every attempt.
    pub(crate) fn stop_all(&self, reason: StopReason) {
        for attempt in self.all() {
            attempt.stop(reason);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Arc<Attempt>>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
