//! The contract of sources.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::attributes::Attributes;
use model::finding::Findings;
use model::job::{Caller, Params};
use model::problem::Problem;
use report::ReportDefinition;
use tokio_util::sync::CancellationToken;

use crate::batch_stream::BatchStream;
use crate::kinds::open;

/// One wish to read a report's rows.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// As the catalogue described it when the job was submitted.
    pub report: Arc<ReportDefinition>,
    /// Canonical parameters.
    pub params: Params,
    /// Bound to `:tenant` and `:principal`.
    pub caller: Caller,
    /// Bound to `:attribute.<name>`: what was known of the caller when the job was submitted.
    pub attributes: Attributes,
    /// The source itself gives up after this time.
    pub timeout: Duration,
    /// Stops the query at the server.
    pub cancel: CancellationToken,
}

/// A database that reports read from. One conformance suite (`tests/it/contract.rs`) runs on every implementation.
///
/// Rules for every implementation:
/// * A read sees one snapshot and cannot write.
/// * Memory is bounded whatever the number of rows: batches are limited in rows and bytes, and a slow reader slows the query.
/// * Cancelling the request, or dropping the [`BatchStream`], stops the query at the server.
/// * What a query leaves behind (settings, locks, variables, temporary tables, prepared statements) reaches no other read, and nothing
///   it does is felt by the process.
/// * A value that cannot be handed on exactly fails the read with the column's name; nothing is rounded or dropped.
///   What it is, is told by its column, never guessed from how it looks.
/// * The words of a database's error are withheld where a parameter is sensitive or an attribute is read: they may hold its value,
///   changed by the query.
#[async_trait]
pub trait Source: Send + Sync + std::fmt::Debug {
    /// Opens a snapshot and starts the query.
    async fn read(&self, request: ReadRequest) -> Result<BatchStream, Problem>;
    /// Prepares the report's query without running it and returns the names of its columns.
    async fn explain(&self, report: Arc<ReportDefinition>) -> Result<Vec<String>, Problem>;
    /// Connects, notes which server it is and whether our user there could write, and what to do about it. Changes nothing.
    async fn diagnose(&self, findings: &mut Findings);
}

/// Prepares a definition's query at its source without running it, and returns the names of its columns.
///
/// # Errors
/// The query's fault as the source tells it, or why the source cannot be asked.
pub async fn explain(source: &configuration::Source, definition: &ReportDefinition) -> Result<Vec<String>, Problem> {
    open(source)?.explain(Arc::new(definition.clone())).await
}

/// Connects to a source and notes how it stands.
pub async fn diagnose(source: &configuration::Source, findings: &mut Findings) {
    match open(source) {
        Ok(source) => source.diagnose(findings).await,
        Err(problem) => findings.fail(problem.detail, "correct its url"),
    }
}

/// What is to be done where a source cannot be reached or does not let us in.
pub(crate) const UNREACHABLE_ADVICE: &str = "see that the server runs, that host and port can be reached from here, and that user, password and database are right";

/// Notes whether a user who should only read could do more.
pub(crate) fn note_rights(could_write: bool, findings: &mut Findings) {
    if could_write {
        findings.warn(
            "its user could write; every read of ours is read-only, and a report's author is not to rely on that alone",
            "make a user who may only select, and use it in this source's url",
        );
    } else {
        findings.ok("its user may only read");
    }
}
