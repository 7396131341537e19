//! The store: the truth. [`contract`] says what it does; the crates `store-postgres` and `store-sqlite` do it.

mod access;
mod backlog;
mod contract;
mod forecast;
mod group_commit;
mod jobs;
mod lateness;
mod previews;
mod queue_census;
mod ring;
mod schedules;
mod schema;
mod sessions;
mod state_lists;
mod tokens;
mod workers;
mod writable;

pub use backlog::{BacklogCounts, BacklogStore, LaneBacklog};
pub use contract::*;
pub use forecast::{ForecastStore, QueuePage, QueuePart, QueueStatus, QueuedJob, RunTimes, RunsQuery};
pub use group_commit::GroupCommit;
pub use jobs::*;
pub use lateness::LatenessStore;
pub use previews::{NewPreview, PREVIEW_BYTES, PreviewStore};
pub use queue_census::QueueCensus;
pub use ring::RingStore;
pub use schedules::*;
pub use schema::{MigrationNote, MigrationWeight, PendingMigration, SchemaState};
pub use sessions::{AccessFacts, AccessLookup, SessionStore};
pub use tokens::{
    AccessToken, MAX_TOKEN, TOKEN_PREFIX, TokenBounds, TokenLookup, TokenRevocation, TokenStore, principal_subject,
    token_subject,
};
pub use workers::*;
pub use writable::WritableStore;
