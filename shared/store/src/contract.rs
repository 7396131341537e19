//! The contract of the store. Two implementations pass one conformance suite (`shared/testing`).
//!
//! Rules for every implementation:
//! * Calls take many and answer one outcome each, in order. A bad element fails only itself, never its batch.
//! * Every state change is one [`model::transitions::Transition`], guarded by the state it leaves and, for the worker's
//!   own, by worker and fencing token. It writes the event with the next `seq` in the same transaction.
//! * All times are the database's.
//! * Outbox rows and events that a call committed are given to [`AfterCommit`] after the commit, never before. Rows are
//!   written with a lease of [`OUTBOX_LEASE`] so that only their writer publishes them at once; when it dies, the relay of
//!   any process finds them when the lease is over.
//! * A dropped future leaves no transaction half done.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use model::artifact::{Artifact, NewArtifact};
use model::backoff::RetryDelay;
use model::delivery::{Channel, Delivery, DeliveryState};
use model::event::Event;
use model::job::{Caller, Idempotency, Job, JobState, Lane, NewJob};
use model::message::OutboxMessage;
use model::problem::Problem;
use model::progress::Progress;

use super::forecast::ForecastStore;
use super::lateness::LatenessStore;
use super::previews::PreviewStore;

pub use super::access::{AccessStore, ApiKey, CLICKS_AN_HOUR, CLICKS_SHOWN, NewApiKey, Scope};

/// How long a committed outbox row belongs to its writer before any relay may publish it.
pub const OUTBOX_LEASE: Duration = Duration::from_secs(5);

/// Why a call as a whole failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is shutting down, is read-only, or did not answer in time. May pass.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A row or statement that should not exist: a fault of ours or a hand-edited database.
    #[error("the database holds or was sent something unexpected: {0}")]
    Unexpected(String),
}

/// Result of a store call.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Told what a call has committed. Must not block.
pub trait AfterCommit: Send + Sync + std::fmt::Debug {
    /// Publishes `outbox` (leased to this process) and broadcasts `events`.
    fn committed(&self, outbox: Vec<OutboxMessage>, events: Vec<Event>);
}

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

/// A worker process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerInfo {
    /// Fresh UUIDv4 a process start.
    pub id: Uuid,
    /// For people.
    pub host: String,
    /// For people.
    pub pid: u32,
    /// The lanes it takes jobs of.
    pub lanes: Vec<Lane>,
    /// Jobs at once.
    pub concurrency: u32,
}

/// A worker as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Who.
    pub info: WorkerInfo,
    /// Database time of the registration.
    pub started_at: DateTime<Utc>,
    /// Database time of the newest beat.
    pub heartbeat_at: DateTime<Utc>,
    /// Jobs it holds.
    pub running: u32,
}

/// One wish to run a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The job.
    pub job_id: Uuid,
    /// The broker said that the message was delivered before: look whether the job's holder is gone.
    pub redelivered: bool,
    /// The worker will run it alone: it begins ([`WorkerStore::begin`]) once nothing else runs in its process, and runs nothing
    /// else until it has ended.
    pub alone: bool,
}

/// Outcome of one claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Claimed {
    /// Ours: state `processing`, `attempt` grown, `worker_id` us; in phase `starting`, or `waiting` where it must run alone.
    Yes(Box<Job>),
    /// `retrying` and not yet due; the time left.
    NotDue(Duration),
    /// Another worker that is alive (or looks so) holds it.
    Held,
    /// It is free, and one more lost worker would fail it: so that no neighbour's crash is taken for its own, only a worker
    /// that asks for it as [`ClaimRequest::alone`] gets it.
    MustRunAlone,
    /// It is free, but the asking worker has no row: it was taken for dead. Its next heartbeat registers it again.
    Unregistered,
    /// Final or unknown: nothing to do.
    Gone,
}

/// How one attempt ended, as the worker tells the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// The job.
    pub job_id: Uuid,
    /// The worker that claims to hold it.
    pub worker_id: Uuid,
    /// The fencing token it holds it under.
    pub attempt: i32,
    /// Its last progress.
    pub progress: Progress,
    /// What is to happen.
    pub ending: Ending,
}

