//! What runs in every process: backends opened from the configuration, the outbox relay, the sweeper, probes, telemetry, and the
//! catalogue folder.

mod await_storage;
mod backends;
mod catalogue;
mod declare_limits;
pub mod erase;
mod log_repeats;
mod memory_use;
mod open_store;
pub mod outbox;
mod pprof_message;
pub mod probes;
pub mod process;
mod profile;
mod read_catalogue;
pub mod service_args;
pub mod shutdown;
pub mod sweep;
pub mod telemetry;

pub use backends::{Backends, BackgroundTasks, Opening};
pub use catalogue::Catalogue;
pub use declare_limits::{configured_limits, declare_configured_limits, keep_report_limits};
pub use open_store::{
    DATABASE_URLS, DatabaseKind, check_store_url, diagnose_store, open_store, open_store_when_reachable, schema_state,
};
