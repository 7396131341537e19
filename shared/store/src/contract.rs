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

use model::artifact::Artifact;
use model::delivery::{Delivery, DeliveryState};
use model::event::Event;
use model::job::{JobState, Lane};
use model::message::OutboxMessage;
use model::retry_schedule::RetryDelay;

use super::audit::AuditStore;
use super::backlog::BacklogStore;
use super::forecast::ForecastStore;
use super::jobs::JobStore;
use super::lateness::LatenessStore;
use super::limits::LimitStore;
use super::previews::PreviewStore;
use super::removal::RemovalStore;
use super::ring::RingStore;
use super::schedules::ScheduleStore;
use super::sessions::SessionStore;
use super::tokens::TokenStore;
use super::turns::{PauseStore, TurnStore};
use super::usage::UsageStore;
use super::workers::WorkerStore;
use super::writable::WritableStore;

pub use super::access::{AccessStore, ApiKey, CLICKS_AN_HOUR, CLICKS_SHOWN, NewApiKey};
pub use model::scope::Scope;

/// How long a committed outbox row belongs to its writer before any relay may publish it.
pub const OUTBOX_LEASE: Duration = Duration::from_secs(5);

/// Why a call as a whole failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is shutting down, is read-only, lacks a migration, or did not answer in time. May pass.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A row or statement that should not exist: a fault of ours or a hand-edited database.
    #[error("the database holds or was sent something unexpected: {0}")]
    Unexpected(String),
}

/// How the reason begins when a database lacks a migration of this version.
pub const SCHEMA_TOO_OLD: &str = "the schema lacks migration";

impl StoreError {
    /// Tells whether the database only lacks a migration that this version needs: somebody runs it, and all is well.
    #[must_use]
    pub fn is_schema_too_old(&self) -> bool {
        matches!(self, Self::Unavailable(why) if why.starts_with(SCHEMA_TOO_OLD))
    }
}

/// Result of a store call.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Told what a call has committed. Must not block.
pub trait AfterCommit: Send + Sync + std::fmt::Debug {
    /// Publishes `outbox` (leased to this process) and broadcasts `events`.
    fn committed(&self, outbox: Vec<OutboxMessage>, events: Vec<Event>);
}

/// How one try of a delivery ended.
#[derive(Debug, Clone, PartialEq)]
pub enum DeliveryEnding {
    /// The server accepted it.
    Sent,
    /// May pass: due again after the delay; outbox row to the delay queue. Where that is shorter, the sweeper rings when it is due.
    RetryLater(String, RetryDelay),
    /// Will not pass, or tried too often.
    Failed(String),
    /// Its job ended first, so that there is nothing left to tell: the row goes.
    Overtaken,
}

/// Which failed deliveries are to be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedDeliveries {
    /// This one.
    One(Uuid),
    /// Those that failed at `since` or later, and before `until`.
    Between {
        /// Included.
        since: DateTime<Utc>,
        /// Not included.
        until: DateTime<Utc>,
    },
}

/// Deliveries, as the notifier sees them.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// `pending` and due, or `sending` with its lease over → `sending`, `attempt` grown, leased for `lease`.
    /// `None` where there is nothing to do.
    async fn claim_deliveries(&self, ids: Vec<Uuid>, lease: Duration) -> Result<Vec<Option<Delivery>>>;
    /// Ends tries, guarded by `sending` and `(id, attempt)`. False: too late.
    async fn settle_deliveries(&self, endings: Vec<(Uuid, i32, DeliveryEnding)>) -> Result<Vec<bool>>;
    /// Says whom a delivery goes to, without claiming it. `None`: there is no such delivery.
    async fn delivery_recipient(&self, id: Uuid) -> Result<Option<String>>;
    /// Lists deliveries of a job.
    async fn deliveries_of_job(&self, job_id: Uuid) -> Result<Vec<Delivery>>;
    /// Lists a tenant's deliveries, newest first, optionally in one state.
    async fn deliveries(&self, tenant: &str, state: Option<DeliveryState>, limit: u32) -> Result<Vec<Delivery>>;
    /// `failed` → `pending`, due at once and rung, for at most `limit` of a tenant's, longest failed first. Identity and `attempt` stay.
    /// Returns how many.
    async fn send_again(&self, tenant: &str, which: FailedDeliveries, limit: u32) -> Result<u32>;
}

/// Where counting for metrics stops, so that it takes no longer however many there are.
pub const COUNTED_AT_MOST: u32 = 10_000;

/// The outbox, as the relay sees it.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Leases up to `limit` rows whose lease is over, oldest first; two relays never get the same row.
    async fn lease_outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>>;
    /// Deletes rows that the broker confirmed.
    async fn delete_outbox(&self, ids: Vec<Uuid>) -> Result<()>;
    /// Ends the lease of rows that could not be published, so that the next relay pass takes them.
    async fn release_outbox(&self, ids: Vec<Uuid>) -> Result<()>;
    /// `(rows, age of the oldest in seconds)`. Rows are counted up to [`COUNTED_AT_MOST`], and the oldest is that of the counted ones.
    async fn outbox_backlog(&self) -> Result<(u64, f64)>;
}

/// What the sweeper repairs. Every call is safe in several processes at once.
#[async_trait]
pub trait SweepStore: Send + Sync {
    /// `Lose` or `LoseTooOften` for the jobs of workers whose lock is free or whose last beat is older than `silence`, and removal
    /// of their rows. Rings the lane by outbox rows. Returns the jobs changed.
    async fn release_lost_jobs(&self, silence: Duration) -> Result<Vec<Uuid>>;
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
    /// Counts jobs per lane and state that is not final, for metrics and operators; those that wait or are due again up to
    /// [`COUNTED_AT_MOST`].
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
    + RingStore
    + AccessStore
    + AuditStore
    + RemovalStore
    + SessionStore
    + TokenStore
    + UsageStore
    + WritableStore
    + PreviewStore
    + ForecastStore
    + BacklogStore
    + LatenessStore
    + ScheduleStore
    + TurnStore
    + PauseStore
    + LimitStore
    + std::fmt::Debug
{
    /// Answers when the database does.
    async fn check(&self) -> Result<()>;
    /// Database time.
    async fn now(&self) -> Result<DateTime<Utc>>;
    /// Names the kind for people and metrics: `postgres` or `sqlite`.
    fn kind(&self) -> &'static str;
}
