//! Rows come from a source: a database that reports read from, never the service's own.

mod bind;
mod catalog;
mod kept;
mod meaning;
mod mysql;
mod postgres;
mod reading;
mod sqlite;
mod text;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::job::{Caller, Params};
use model::problem::{Problem, ProblemKind};
use report::ReportDefinition;
use tokio_util::sync::CancellationToken;

use crate::definition::Report;

pub use catalog::Sources;
pub(crate) use kept::read_kept;
pub use meaning::{JSON, is_json, json_field, numeric_field, read_column, spell_column};
#[cfg(any(test, feature = "fuzzing"))]
pub use postgres::decode_copy;
pub(crate) use reading::BATCH_ROWS;
pub use reading::{NUMERIC, PRECISION, Reading, SCALE, Total, VALUE_KIND, declared_digits, is_numeric};

/// One wish to read a report's rows.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// The definition and its parsed query.
    pub report: Arc<Report>,
    /// Canonical parameters.
    pub params: Params,
    /// Bound to `:tenant` and `:principal`.
    pub caller: Caller,
    /// The source itself gives up after this time.
    pub timeout: Duration,
    /// Stops the query at the server.
    pub cancel: CancellationToken,
}

/// A database that reports read from. One conformance suite (`tests/it/source.rs`) runs on every implementation.
///
/// Rules for every implementation:
/// * A read sees one snapshot and cannot write.
/// * Memory is bounded whatever the number of rows: batches are limited in rows and bytes, and a slow reader slows the query.
/// * Cancelling the request, or dropping the [`Reading`], stops the query at the server.
/// * A value that cannot be handed on exactly fails the read with the column's name; nothing is rounded or dropped.
#[async_trait]
pub trait Source: Send + Sync + std::fmt::Debug {
    /// Opens a snapshot and starts the query.
    async fn read(&self, request: ReadRequest) -> Result<Reading, Problem>;
    /// Prepares the report's query without running it and returns the names of its columns.
    async fn explain(&self, report: &Report) -> Result<Vec<String>, Problem>;
}

/// Opens a source by the scheme of its URL. Connects on first use.
///
/// # Errors
/// Says which schemes there are when the URL has another one, and what is wrong with a URL that cannot be read.
pub fn open(source: &configuration::Source) -> Result<Arc<dyn Source>, Problem> {
    let url = source.url.expose();
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Arc::new(postgres::PostgresSource::open(url)?));
    }
    if url.starts_with("mysql://") || url.starts_with("mariadb://") {
        return Ok(Arc::new(mysql::MysqlSource::open(url)?));
    }
    if let Some(path) = url.strip_prefix("sqlite:") {
        return Ok(Arc::new(sqlite::SqliteSource::open(path)));
    }
    let scheme = url.split(':').next().unwrap_or_default();
    Err(Problem::new(
        ProblemKind::SourceUnknown,
        format!(
            "sources of the kind `{scheme}:` are not known; use postgres://…, mysql://…, mariadb://… or sqlite:<path>"
        ),
    ))
}

/// Prepares a definition's query at its source without running it, and returns the names of its columns.
///
/// # Errors
/// The query's fault as the source tells it, or why the source cannot be asked.
pub async fn explain(source: &configuration::Source, definition: &ReportDefinition) -> Result<Vec<String>, Problem> {
    let report = Report::new(definition.clone())?;
    open(source)?.explain(&report).await
}
