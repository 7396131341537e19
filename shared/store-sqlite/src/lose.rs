//! Lost workers: their rows go, their jobs go back.

use std::time::Duration;

use uuid::Uuid;

use super::change::{Ring, take};
use super::errors::StatementResult;
use super::follow::lead;
use super::owner::Owner;
use super::rows::{job_columns, read_job};
use super::sql::{Cells, earlier, sql};
use super::writer::Transaction;
use model::problem::{Problem, ProblemKind};
use model::progress::Phase;
use model::transitions::{MAX_CRASHES, Transition};
use store::AttemptProgress;

/// Takes every job from workers that are gone, silent, or have no row. Returns the jobs.
pub(super) fn release_lost(
    transaction: &mut Transaction<'_>,
    owner: &Owner,
    silence: Duration,
) -> StatementResult<Vec<Uuid>> {
    let since = earlier(transaction.now, silence);
    let read = |cells: &mut Cells| Ok((cells.id()?, cells.integer()?));
    let workers = sql!("select id, heartbeat_at from workers").rows(transaction.connection, read)?;
    let rowless = sql!(
        "select distinct worker_id from jobs where state = 'processing' and worker_id not in (select id from workers)"
    )
    .rows(transaction.connection, Cells::id)?;
    let lost = workers.into_iter().filter(|(id, beat)| *beat < since || owner.is_gone(*id)).map(|(id, _)| id);
    let mut released = Vec::new();
    for worker_id in lost.chain(rowless) {
        released.extend(take_all_from(transaction, worker_id, Lost::Gone)?);
    }
    Ok(released)
}

/// What is known of a worker whose jobs are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// It is gone, or looks so.
    Gone,
    /// It lives and says so, after it was taken for gone.
    Alive,
}

/// Removes a worker's row and takes all its jobs from it. Returns the jobs.
///
/// Only an attempt that had begun crashed with its worker. One that waited to be alone, and one whose worker lives, was interrupted.
pub(super) fn take_all_from(
    transaction: &mut Transaction<'_>,
    worker_id: Uuid,
    known: Lost,
) -> StatementResult<Vec<Uuid>> {
    sql!("delete from workers where id = ?1", worker_id).run(transaction.connection)?;
    let text = concat!(
        "select ",
        job_columns!(),
        " from jobs where state = 'processing' and worker_id = ?1 and (served is null or served <> 'joined') order by id"
    );
    let jobs = sql!(text, worker_id).rows(transaction.connection, read_job)?;
    let mut released = Vec::with_capacity(jobs.len());
    for mut job in jobs {
        released.push(job.id);
        if known == Lost::Alive || job.progress.phase == Phase::Waiting {
            job.interruptions += 1;
            take(transaction, &mut job, Transition::HandBack, Ring::Yes(None))?;
            lead(transaction, &job)?;
            continue;
        }
        job.crashes += 1;
        if job.crashes >= MAX_CRASHES {
            let detail = format!(
                "{} workers were lost while they ran this report; the last one was {worker_id}. Look for memory limits and \
                 crashes of the workers, then replay the job.",
                job.crashes
            );
            job.error = Some(Problem::new(ProblemKind::WorkersLost, detail));
            take(transaction, &mut job, Transition::LoseTooOften, Ring::No)?;
        } else {
            let detail = format!("Worker {worker_id} was lost while it ran this report.");
            job.error = Some(Problem::new(ProblemKind::WorkersLost, detail));
            take(transaction, &mut job, Transition::Lose, Ring::Yes(None))?;
        }
        lead(transaction, &job)?;
    }
    Ok(released)
}

/// Makes the crashes of these attempts, whose worker was taken for dead and lives, interruptions. Guarded by the event that
/// recorded the loss. What is final stays as it is.
pub(super) fn forgive(transaction: &mut Transaction<'_>, attempts: &[AttemptProgress]) -> StatementResult<()> {
    for one in attempts {
        sql!(
            concat!(
                "update jobs set crashes = crashes - 1, interruptions = interruptions + 1 \
             where id = ?1 and state in ",
                store::unfinished_states!(),
                " and crashes > 0 \
             and exists (select 1 from events e where e.job_id = ?1 and e.attempt = ?2 and e.kind = 'worker_lost')"
            ),
            one.job_id,
            one.attempt,
        )
        .run(transaction.connection)?;
    }
    Ok(())
}
