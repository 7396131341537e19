//! A job is claimed: it is ours under a fencing token, or there is nothing to do.

use std::sync::Arc;
use std::time::Duration;

use shared::job::{Job, JobState};
use shared::store::{ClaimRequest, Claimed, StoreError};
use uuid::Uuid;

use crate::running::Attempt;
use crate::worker::{Patience, Worker};

/// A job that is due this soon is waited for: its doorbell came a little early.
const WAIT_FOR: Duration = Duration::from_secs(2);
/// So often a row that cannot be read is looked at again.
const LOOK_AT_BROKEN: u32 = 5;

/// What became of a doorbell.
pub(crate) enum Answer {
    /// The job is ours.
    Ours(Box<Job>, Arc<Attempt>),
    /// Somebody else has it, it is over, or not due.
    NothingToDo,
    /// The store holds something nobody can read.
    Broken,
    /// This worker is stopping: somebody else should look.
    Stopping,
}

/// Claims a job, however long the database is away.
pub(crate) async fn claim(worker: &Worker, request: ClaimRequest) -> Answer {
    let mut patience = Patience::default();
    let mut broken = 0;
    let mut unsure = false;
    loop {
        if !worker.may_claim().await {
            return Answer::Stopping;
        }
        let wait = match worker.places.jobs.claim(worker.id, request).await {
            Ok(Claimed::Yes(job)) => return ours(worker, job),
            Ok(Claimed::NotDue(left)) if left <= WAIT_FOR => left,
            Ok(Claimed::Held) if unsure => return look_after_doubt(worker, request.job_id).await,
            Ok(Claimed::NotDue(_) | Claimed::Held | Claimed::Gone) => return Answer::NothingToDo,
            Err(StoreError::Unavailable(why)) => {
                tracing::warn!(job = %request.job_id, why, "a job could not be claimed yet");
                unsure = true;
                patience.next()
            }
            Err(StoreError::Unexpected(why)) => {
                tracing::error!(job = %request.job_id, why, "a job cannot be claimed");
                broken += 1;
                if broken >= LOOK_AT_BROKEN {
                    return Answer::Broken;
                }
                patience.next()
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = worker.stopping.cancelled() => return Answer::Stopping,
        }
    }
}

fn ours(worker: &Worker, job: Box<Job>) -> Answer {
    worker.running.add(&job).map_or(Answer::NothingToDo, |attempt| Answer::Ours(job, attempt))
}

/// A claim whose answer was lost may have been committed: then it is this worker that holds the job, and nobody runs it.
async fn look_after_doubt(worker: &Worker, job_id: Uuid) -> Answer {
    let mut patience = Patience::default();
    loop {
        match worker.places.store.job_by_id(job_id).await {
            Ok(Some(job)) if job.state == JobState::Processing && job.worker_id == Some(worker.id) => {
                return ours(worker, Box::new(job));
            }
            Ok(_) => return Answer::NothingToDo,
            Err(error) => tracing::warn!(job = %job_id, %error, "a claim is in doubt"),
        }
        tokio::select! {
            () = tokio::time::sleep(patience.next()) => {}
            () = worker.stopping.cancelled() => return Answer::Stopping,
        }
    }
}
