//! The part of the contract about attempts: claiming, settling, and the liveness of those who run them.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use model::artifact::NewArtifact;
use model::job::{Job, JobState, Lane};
use model::problem::Problem;
use model::progress::Progress;
use model::refusal::Refusal;
use model::retry_schedule::RetryDelay;

use super::Result;

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
    /// It waits until something is resumed, and was set aside if it is `pending`: nothing to do.
    Paused,
    /// Too many of its tenant, report, source or key run already: it was set aside until a place is free. Nothing to do.
    Limited,
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

/// The ways a worker ends an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// `Finish`: with one artifact a format. Writes artifacts, links, event, deliveries and their outbox rows.
    Done(Vec<NewArtifact>),
    /// The same without the formats that could not hold the rows, of a job that is to be kept then: at least one artifact, and one
    /// artifact or one refusal a format. The refusals are written with the job and its event.
    DoneInPart(Vec<NewArtifact>, Vec<Refusal>),
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
    /// Removes the worker's row, at a clean end. While a job is still processing under it the row stays: it covers that job until the
    /// sweeper releases it, as after a crash.
    async fn retire(&mut self) -> Result<()>;
}