/// The four ways a worker ends an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// `Finish`: with one artifact a format. Writes artifacts, links, event, deliveries and their outbox rows.
    Done(Vec<NewArtifact>),
    /// `RetryLater`: `errors` grows; outbox row to the delay queue. When `errors` reaches `max_attempts` it is `Fail` instead.
    RetryLater(Problem, RetryDelay),
    /// `Fail`: `errors` grows; event, deliveries, and an outbox row to the dead letters.
    Failed(Problem),
    /// `HandBack`: `interruptions` grows; outbox row to the lane.
    HandBack,
}

/// Outcome of one settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Committed; the state reached.
    As(JobState),
    /// The attempt no longer holds the job: nothing was written.
    TooLate,
}

/// Progress of one attempt, to be carried by a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptProgress {
    /// The job.
    pub job_id: Uuid,
    /// The fencing token.
    pub attempt: i32,
    /// How far it is.
    pub progress: Progress,
}

/// Jobs as workers see them.
#[async_trait]
pub trait WorkerStore: Send + Sync {
    /// Opens the worker's liveness: its row and, on PostgreSQL, a session advisory lock on a connection of its own.
    async fn register_worker(&self, worker: WorkerInfo) -> Result<Box<dyn Heartbeat>>;
    /// Claims jobs for `worker_id`. A redelivered job whose holder is gone is first taken from it (`Lose`, all of the
    /// holder's jobs), then claimed, in one transaction.
    async fn claim(&self, worker_id: Uuid, requests: Vec<ClaimRequest>) -> Result<Vec<Claimed>>;
    /// Says that an attempt that must run alone begins: phase `waiting` → `starting`. From here on the loss of its worker counts as
    /// a crash; before, it counts as an interruption. False: the attempt no longer holds the job. Harmless when repeated.
    async fn begin(&self, worker_id: Uuid, job_id: Uuid, attempt: i32) -> Result<bool>;
    /// Ends attempts.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>>;
    /// Lists workers that are registered.
    async fn workers(&self) -> Result<Vec<WorkerStatus>>;
}

/// The liveness of one worker. Owned by a thread of its own; dropping it closes the connection and so frees the lock.
#[async_trait]
pub trait Heartbeat: Send {
    /// Renews the worker's row and writes progress. Returns the jobs (with their attempt) that are no longer this worker's:
    /// cancelled or taken over. When the worker's row itself is gone, that is all of them, and the row is made anew. It was taken
    /// for dead and lives: the crashes its jobs were given for it become interruptions, where they are not final.
    async fn beat(&mut self, progress: Vec<AttemptProgress>) -> Result<Vec<(Uuid, i32)>>;
    /// Waits until this worker may be taken for dead although it lives, because the session that holds its lock has ended. The
    /// next beat opens another: call it at once. Never returns where there is no such session.
    async fn cut_off(&mut self);
    /// Removes the worker's row, at a clean end.
    async fn retire(&mut self) -> Result<()>;
}

/// How one try of a delivery ended.
#[derive(Debug, Clone, PartialEq)]
pub enum DeliveryEnding {
    /// The server accepted it.
    Sent,
    /// May pass: due again after the delay; outbox row to the delay queue.
    RetryLater(String, RetryDelay),
    /// Will not pass, or tried too often.
    Failed(String),
    /// Its job ended first, so that there is nothing left to tell: the row goes.
    Overtaken,
}

/// Deliveries, as the notifier sees them.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// `pending` and due, or `sending` with its lease over → `sending`, `attempt` grown, leased for `lease`.
    /// `None` where there is nothing to do.
    async fn claim_deliveries(&self, ids: Vec<Uuid>, lease: Duration) -> Result<Vec<Option<Delivery>>>;
    /// Ends tries, guarded by `sending` and `(id, attempt)`. False: too late.
    async fn settle_deliveries(&self, endings: Vec<(Uuid, i32, DeliveryEnding)>) -> Result<Vec<bool>>;
    /// Lists deliveries of a job.
    async fn deliveries_of_job(&self, job_id: Uuid) -> Result<Vec<Delivery>>;
    /// Lists a tenant's deliveries, newest first, optionally in one state.
    async fn deliveries(&self, tenant: &str, state: Option<DeliveryState>, limit: u32) -> Result<Vec<Delivery>>;
}

