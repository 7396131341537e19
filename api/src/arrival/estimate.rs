//! Estimates when a job will be ready, from the board and from histories.

use chrono::{DateTime, Utc};
use model::forecast::{Estimate, Eta, History, Range, RunProgress};
use model::progress::Progress;
use store::QueuedJob;

use super::Standing;
use super::board::{Board, Entry};
use super::learn::Histories;

/// A job's own run, with the company it has, once there is a place for it.
pub(super) fn run(board: &Board, histories: &Histories, job: &QueuedJob) -> Option<Estimate> {
    let conditions = histories.conditions(job, board.company_of(job.id));
    of_run(histories, job)?.from_submit(job.run_key, &conditions)
}

/// How much longer a job on the board runs.
pub(super) fn remaining(board: &Board, histories: &Histories, entry: &Entry, now: DateTime<Utc>) -> Option<Range> {
    let (job, going) = (&entry.job, going(&entry.job, Progress::default(), now)?);
    let conditions = histories.conditions(job, board.company_of(job.id));
    histories.of(job)?.remaining(job.run_key, &going, &conditions).map(|estimate| estimate.range)
}

/// Where a job stands that runs.
pub(super) fn running(
    board: &Board,
    histories: &Histories,
    job: &QueuedJob,
    progress: Progress,
    now: DateTime<Utc>,
) -> Standing {
    let conditions = histories.conditions(job, board.company_of(job.id));
    let estimate =
        going(job, progress, now).and_then(|going| of_run(histories, job)?.remaining(job.run_key, &going, &conditions));
    Standing { position: None, eta: estimate.map(|estimate| (Eta::of(&estimate), now)) }
}

/// Where a job stands that waits.
pub(super) fn waiting(board: &Board, histories: &Histories, job: &QueuedJob, now: DateTime<Utc>) -> Standing {
    let Some((ahead, line)) = board.before(job.id, |entry| remaining(board, histories, entry, now)) else {
        return Standing::default();
    };
    let eta = run(board, histories, job).and_then(|run| Some(Estimate { range: line.wait()?.then(run.range), ..run }));
    let position = u32::try_from(ahead).unwrap_or(u32::MAX).saturating_add(1);
    Standing { position: Some(position), eta: eta.map(|estimate| (Eta::of(&estimate), now)) }
}

/// What is made from a kept file takes as long as no run of its report did.
fn of_run<'a>(histories: &'a Histories, job: &QueuedJob) -> Option<&'a History> {
    histories.of(job).filter(|_| job.made_from.is_none())
}

fn going(job: &QueuedJob, progress: Progress, now: DateTime<Utc>) -> Option<RunProgress> {
    Some(RunProgress {
        elapsed_ms: (now - job.started_at?).num_milliseconds().max(0) as f64,
        rows: progress.rows,
        total_rows: progress.total_rows,
        total_is_estimate: progress.total_is_estimate,
    })
}
