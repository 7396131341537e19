//! A job is claimed: it is ours under a fencing token, or there is nothing to do.

use std::sync::Arc;
use std::time::Duration;

use model::job::{Job, JobState};
use model::progress::Phase;
use store::{ClaimRequest, Claimed, Ending, StoreError};
use uuid::Uuid;

use crate::company::Place;
use crate::running::{Attempt, StopReason};
use crate::settle::settle;
use crate::worker::{Patience, Worker};

/// A job that is due this soon is waited for: its doorbell came a little early.
const WAIT_FOR: Duration = Duration::from_secs(2);
/// So often a row that cannot be read is looked at again.
const LOOK_AT_BROKEN: u32 = 5;
/// A busy worker leaves a job that must run alone to idle ones for this long, before it makes room for it.
const LEAVE_TO_IDLE: Duration = Duration::from_secs(2);

/// What became of a doorbell.
pub(crate) enum Answer {
    /// The job is ours.
    Ours(Box<Job>, Arc<Attempt>),
    /// Somebody else has it, it is over, or not due.
    NothingToDo,
    /// The store holds something nobody can read.
    Broken,
    /// Somebody else should look: this worker is stopping, or has no room beside a job that runs alone.
    Elsewhere,
}

/// What the store said about one claim.
enum Word {
    Ours(Box<Job>),
    MustRunAlone,
    Other(Answer),
}

/// Claims a job, however long the database is away. One that must run alone is ours once nothing else runs here.
pub(crate) async fn claim(worker: &Worker, request: ClaimRequest) -> Answer {
    let Some(place) = worker.company.join() else { return Answer::Elsewhere };
    match ask(worker, request).await {
        // Only of a claim in doubt: any other one of such a job is answered with the next arm.
        Word::Ours(job) if job.must_run_alone() => {
            drop(place);
            begin_alone(worker, job).await
        }
        Word::Ours(job) => ours(worker, job, Some(place)),
        Word::MustRunAlone => {
            drop(place);
            claim_alone(worker, request).await
        }
        Word::Other(answer) => answer,
    }
}

/// Asks the store until it answers.
async fn ask(worker: &Worker, request: ClaimRequest) -> Word {
    let mut patience = Patience::default();
    let mut broken = 0;
    let mut unsure = false;
    loop {
        if !worker.may_claim().await {
            return Word::Other(Answer::Elsewhere);
        }
        let wait = match worker.backends.group_commit.claim(worker.id, request).await {
            Ok(Claimed::Yes(job)) => return Word::Ours(job),
            Ok(Claimed::MustRunAlone) => return Word::MustRunAlone,
            Ok(Claimed::NotDue(left)) if left <= WAIT_FOR => left,
            Ok(Claimed::Unregistered) => patience.next(),
            Ok(Claimed::Held) if unsure => return look_after_doubt(worker, request.job_id).await,
            Ok(Claimed::NotDue(_) | Claimed::Held | Claimed::Gone) => return Word::Other(Answer::NothingToDo),
            Err(StoreError::Unavailable(why)) => {
                tracing::warn!(job = %request.job_id, why, "a job could not be claimed yet");
                unsure = true;
                patience.next()
            }
            Err(StoreError::Unexpected(why)) => {
                tracing::error!(job = %request.job_id, why, "a job cannot be claimed");
                broken += 1;
                if broken >= LOOK_AT_BROKEN {
                    return Word::Other(Answer::Broken);
                }
                patience.next()
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = worker.stopping.cancelled() => return Word::Other(Answer::Elsewhere),
        }
    }
}

fn ours(worker: &Worker, job: Box<Job>, place: Option<Place>) -> Answer {
    worker.running.add(&job, place).map_or(Answer::NothingToDo, |attempt| Answer::Ours(job, attempt))
}

/// A claim whose answer was lost may have been committed: then it is this worker that holds the job, and nobody runs it.
async fn look_after_doubt(worker: &Worker, job_id: Uuid) -> Word {
    let mut patience = Patience::default();
    loop {
        match worker.backends.store.job_by_id(job_id).await {
            Ok(Some(job)) if job.state == JobState::Processing && job.worker_id == Some(worker.id) => {
                return Word::Ours(Box::new(job));
            }
            Ok(_) => return Word::Other(Answer::NothingToDo),
            Err(error) => tracing::warn!(job = %job_id, %error, "a claim is in doubt"),
        }
        tokio::select! {
            () = tokio::time::sleep(patience.next()) => {}
            () = worker.stopping.cancelled() => return Word::Other(Answer::Elsewhere),
        }
    }
}

/// Claims a job that must run alone: at once where nothing runs, else after idle workers had their chance. The sweeper rings
/// for it again and again until somebody has it, so that they hear of it; here the first doorbell is enough.
async fn claim_alone(worker: &Worker, request: ClaimRequest) -> Answer {
    let Some(_expected) = worker.company.expect(request.job_id) else { return Answer::NothingToDo };
    if !worker.company.is_quiet() {
        tokio::select! {
            () = tokio::time::sleep(LEAVE_TO_IDLE) => {}
            () = worker.stopping.cancelled() => return Answer::Elsewhere,
        }
    }
    match ask(worker, ClaimRequest { alone: true, ..request }).await {
        Word::Ours(job) => begin_alone(worker, job).await,
        Word::MustRunAlone => Answer::NothingToDo,
        Word::Other(answer) => answer,
    }
}

/// Waits until the claimed job is the only one here, and says so to the store before anything of it runs.
async fn begin_alone(worker: &Worker, job: Box<Job>) -> Answer {
    let Some(attempt) = worker.running.add(&job, None) else { return Answer::NothingToDo };
    tracing::info!(job = %job.id, attempt = job.attempt, "a job whose workers were lost waits to run alone");
    metrics::counter!("waitless_jobs_alone_total").increment(1);
    let begun = tokio::select! {
        biased;
        reason = attempt.stopped() => Err(reason),
        () = worker.stopping.cancelled() => Err(StopReason::Shutdown),
        begun = begin(worker, &attempt) => Ok(begun),
    };
    let answer = match begun {
        Ok(true) => return Answer::Ours(job, attempt),
        Ok(false) | Err(StopReason::Cancelled | StopReason::NoLongerOurs) => Answer::NothingToDo,
        Err(StopReason::Fenced | StopReason::Shutdown) => {
            settle(worker, &attempt, Ending::HandBack).await;
            Answer::NothingToDo
        }
    };
    worker.running.remove(&attempt);
    answer
}

async fn begin(worker: &Worker, attempt: &Attempt) -> bool {
    attempt.hold(worker.company.be_alone().await);
    attempt.advance(|progress| progress.phase = Phase::Starting);
    let mut patience = Patience::default();
    loop {
        match worker.backends.store.begin(worker.id, attempt.job_id, attempt.attempt).await {
            Ok(begun) => return begun,
            Err(error) => tracing::warn!(job = %attempt.job_id, %error, "an attempt cannot begin yet"),
        }
        tokio::time::sleep(patience.next()).await;
    }
}