/// The outbox, as the relay sees it.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Leases up to `limit` rows whose lease is over, oldest first; two relays never get the same row.
    async fn lease_outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>>;
    /// Deletes rows that the broker confirmed.
    async fn delete_outbox(&self, ids: Vec<Uuid>) -> Result<()>;
    /// Ends the lease of rows that could not be published, so that the next relay pass takes them.
    async fn release_outbox(&self, ids: Vec<Uuid>) -> Result<()>;
    /// `(rows, age of the oldest in seconds)`.
    async fn outbox_backlog(&self) -> Result<(u64, f64)>;
}

/// What the sweeper repairs. Every call is safe in several processes at once.
#[async_trait]
pub trait SweepStore: Send + Sync {
    /// `Lose` or `LoseTooOften` for the jobs of workers whose lock is free or whose last beat is older than `silence`, and removal
    /// of their rows. Rings the lane by outbox rows. Returns the jobs changed.
    async fn release_lost_jobs(&self, silence: Duration) -> Result<Vec<Uuid>>;
    /// Rings jobs that are `retrying` and overdue by more than `grace`, at most `limit`. Returns how many.
    async fn ring_overdue_retries(&self, grace: Duration, limit: u32) -> Result<u32>;
    /// Counts jobs of the lane that are `pending`, without outbox row, and were last rung more than `grace` ago. On PostgreSQL a job
    /// that lost a worker counts after 300 ms: the broker may have given its doorbell to that very worker, which is only paused,
    /// and a job that must run alone waits for an idle worker to hear of it.
    async fn count_silent(&self, lane: Lane, grace: Duration) -> Result<u64>;
    /// Rings up to `limit` of the jobs [`SweepStore::count_silent`] counts, longest silent first. Returns how many.
    async fn ring_silent(&self, lane: Lane, grace: Duration, limit: u32) -> Result<u32>;
    /// Rings deliveries of the channel that are due (or leased for too long) and were last rung more than `grace` ago.
    async fn ring_due_deliveries(&self, channel: Channel, grace: Duration, limit: u32) -> Result<u32>;
    /// Reads artifacts past `expires_at` whose files are still there.
    async fn expired_artifacts(&self, limit: u32) -> Result<Vec<Artifact>>;
    /// Marks artifacts whose files were deleted.
    async fn mark_deleted(&self, artifacts: Vec<Uuid>) -> Result<()>;
    /// Of `keys`, returns those that no artifact row refers to and no running attempt may still be writing.
    async fn unreferenced_keys(&self, keys: Vec<String>) -> Result<Vec<String>>;
    /// Brings jobs that follow another one up to it, at most `limit` leaders' at a time: a crash may have come between a leader's
    /// change and theirs. Returns how many changes it made; none where both are one transaction.
    async fn lead_followers(&self, limit: u32) -> Result<u32>;
    /// Removes idempotency rows older than `age`.
    async fn forget_idempotency(&self, age: Duration) -> Result<u64>;
    /// Jobs that are not final and covered by nothing: no unsent outbox row, no live worker, no due time, not `pending`
    /// (which the sweeper rings). One query; must return no rows.
    async fn uncovered_jobs(&self) -> Result<Vec<Uuid>>;
    /// Counts jobs per lane and state that is not final, for metrics and operators.
    async fn job_counts(&self) -> Result<Vec<(Lane, JobState, u64)>>;
}

/// The truth.
#[async_trait]
pub trait Store:
    JobStore
    + WorkerStore
    + DeliveryStore
    + OutboxStore
    + SweepStore
    + AccessStore
    + PreviewStore
    + ForecastStore
    + LatenessStore
    + std::fmt::Debug
{
    /// Answers when the database does.
    async fn check(&self) -> Result<()>;
    /// Database time.
    async fn now(&self) -> Result<DateTime<Utc>>;
    /// Names the kind for people and metrics: `postgres` or `sqlite`.
    fn kind(&self) -> &'static str;
}
