//! Definitions by version: each is read from the store once and kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::problem::{Problem, ProblemKind};
use report::{Query, ReportDefinition, parse_definition};
use store::{Store, StoreError};

/// Versions kept; when one more comes, all are forgotten and read again as they are needed.
const KEPT: usize = 1024;

/// A definition with its query parsed.
#[derive(Debug)]
pub struct Report {
    /// As the catalogue described it when the job was submitted.
    pub definition: ReportDefinition,
    /// Its SQL, split at the placeholders.
    pub query: Query,
}

impl Report {
    /// Parses the definition's query.
    ///
    /// # Errors
    /// Says what is wrong with the placeholders.
    pub fn new(definition: ReportDefinition) -> Result<Self, Problem> {
        let query = Query::parse(&definition.sql).map_err(|fault| Problem::new(ProblemKind::QueryFailed, fault))?;
        Ok(Self { definition, query })
    }
}

/// Why a version could not be had.
#[derive(Debug)]
pub(crate) enum DefinitionError {
    /// The store did not answer.
    Store(StoreError),
    /// It is gone or cannot be read.
    Broken(Problem),
}

/// Remembers definitions by version. A version never changes, so nothing here goes stale.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    kept: Mutex<HashMap<String, Arc<Report>>>,
}

impl Definitions {
    /// Returns the definition a job was submitted with.
    pub(crate) async fn report(&self, store: &dyn Store, version: &str) -> Result<Arc<Report>, DefinitionError> {
        if let Some(report) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(version) {
            return Ok(Arc::clone(report));
        }
        let found = store.report_version(version).await.map_err(DefinitionError::Store)?;
        let Some((name, text)) = found else {
            return Err(DefinitionError::Broken(missing(format!("no definition is kept under the version {version}"))));
        };
        let definition = parse_definition(&name, &text).map_err(|fault| {
            DefinitionError::Broken(missing(format!("the definition kept under {version} cannot be read: {fault}")))
        })?;
        let report = Arc::new(Report::new(definition).map_err(DefinitionError::Broken)?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(version.to_owned(), Arc::clone(&report));
        Ok(report)
    }
}

fn missing(detail: String) -> Problem {
    Problem::new(ProblemKind::ReportVersionMissing, detail)
}
