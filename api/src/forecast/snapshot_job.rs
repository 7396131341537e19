//! A job of a queue snapshot.

use chrono::{DateTime, Utc};
use model::forecast::{Range, RunKey};
use model::job::{Job, NewJob};
use store::QueuedJob;
use uuid::Uuid;

/// A job that waits or runs.
#[derive(Debug, Clone)]
pub(super) struct SnapshotJob {
    pub(super) job: QueuedJob,
    /// How long runs of its report take.
    pub(super) typical: Option<Range>,
    /// Its number in the lane's queue, while it waits.
    pub(super) number: Option<u64>,
}

/// What happens while the store is being read, to be done again on its answer.
#[derive(Debug, Clone)]
pub(super) enum SnapshotChange {
    Entered(Box<SnapshotJob>),
    Left(Uuid),
    Started(Uuid, i32, DateTime<Utc>),
}

/// Describes a job that is about to be submitted, as the store will.
pub(super) fn describe_new(job: &NewJob) -> QueuedJob {
    QueuedJob {
        id: job.id,
        caller: job.caller.clone(),
        report: job.report.clone(),
        lane: job.lane,
        run_key: RunKey::of_job(&job.report_version, &job.params, &job.formats),
        attempt: 0,
        started_at: None,
        made_from: job.reuse.as_ref().and_then(|reuse| reuse.made_from),
    }
}

/// Describes a job that was read, as the store does.
pub(super) fn describe(job: &Job) -> QueuedJob {
    QueuedJob {
        id: job.id,
        caller: job.caller.clone(),
        report: job.report.clone(),
        lane: job.lane,
        run_key: RunKey::of_job(&job.report_version, &job.params, &job.formats),
        attempt: job.attempt,
        started_at: job.started_at,
        made_from: job.sharing.made_from,
    }
}
