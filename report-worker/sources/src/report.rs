//! A report as sources read it.

use std::sync::Arc;
use std::time::Duration;

use model::attributes::ATTRIBUTE_PREFIX;
use model::job::{Caller, Params};
use model::problem::{Problem, ProblemKind};
use report::{Dialect, Query, ReportDefinition, check_attributes};
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
    /// Canonical, by the names of their placeholders.
    pub(crate) attributes: Params,
    pub(crate) caller: Caller,
    pub(crate) timeout: Duration,
    pub(crate) cancel: CancellationToken,
}

impl PreparedRequest {
    /// Reads the request's query.
    ///
    /// # Errors
    /// Those of [`PreparedReport::new`], and attributes that the report reads and the job has not.
    pub(crate) fn new(request: ReadRequest, dialect: Dialect) -> Result<Self, Problem> {
        let ReadRequest { report, params, caller, attributes, timeout, cancel } = request;
        let attributes = check_attributes(&report, &attributes).map_err(|unread| {
            let names: Vec<String> = unread.iter().map(|one| format!(":{ATTRIBUTE_PREFIX}{}", one.name)).collect();
            let detail =
                format!("nothing is known of the job's owner that could be {}; submit it anew", names.join(", "));
            Problem::new(ProblemKind::QueryFailed, detail)
        })?;
        Ok(Self { report: PreparedReport::new(report, dialect)?, params, attributes, caller, timeout, cancel })
    }
}
