//! A report as sources read it.

use std::sync::Arc;
use std::time::Duration;

use model::job::{Caller, Params};
use model::problem::{Problem, ProblemKind};
use report::{Dialect, Query, ReportDefinition};
use tokio_util::sync::CancellationToken;

use crate::source::ReadRequest;

/// A definition with its query read by the rules of its source.
#[derive(Debug)]
pub(crate) struct PreparedReport {
    /// As the catalogue described it when the job was submitted.
    pub(crate) definition: Arc<ReportDefinition>,
    /// Its SQL, cut at the placeholders.
    pub(crate) query: Query,
}

impl PreparedReport {
    /// Reads the definition's query.
    ///
    /// # Errors
    /// Says what is wrong with the query or a placeholder.
    pub(crate) fn new(definition: Arc<ReportDefinition>, dialect: Dialect) -> Result<Self, Problem> {
        let query = definition.query(dialect).map_err(|fault| Problem::new(ProblemKind::QueryFailed, fault))?;
        Ok(Self { definition, query })
    }
}

/// A request whose query has been read.
#[derive(Debug)]
pub(crate) struct PreparedRequest {
    pub(crate) report: PreparedReport,
    pub(crate) params: Params,
    pub(crate) caller: Caller,
    pub(crate) timeout: Duration,
    pub(crate) cancel: CancellationToken,
}

impl PreparedRequest {
    /// Reads the request's query.
    ///
    /// # Errors
    /// Those of [`PreparedReport::new`].
    pub(crate) fn new(request: ReadRequest, dialect: Dialect) -> Result<Self, Problem> {
        let ReadRequest { report, params, caller, timeout, cancel } = request;
        Ok(Self { report: PreparedReport::new(report, dialect)?, params, caller, timeout, cancel })
    }
}
