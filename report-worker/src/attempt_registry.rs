//! The attempts this process is running.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use model::job::Job;
use parking_lot::{Mutex, MutexGuard};
use store::AttemptProgress;
use uuid::Uuid;

use crate::attempt::{Attempt, StopReason};
use crate::exclusivity::RunPermit;

/// Every attempt of this process, by job.
#[derive(Debug)]
pub(crate) struct AttemptRegistry {
    attempts: Mutex<HashMap<Uuid, Arc<Attempt>>>,
    /// When the newest one to end did so; at first when there was none yet.
    ended: Mutex<Instant>,
}

impl Default for AttemptRegistry {
    fn default() -> Self {
        Self { attempts: Mutex::default(), ended: Mutex::new(Instant::now()) }
    }
}

impl AttemptRegistry {
    /// Adds the attempt of a job that was just claimed. `None`: exactly this attempt is running here already.
    ///
    /// An older attempt of the same job is fenced by this one and told to stop. Without `permit` it waits for one.
    pub(crate) fn add(&self, job: &Job, permit: Option<RunPermit>) -> Option<Arc<Attempt>> {
        let mut attempts = self.lock();
        if let Some(known) = attempts.get(&job.id) {
            if known.attempt >= job.attempt {
                return None;
            }
            known.stop(StopReason::NoLongerOurs);
        }
        let attempt = Arc::new(Attempt::new(job, permit));
        attempts.insert(job.id, Arc::clone(&attempt));
        Some(attempt)
    }

    /// Forgets an attempt that has ended, and gives its permit back.
    pub(crate) fn remove(&self, attempt: &Attempt) {
        attempt.release();
        *self.ended.lock() = Instant::now();
        let mut attempts = self.lock();
        if attempts.get(&attempt.job_id).is_some_and(|known| known.attempt == attempt.attempt) {
            attempts.remove(&attempt.job_id);
        }
    }

    /// Returns since when there is none. `None`: there is one.
    pub(crate) fn last_ended(&self) -> Option<Instant> {
        self.lock().is_empty().then(|| *self.ended.lock())
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

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Attempt>>> {
        self.attempts.lock()
    }
}
