//! A job is claimed: it is ours under a fencing token, or there is nothing to do.

use std::sync::Arc;
use std::time::Duration;

use model::job::{Job, JobState};
use model::progress::Phase;
use store::{ClaimRequest, Claimed, Ending, StoreError, TurnRequest};
use uuid::Uuid;

use crate::attempt::{Attempt, StopReason};
use crate::exclusivity::RunPermit;
use crate::settle::settle;
use crate::worker::{OUTAGE_BACKOFF, Worker};

/// A job that is due this soon is waited for: its doorbell came a little early.
const DUE_SOON: Duration = Duration::from_secs(2);
/// So often a row that cannot be read is looked at again.
const UNREADABLE_TRIES: u32 = 5;
/// A busy worker leaves a job that must run alone to idle ones for this long, before it makes room for it.
const IDLE_HEAD_START: Duration = Duration::from_secs(2);

/// What became of a doorbell.
pub(crate) enum ClaimOutcome {
    /// The job is ours.
    Claimed(Box<Job>, Arc<Attempt>),
    /// Somebody else has it, it is over, or not due.
    NothingToDo,
    /// The store holds something nobody can read.
    Unreadable,
    /// Somebody else should look: this worker is stopping, or has no room beside a job that runs alone.
    LeftToOthers,
}

/// What the store said about one claim.
enum ClaimReply {
    Claimed(Box<Job>),
    MustRunAlone,
    Over(ClaimOutcome),
}

/// What is asked of the store.
#[derive(Debug, Clone, Copy)]
enum ClaimWish {
    /// The job whose turn it is, for a doorbell.
    Turn(TurnRequest),
    /// This job.
    Named(ClaimRequest),
}

impl ClaimWish {
    /// The job it is about, as far as is known.
    const fn job_id(self) -> Uuid {
        match self {
            Self::Turn(request) => request.hint,
            Self::Named(request) => request.job_id,
        }
    }

    async fn ask(self, worker: &Worker, in_doubt: bool) -> store::Result<Claimed> {
        let group_commit = &worker.backends.group_commit;
        match self {
            Self::Turn(request) => group_commit.claim_turn(worker.id, TurnRequest { in_doubt, ..request }).await,
            Self::Named(request) => group_commit.claim(worker.id, request).await,
        }
    }
}

/// Claims a job for a doorbell, however long the database is away: the one whose turn it is, or the one it was rung for. One that must
/// run alone is ours once nothing else runs here.
pub(crate) async fn claim(worker: &Worker, request: TurnRequest) -> ClaimOutcome {
    let Some(permit) = worker.exclusivity.try_share() else { return ClaimOutcome::LeftToOthers };
    match request_claim(worker, ClaimWish::Turn(request)).await {
        // Only of a claim in doubt: any other one of such a job is answered with the next arm.
        ClaimReply::Claimed(job) if job.must_run_alone() => {
            drop(permit);
            begin_alone(worker, job).await
        }
        ClaimReply::Claimed(job) => register(worker, job, Some(permit)),
        ClaimReply::MustRunAlone => {
            drop(permit);
            let named = ClaimRequest { job_id: request.hint, redelivered: request.redelivered, alone: true };
            claim_alone(worker, named).await
        }
        ClaimReply::Over(outcome) => outcome,
    }
}

