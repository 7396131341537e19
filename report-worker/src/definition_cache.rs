//! Definitions by version: each is read from the store once and kept.

use std::collections::HashMap;
use std::sync::Arc;

use model::problem::{Problem, ProblemKind};
use parking_lot::Mutex;
use report::{ReportDefinition, parse_definition};
use store::{Store, StoreError};

/// Versions kept; when one more comes, all are forgotten and read again as they are needed.
const MAX_DEFINITIONS: usize = 1024;

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
pub(crate) struct DefinitionCache {
    definitions: Mutex<HashMap<String, Arc<ReportDefinition>>>,
}

impl DefinitionCache {
    /// Returns the definition a job was submitted with.
    pub(crate) async fn report(
        &self,
        store: &dyn Store,
        version: &str,
    ) -> Result<Arc<ReportDefinition>, DefinitionError> {
        if let Some(report) = self.definitions.lock().get(version) {
            return Ok(Arc::clone(report));
        }
        let found = store.report_version(version).await.map_err(DefinitionError::Store)?;
        let Some((name, text)) = found else {
            return Err(DefinitionError::Broken(missing(format!("no definition is kept under the version {version}"))));
        };
        let definition = parse_definition(&name, &text).map_err(|fault| {
            DefinitionError::Broken(missing(format!("the definition kept under {version} cannot be read: {fault}")))
        })?;
        let report = Arc::new(definition);
        let mut definitions = self.definitions.lock();
        if definitions.len() >= MAX_DEFINITIONS {
            definitions.clear();
        }
        definitions.insert(version.to_owned(), Arc::clone(&report));
        Ok(report)
    }
}

fn missing(detail: String) -> Problem {
    Problem::new(ProblemKind::ReportVersionMissing, detail)
}
