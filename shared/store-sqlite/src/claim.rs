//! Claims: a worker takes jobs.

use std::time::Duration;

use uuid::Uuid;

use super::change::{Ring, take};
use super::errors::StatementResult;
use super::follow::lead;
use super::limits::wait_in_line;
use super::lose::{Lost, take_all_from};
use super::owner::Owner;
use super::rows::bare_job;
use super::sql::sql;
use super::writer::Transaction;
use model::job::{Job, JobState};
use model::progress::{Phase, Progress};
use model::transitions::Transition;
use store::{ClaimRequest, Claimed};

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClaimingWorker {
    id: Uuid,
    registered: bool,
    /// There are limits, so that each job's must be looked at.
    limited: bool,
}

/// Looks whether the worker has a row.
pub(super) fn claiming_worker(transaction: &mut Transaction<'_>, id: Uuid) -> StatementResult<ClaimingWorker> {
    let text = "select exists (select 1 from workers where id = ?1) + 2 * exists (select 1 from run_limits)";
    let known = sql!(text, id).number(transaction.connection)?;
    Ok(ClaimingWorker { id, registered: known & 1 != 0, limited: known & 2 != 0 })
}

/// Claims jobs, one after the other.
pub(super) fn claim(
    transaction: &mut Transaction<'_>,
    owner: &Owner,
    worker_id: Uuid,
    requests: &[ClaimRequest],
) -> StatementResult<Vec<Claimed>> {
    let worker = claiming_worker(transaction, worker_id)?;
    requests.iter().map(|request| claim_one(transaction, owner, worker, *request)).collect()
}

pub(super) fn claim_one(
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
    if worker.limited && wait_in_line(transaction, &job)? {
        return Ok(Claimed::Limited);
    }
    job.attempt += 1;
    job.worker_id = Some(worker.id);
    job.started_at = Some(transaction.now);
    job.set_aside = None;
    let phase = if job.must_run_alone() { Phase::Waiting } else { Phase::Starting };
    job.progress = Progress { phase, ..Progress::default() };
    let was_pending = job.state == JobState::Pending;
    take(transaction, &mut job, Transition::Claim, Ring::No)?;
    // Who is taken over keeps the doorbell that started it; who is rung for itself is rung for nobody else any more.
    sql!(
        "update jobs set set_aside = null, rung_for = null, rung_by = case when ?2 then rung_by end where id = ?1",
        job.id,
        was_pending
    )
    .run(transaction.connection)?;
    lead(transaction, &job)?;
    Ok(Claimed::Yes(Box::new(job)))
}
