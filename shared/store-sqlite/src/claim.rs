//! Claims: a worker takes jobs.

use std::time::Duration;

use uuid::Uuid;

use super::change::{Ring, take};
use super::errors::StatementResult;
use super::follow::lead;
use super::lose::{Lost, take_all_from};
use super::owner::Owner;
use super::rows::bare_job;
use super::sql::{Cells, sql};
use super::writer::Transaction;
use model::job::{Job, JobState};
use model::progress::{Phase, Progress};
use model::transitions::Transition;
use store::{ClaimRequest, Claimed};

/// Who asks.
#[derive(Debug, Clone, Copy)]
struct ClaimingWorker {
    id: Uuid,
    registered: bool,
}

/// Claims jobs, one after the other.
pub(super) fn claim(
    transaction: &mut Transaction<'_>,
    owner: &Owner,
    worker_id: Uuid,
    requests: &[ClaimRequest],
) -> StatementResult<Vec<Claimed>> {
    let known =
        sql!("select count(*) from workers where id = ?1", worker_id).rows(transaction.connection, Cells::count)?;
    let registered = known.iter().any(|rows| *rows > 0);
    requests
        .iter()
        .map(|request| claim_one(transaction, owner, ClaimingWorker { id: worker_id, registered }, *request))
        .collect()
}

fn claim_one(
    transaction: &mut Transaction<'_>,
    owner: &Owner,
    worker: ClaimingWorker,
    request: ClaimRequest,
) -> StatementResult<Claimed> {
    let Some(mut job) = bare_job(transaction.connection, request.job_id)? else { return Ok(Claimed::Gone) };
    if let Some(holder) = job.worker_id
        && request.redelivered
        && owner.is_gone(holder)
    {
        take_all_from(transaction, holder, Lost::Gone)?;
        let Some(released) = bare_job(transaction.connection, request.job_id)? else { return Ok(Claimed::Gone) };
        job = released;
    }
    if job.sharing.follows().is_some() {
        // Somebody else's run is its own.
        return Ok(if job.state.is_final() { Claimed::Gone } else { Claimed::Held });
    }
    let must_wait = job.must_run_alone() && !request.alone;
    match job.state {
        JobState::Pending if must_wait => Ok(Claimed::MustRunAlone),
        JobState::Pending => start(transaction, job, worker),
        JobState::Retrying => {
            let left = job.next_attempt_at.and_then(|due| (due - transaction.now).to_std().ok());
            match left.filter(|left| *left > Duration::ZERO) {
                Some(left) => Ok(Claimed::NotDue(left)),
                None if must_wait => Ok(Claimed::MustRunAlone),
                None => start(transaction, job, worker),
            }
        }
        JobState::Processing => Ok(Claimed::Held),
        JobState::Done | JobState::Failed | JobState::Cancelled => Ok(Claimed::Gone),
    }
}

fn start(transaction: &mut Transaction<'_>, mut job: Job, worker: ClaimingWorker) -> StatementResult<Claimed> {
    if !worker.registered {
        return Ok(Claimed::Unregistered);
    }
    job.attempt += 1;
    job.worker_id = Some(worker.id);
    job.started_at = Some(transaction.now);
    let phase = if job.must_run_alone() { Phase::Waiting } else { Phase::Starting };
    job.progress = Progress { phase, ..Progress::default() };
    take(transaction, &mut job, Transition::Claim, Ring::No)?;
    lead(transaction, &job)?;
    Ok(Claimed::Yes(Box::new(job)))
}