/// Asks the store until it answers.
async fn request_claim(worker: &Worker, wish: ClaimWish) -> ClaimReply {
    let mut backoff = OUTAGE_BACKOFF;
    let mut unreadable = 0;
    let mut in_doubt = false;
    loop {
        if !worker.may_claim().await {
            return ClaimReply::Over(ClaimOutcome::LeftToOthers);
        }
        let wait = match wish.ask(worker, in_doubt).await {
            Ok(Claimed::Yes(job)) => return ClaimReply::Claimed(job),
            Ok(Claimed::MustRunAlone) => return ClaimReply::MustRunAlone,
            Ok(Claimed::NotDue(left)) if left <= DUE_SOON => left,
            Ok(Claimed::Unregistered) => backoff.pause(),
            Ok(Claimed::Held) if in_doubt && matches!(wish, ClaimWish::Named(_)) => {
                return confirm_claim(worker, wish.job_id()).await;
            }
            Ok(Claimed::NotDue(_) | Claimed::Held | Claimed::Paused | Claimed::Limited | Claimed::Gone) => {
                return ClaimReply::Over(ClaimOutcome::NothingToDo);
            }
            Err(StoreError::Unavailable(why)) => {
                tracing::warn!(job = %wish.job_id(), why, "a job could not be claimed yet");
                in_doubt = true;
                backoff.pause()
            }
            Err(StoreError::Unexpected(why)) => {
                tracing::error!(job = %wish.job_id(), why, "a job cannot be claimed");
                unreadable += 1;
                if unreadable >= UNREADABLE_TRIES {
                    return ClaimReply::Over(ClaimOutcome::Unreadable);
                }
                backoff.pause()
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = worker.stopping.cancelled() => return ClaimReply::Over(ClaimOutcome::LeftToOthers),
        }
    }
}

fn register(worker: &Worker, job: Box<Job>, permit: Option<RunPermit>) -> ClaimOutcome {
    worker.attempts.add(&job, permit).map_or(ClaimOutcome::NothingToDo, |attempt| ClaimOutcome::Claimed(job, attempt))
}

/// A claim whose answer was lost may have been committed: then it is this worker that holds the job, and nobody runs it.
async fn confirm_claim(worker: &Worker, job_id: Uuid) -> ClaimReply {
    let mut backoff = OUTAGE_BACKOFF;
    loop {
        match worker.backends.store.job_by_id(job_id).await {
            Ok(Some(job)) if job.state == JobState::Processing && job.worker_id == Some(worker.id) => {
                return ClaimReply::Claimed(Box::new(job));
            }
            Ok(_) => return ClaimReply::Over(ClaimOutcome::NothingToDo),
            Err(error) => tracing::warn!(job = %job_id, %error, "a claim is in doubt"),
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.pause()) => {}
            () = worker.stopping.cancelled() => return ClaimReply::Over(ClaimOutcome::LeftToOthers),
        }
    }
}

/// Claims a job that must run alone: at once where nothing runs, else after idle workers had their chance. The sweeper rings
/// for it again and again until somebody has it, so that they hear of it; here the first doorbell is enough.
async fn claim_alone(worker: &Worker, request: ClaimRequest) -> ClaimOutcome {
    let Some(_expected) = worker.exclusivity.expect_exclusive(request.job_id) else { return ClaimOutcome::NothingToDo };
    if !worker.exclusivity.is_idle() {
        tokio::select! {
            () = tokio::time::sleep(IDLE_HEAD_START) => {}
            () = worker.stopping.cancelled() => return ClaimOutcome::LeftToOthers,
        }
    }
    match request_claim(worker, ClaimWish::Named(request)).await {
        ClaimReply::Claimed(job) => begin_alone(worker, job).await,
        ClaimReply::MustRunAlone => ClaimOutcome::NothingToDo,
        ClaimReply::Over(outcome) => outcome,
    }
}

/// Waits until the claimed job is the only one here, and says so to the store before anything of it runs.
async fn begin_alone(worker: &Worker, job: Box<Job>) -> ClaimOutcome {
    let Some(attempt) = worker.attempts.add(&job, None) else { return ClaimOutcome::NothingToDo };
    tracing::info!(job = %job.id, attempt = job.attempt, "a job whose workers were lost waits to run alone");
    metrics::counter!("waitless_jobs_alone_total").increment(1);
    let begun = tokio::select! {
        biased;
        reason = attempt.stopped() => Err(reason),
        () = worker.stopping.cancelled() => Err(StopReason::Shutdown),
        begun = begin(worker, &attempt) => Ok(begun),
    };
    let outcome = match begun {
        Ok(true) => return ClaimOutcome::Claimed(job, attempt),
        Ok(false) | Err(StopReason::Cancelled | StopReason::NoLongerOurs) => ClaimOutcome::NothingToDo,
        Err(StopReason::Fenced | StopReason::Shutdown) => {
            settle(worker, &attempt, Ending::HandBack).await;
            ClaimOutcome::NothingToDo
        }
    };
    worker.attempts.remove(&attempt);
    outcome
}

async fn begin(worker: &Worker, attempt: &Attempt) -> bool {
    attempt.hold(worker.exclusivity.acquire_exclusive().await);
    attempt.advance(|progress| progress.phase = Phase::Starting);
    let mut backoff = OUTAGE_BACKOFF;
    loop {
        match worker.backends.store.begin(worker.id, attempt.job_id, attempt.attempt).await {
            Ok(begun) => return begun,
            Err(error) => tracing::warn!(job = %attempt.job_id, %error, "an attempt cannot begin yet"),
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}
