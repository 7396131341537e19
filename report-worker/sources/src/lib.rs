//! Rows come from a source: a database that reports read from, never the service's own.
//!
//! A new kind of source is a folder here and a line in the table of `kinds.rs`.

mod batch_stream;
mod bind;
mod by_tenant;
mod configured;
mod conversion;
mod idle_connections;
mod kept;
mod kinds;
mod mysql;
mod postgres;
mod read_error;
mod report;
mod row_security;
mod set_digits;
mod source;
mod sqlite;
mod text_builder;
mod withhold;

pub use batch_stream::{BatchStream, RowCount};
pub use by_tenant::{SourcePlace, databases};
pub use configured::Sources;
pub use kept::read_kept;
pub use kinds::{SOURCE_KINDS, SourceKind, check_secured_url, check_url, dialect_of, open};
#[cfg(any(test, feature = "fuzzing"))]
pub use postgres::decode_copy;
pub use row_security::disagreement;
pub use source::{ReadRequest, Source, diagnose, explain};
