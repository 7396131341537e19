//! An attempt is settled with the store, however long the database is away.

use model::job::JobState;
use store::{Ending, Settled, Settlement, StoreError};

use crate::running::Attempt;
use crate::worker::{Patience, Worker};

/// What the store said in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// Written; the state reached.
    As(JobState),
    /// The job was no longer this attempt's.
    TooLate,
    /// Nobody can tell: the process must end before the database answered.
    Unknown,
}

/// Tells the store how an attempt ended.
///
/// It is tried until the database answers, also after this worker was fenced: the fencing token makes a late word harmless, and
/// without it a job that nobody took meanwhile would stay with a worker that no longer runs it.
pub(crate) async fn settle(worker: &Worker, attempt: &Attempt, ending: Ending) -> Word {
    let settlement = Settlement {
        job_id: attempt.job_id,
        worker_id: worker.id,
        attempt: attempt.attempt,
        progress: attempt.progress(),
        ending,
    };
    let mut patience = Patience::default();
    let mut unsure = false;
    loop {
        match worker.backends.group_commit.settle(settlement.clone()).await {
            Ok(Settled::As(state)) => return Word::As(state),
            Ok(Settled::TooLate) if unsure => return look_after_doubt(worker, &settlement).await,
            Ok(Settled::TooLate) => return Word::TooLate,
            Err(StoreError::Unavailable(why)) => {
                unsure = true;
                tracing::warn!(job = %attempt.job_id, attempt = attempt.attempt, why, "an attempt could not be settled yet");
            }
            Err(StoreError::Unexpected(why)) => {
                unsure = true;
                tracing::error!(job = %attempt.job_id, attempt = attempt.attempt, why, "an attempt cannot be settled");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(patience.next()) => {}
            () = worker.give_up.cancelled() => return Word::Unknown,
        }
    }
}

/// A settlement whose answer was lost may have been committed; the second try is then too late because of the first.
///
/// Deleting the files of a job that is done would be the worst of all mistakes, so the store is asked before.
async fn look_after_doubt(worker: &Worker, settlement: &Settlement) -> Word {
    let mut patience = Patience::default();
    loop {
        match worker.backends.store.job_by_id(settlement.job_id).await {
            Ok(Some(job)) if job.state == JobState::Done && job.attempt == settlement.attempt => {
                return Word::As(JobState::Done);
            }
            Ok(_) => return Word::TooLate,
            Err(error) => tracing::warn!(job = %settlement.job_id, %error, "a settlement is in doubt"),
        }
        tokio::select! {
            () = tokio::time::sleep(patience.next()) => {}
            () = worker.give_up.cancelled() => return Word::Unknown,
        }
    }
}
