//! The store: the truth. [`contract`] says what it does; the crates `store-postgres` and `store-sqlite` do it.

mod access;
pub mod audit;
mod backlog;
mod contract;
mod forecast;
mod group_commit;
mod in_catalogue;
mod jobs;
mod lateness;
mod limits;
mod previews;
mod queue_census;
mod removal;
mod ring;
mod schedule_notices;
mod schedules;
mod schema;
mod sessions;
mod state_lists;
mod tokens;
mod turns;
mod usage;
mod workers;
mod writable;

pub use audit::AuditStore;
pub use backlog::{BacklogCounts, BacklogStore, LaneBacklog};
pub use contract::*;
pub use forecast::{ForecastStore, QueuePage, QueuePart, QueueStatus, QueuedJob, RunTimes, RunsQuery};
pub use group_commit::GroupCommit;
pub use in_catalogue::*;
pub use jobs::*;
pub use lateness::LatenessStore;
pub use limits::LimitStore;
pub use previews::{NewPreview, PREVIEW_BYTES, PreviewStore};
pub use queue_census::QueueCensus;
pub use removal::{RemovalStore, Removed};
pub use ring::RingStore;
pub use schedule_notices::*;
pub use schedules::*;
pub use schema::{MigrationNote, MigrationWeight, PendingMigration, SchemaState};
pub use sessions::{AccessFacts, AccessLookup, SessionStore};
pub use tokens::{
    AccessToken, KnownOwner, MAX_TOKEN, TOKEN_PREFIX, TokenBounds, TokenLookup, TokenRevocation, TokenStore,
    erased_subject, principal_subject, token_subject,
};
pub use turns::{Pause, PauseStore, TurnRequest, TurnRules, TurnStore, end_pause};
pub use usage::{MAX_USERS, USAGE_SLOTS, UsageStore};
pub use workers::*;
pub use writable::WritableStore;
