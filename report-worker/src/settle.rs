//! An attempt is settled with the store, however long the database is away.

use model::job::JobState;
use store::{Ending, Settled, Settlement, StoreError};

use crate::attempt::Attempt;
use crate::worker::{OUTAGE_BACKOFF, Worker};

/// What the store said in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SettleOutcome {
    /// Written; the state reached.
    Settled(JobState),
    /// The job was no longer this attempt's.
    TooLate,
    /// Nobody can tell: the process must end before the database answered.
    Unknown,
}

/// Tells the store how an attempt ended.
///
/// It is tried until the database answers, also after this worker was fenced: the fencing token makes a late word harmless, and
/// without it a job that nobody took meanwhile would stay with a worker that no longer runs it.
pub(crate) async fn settle(worker: &Worker, attempt: &Attempt, ending: Ending) -> SettleOutcome {
    let settlement = Settlement {
        job_id: attempt.job_id,
        worker_id: worker.id,
        attempt: attempt.attempt,
        progress: attempt.progress(),
        ending,
    };
    let mut backoff = OUTAGE_BACKOFF;
    let mut in_doubt = false;
    loop {
        match worker.backends.group_commit.settle(settlement.clone()).await {
            Ok(Settled::As(state)) => return SettleOutcome::Settled(state),
            Ok(Settled::TooLate) if in_doubt => return confirm_settlement(worker, &settlement).await,
            Ok(Settled::TooLate) => return SettleOutcome::TooLate,
            Err(StoreError::Unavailable(why)) => {
                in_doubt = true;
                tracing::warn!(job = %attempt.job_id, attempt = attempt.attempt, why, "an attempt could not be settled yet");
            }
            Err(StoreError::Unexpected(why)) => {
                in_doubt = true;
                tracing::error!(job = %attempt.job_id, attempt = attempt.attempt, why, "an attempt cannot be settled");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.pause()) => {}
            () = worker.give_up.cancelled() => return SettleOutcome::Unknown,
        }
    }
}

/// A settlement whose answer was lost may have been committed; the second try is then too late because of the first.
///
/// Deleting the files of a job that is done would be the worst of all mistakes, so the store is asked before.
async fn confirm_settlement(worker: &Worker, settlement: &Settlement) -> SettleOutcome {
    let mut backoff = OUTAGE_BACKOFF;
    loop {
        match worker.backends.store.job_by_id(settlement.job_id).await {
            Ok(Some(job)) if job.state == JobState::Done && job.attempt == settlement.attempt => {
                return SettleOutcome::Settled(JobState::Done);
            }
            Ok(_) => return SettleOutcome::TooLate,
            Err(error) => tracing::warn!(job = %settlement.job_id, %error, "a settlement is in doubt"),
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.pause()) => {}
            () = worker.give_up.cancelled() => return SettleOutcome::Unknown,
        }
    }
}
