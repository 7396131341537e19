//! The part of the contract about jobs, their events and artifacts, as the gateway sees them.

use async_trait::async_trait;
use uuid::Uuid;

use model::event::Event;
use model::job::{Caller, Idempotency, Job, JobState, NewJob};

use super::Result;

/// Outcome of one submit.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    /// The job row, its event, its idempotency row and its outbox row are committed.
    Created(Box<Job>),
    /// The same key and body came before: that job, as it was when submitted.
    Replayed(Box<Job>),
    /// The same key came before with another body.
    KeyReused,
    /// This element could not be written and nothing of it was; says why.
    Refused(String),
}

/// Which jobs to list, newest first. Always limited to the caller's tenant.
#[derive(Debug, Clone)]
pub struct JobFilter {
    /// Whose.
    pub caller: Caller,
    /// Jobs of every principal of the tenant, for its operators; otherwise only the caller's own.
    pub whole_tenant: bool,
    /// Only in this state.
    pub state: Option<JobState>,
    /// Only of this report.
    pub report: Option<String>,
    /// Only older than this id (exclusive).
    pub before: Option<Uuid>,
    /// At most this many.
    pub limit: u32,
}

/// Outcome of a cancel or a replay.
#[derive(Debug, Clone, PartialEq)]
pub enum Changed {
    /// It happened; the job after it.
    Yes(Box<Job>),
    /// Its state does not allow it; the job as it is.
    WrongState(Box<Job>),
    /// No such job of this caller.
    NotFound,
}

/// Position in the feed of all of a caller's events. Opaque to clients; ordered so that no event that commits late is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct FeedCursor {
    /// PostgreSQL: transaction id of the event's transaction. SQLite: 0.
    pub transaction: i64,
    /// Position column of the event.
    pub position: i64,
}

/// How many of a caller's newest jobs are looked at to count those under way.
pub const NEWEST_COUNTED: u32 = 1_000;

/// Jobs, their events and artifacts, as the gateway sees them.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Writes job, idempotency, event (`submitted`, seq 1) and outbox rows (route: the job's lane) in one transaction. A job with a
    /// wish to reuse is answered from the files of an identical one, else it joins the run of one that is under way, else others
    /// may join it: however many are submitted at once, there is one run.
    async fn submit(&self, jobs: Vec<NewJob>) -> Result<Vec<Submitted>>;
    /// Finds what a submit under this key would be answered: `Replayed`, or `KeyReused` where the body differs. `None`: the key
    /// is free.
    async fn find_submitted(&self, caller: &Caller, given: &Idempotency) -> Result<Option<Submitted>>;
    /// Reads one job of the caller's, artifacts included.
    async fn job(&self, caller: &Caller, id: Uuid) -> Result<Option<Job>>;
    /// Reads any job, for workers, the notifier and links.
    async fn job_by_id(&self, id: Uuid) -> Result<Option<Job>>;
    /// Lists jobs, newest first, artifacts included.
    async fn jobs(&self, filter: JobFilter) -> Result<Vec<Job>>;
    /// Counts the tenant's jobs that are not final, up to `limit`.
    async fn count_unfinished(&self, tenant: &str, limit: u32) -> Result<u32>;
    /// Counts the caller's jobs that are not final, among their newest [`NEWEST_COUNTED`].
    async fn count_unfinished_of(&self, caller: &Caller) -> Result<u32>;
    /// Reads the caller's events of one job with `seq > after`, in order.
    async fn events_of_job(&self, caller: &Caller, job_id: Uuid, after: i64, limit: u32) -> Result<Vec<Event>>;
    /// Reads the caller's events after `after`, in feed order, each with its cursor.
    async fn events_of_caller(
        &self,
        caller: &Caller,
        after: FeedCursor,
        limit: u32,
    ) -> Result<Vec<(FeedCursor, Event)>>;
    /// Returns the cursor behind which nothing has been committed yet: where a feed without `Last-Event-ID` starts.
    async fn feed_end(&self) -> Result<FeedCursor>;
    /// `pending`, `processing` or `retrying` → `cancelled`, at once; a running attempt is fenced from that moment. A job whose run
    /// others wait for is only withdrawn: cancelled for its submitter, while the run goes on. It ends when the last one who waits
    /// for it cancels; the event then told of the withdrawn job is for its worker, and is not kept.
    async fn cancel(&self, caller: &Caller, id: Uuid) -> Result<Changed>;
    /// `failed` → `pending`: counters back to zero, `attempt` and `seq` go on, an outbox row rings the lane.
    async fn replay(&self, caller: &Caller, id: Uuid) -> Result<Changed>;
    /// Keeps the text of a report definition under its version, once.
    async fn save_report_version(&self, version: &str, name: &str, definition: &str) -> Result<()>;
    /// Reads `(name, definition text)` of a version.
    async fn report_version(&self, version: &str) -> Result<Option<(String, String)>>;
}
