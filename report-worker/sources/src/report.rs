//! A report as sources read it.

use model::problem::{Problem, ProblemKind};
use report::{Query, ReportDefinition};

/// A definition with its query parsed.
#[derive(Debug)]
pub struct PreparedReport {
    /// As the catalogue described it when the job was submitted.
    pub definition: ReportDefinition,
    /// Its SQL, split at the placeholders.
    pub query: Query,
}

impl PreparedReport {
    /// Parses the definition's query.
    ///
    /// # Errors
    /// Says what is wrong with the placeholders.
    pub fn new(definition: ReportDefinition) -> Result<Self, Problem> {
        let query = Query::parse(&definition.sql).map_err(|fault| Problem::new(ProblemKind::QueryFailed, fault))?;
        Ok(Self { definition, query })
    }
}
