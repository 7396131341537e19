//! The store: the truth. [`contract`] says what it does; `postgres` and `sqlite` do it.

mod arrivals;
mod coalesce;
mod contract;
mod doors;
mod lateness;
mod open;
mod postgres;
mod previews;
mod sqlite;

pub use arrivals::{ArrivalStore, InLine, Lineup, RunsOf};
pub use coalesce::Coalesced;
pub use contract::*;
pub use lateness::LatenessStore;
pub use open::open;
pub use postgres::PostgresStore;
pub use previews::{NewPreview, PREVIEW_BYTES, PreviewStore};
pub use sqlite::SqliteStore;
