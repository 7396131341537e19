//! The part of the contract about arrival times: how long runs took, and who is in line.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Result;
use model::forecast::{FinishedRun, RunKey};
use model::job::{Caller, Lane};

/// Runs of one report for one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunsQuery {
    /// Whose.
    pub tenant: String,
    /// Of which report.
    pub report: String,
    /// Only those that ended later than this.
    pub after: Option<DateTime<Utc>>,
}

/// A job that waits or runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedJob {
    /// The job.
    pub id: Uuid,
    /// Whose.
    pub caller: Caller,
    /// Its report.
    pub report: String,
    /// Its lane.
    pub lane: Lane,
    /// What its runs are compared by.
    pub run_key: RunKey,
    /// Its fencing token.
    pub attempt: i32,
    /// Database time of its latest claim, while it runs.
    pub started_at: Option<DateTime<Utc>>,
    /// The job whose kept file it is made from, which takes as long as no run does.
    pub made_from: Option<Uuid>,
}

/// Who waits, who runs, and how many may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueStatus {
    /// Database time.
    pub now: DateTime<Utc>,
    /// `pending` jobs, those first that were rung first; lane by lane.
    pub waiting: Vec<QueuedJob>,
    /// `processing` jobs.
    pub running: Vec<QueuedJob>,
    /// Jobs that the lane's live workers run at once.
    pub slots: Vec<(Lane, u32)>,
}

/// A part of a lane's queue, by database times at which its jobs were last rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueuePart {
    /// Only those that were rung later than this.
    pub after: Option<DateTime<Utc>>,
    /// Only those that were rung at this time or before.
    pub until: Option<DateTime<Utc>>,
}

/// What was counted of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueuePage {
    /// Jobs.
    pub count: u64,
    /// When the last of them was rung; those that were rung at the same time are among them.
    pub until: Option<DateTime<Utc>>,
    /// Counting stopped at the limit: there may be more.
    pub full: bool,
}

/// What arrival times are learned from. Read by every gateway about once a second; nothing here is exact to the moment.
#[async_trait]
pub trait ForecastStore: Send + Sync {
    /// Reads the newest `done` jobs of each, at most `limit` each, oldest first. Jobs that did not run themselves are left out.
    async fn finished_runs(&self, of: Vec<RunsQuery>, limit: u32) -> Result<Vec<Vec<FinishedRun>>>;
    /// Reads who is in line: at most `limit` that wait in each lane, and at most `limit` that run.
    async fn queue_status(&self, limit: u32) -> Result<QueueStatus>;
    /// Counts a part of a lane's queue, by when its jobs were last rung: from the first one on, at most about `limit`.
    async fn count_waiting(&self, lane: Lane, part: QueuePart, limit: u32) -> Result<QueuePage>;
}

/// Times of a finished job, as both stores read them.
#[derive(Debug, Clone, Copy)]
pub struct RunTimes {
    /// When it was submitted.
    pub created_at: DateTime<Utc>,
    /// When its latest attempt was claimed.
    pub started_at: DateTime<Utc>,
    /// When it became final.
    pub finished_at: DateTime<Utc>,
    /// Its fencing token.
    pub attempt: i32,
    /// Attempts that ended otherwise since the submit or the last replay.
    pub lost: i32,
}

impl RunTimes {
    /// Milliseconds waited, taken and in all, as [`FinishedRun`] tells them.
    #[must_use]
    pub fn spans(&self) -> (Option<u64>, u64, Option<u64>) {
        let ms = |from: DateTime<Utc>, to: DateTime<Utc>| (to - from).num_milliseconds().unsigned_abs();
        let waited = (self.attempt == 1).then(|| ms(self.created_at, self.started_at));
        let replayed = self.attempt != self.lost + 1;
        let total = (!replayed).then(|| ms(self.created_at, self.finished_at));
        (waited, ms(self.started_at, self.finished_at), total)
    }
}
