//! Which versions of reports jobs were submitted with, and what of their parameters must not be shown.

use std::borrow::Cow;
use std::sync::Arc;

use model::job::{Job, Params};
use model::problem::ProblemKind;
use moka::sync::Cache;
use report::{ReportDefinition, Viewer, parse_definition, viewers_of};
use serde_json::Value;
use store::{Store, StoreError};

use crate::cache;
use crate::error::ApiError;

/// Parameters of one report version that must not be shown.
#[derive(Debug)]
pub enum SensitiveParams {
    /// These.
    Named(Vec<String>),
    /// All of them: the definition cannot be read, so nobody knows.
    All,
}

/// What stands in place of a sensitive value.
const REDACTED: &str = "(hidden)";

impl SensitiveParams {
    fn of(def: &ReportDefinition) -> Self {
        Self::Named(def.params.iter().filter(|spec| spec.sensitive).map(|spec| spec.name.clone()).collect())
    }

    /// Returns `params` with sensitive values replaced.
    #[must_use]
    pub fn redact<'a>(&self, params: &'a Params) -> Cow<'a, Params> {
        let is_sensitive = |name: &String| match self {
            Self::Named(names) => names.contains(name),
            Self::All => true,
        };
        if !params.keys().any(is_sensitive) {
            return Cow::Borrowed(params);
        }
        let redact = |(name, value): (&String, &Value)| {
            let shown = if is_sensitive(name) && !value.is_null() { Value::from(REDACTED) } else { value.clone() };
            (name.clone(), shown)
        };
        Cow::Owned(params.iter().map(redact).collect())
    }
}

/// Versions that are remembered at most.
const MAX_VERSIONS: u64 = 4096;

/// Definitions that are remembered whole at most.
const MAX_READ: u64 = 256;

/// Report versions known to be kept by the store.
#[derive(Debug)]
pub struct ReportVersions {
    store: Arc<dyn Store>,
    known: Cache<String, Arc<SensitiveParams>>,
    read: Cache<String, Arc<ReportDefinition>>,
    viewers: Cache<String, Option<Vec<Viewer>>>,
}

impl ReportVersions {
    /// Knows none yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            known: cache::bounded(MAX_VERSIONS).build(),
            read: cache::bounded(MAX_READ).build(),
            viewers: cache::bounded(MAX_VERSIONS).build(),
        }
    }

    /// Makes sure that the store keeps this version, so that a worker can run a job of it whatever becomes of the catalogue.
    ///
    /// # Errors
    /// The store's.
    pub async fn ensure_saved(&self, def: &ReportDefinition) -> Result<Arc<SensitiveParams>, StoreError> {
        if let Some(sensitive) = self.known.get(&def.version) {
            return Ok(sensitive);
        }
        self.store.save_report_version(&def.version, &def.name, &def.text).await?;
        self.store.note_source(&def.version, &def.source).await?;
        Ok(self.remember(&def.version, SensitiveParams::of(def)))
    }

    /// Says what of a job's parameters must not be shown.
    ///
    /// # Errors
    /// The store's.
    pub async fn sensitive_params(&self, job: &Job) -> Result<Arc<SensitiveParams>, StoreError> {
        if let Some(sensitive) = self.known.get(&job.report_version) {
            return Ok(sensitive);
        }
        Ok(match self.find(&job.report_version).await? {
            Some(def) => self.remember(&job.report_version, SensitiveParams::of(&def)),
            None => Arc::new(SensitiveParams::All),
        })
    }

    /// Reads the definition a job was submitted with, whatever the catalogue says now.
    ///
    /// # Errors
    /// The store's; `report-version-missing`.
    pub async fn definition(&self, job: &Job) -> Result<Arc<ReportDefinition>, ApiError> {
        self.find(&job.report_version).await?.ok_or_else(|| {
            let detail = "The definition this job was made with cannot be read any more. Submit the report again.";
            ApiError::new(ProblemKind::ReportVersionMissing, detail)
        })
    }

    /// Reads the definition of a version. `None`: there is none, or none that can be read any more.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, version: &str) -> Result<Option<Arc<ReportDefinition>>, StoreError> {
        if let Some(read) = self.read.get(version) {
            return Ok(Some(read));
        }
        let kept = self.store.report_version(version).await?;
        let read = kept.and_then(|(name, text)| parse_definition(&name, &text).ok()).map(Arc::new);
        if let Some(read) = &read {
            self.read.insert(version.to_owned(), Arc::clone(read));
        }
        Ok(read)
    }

    /// Says who might see the report in this version of it; `None`: everybody. Where nobody can say, nobody.
    ///
    /// # Errors
    /// The store's.
    pub async fn viewers(&self, version: &str) -> Result<Option<Vec<Viewer>>, StoreError> {
        if let Some(viewers) = self.viewers.get(version) {
            return Ok(viewers);
        }
        let Some((_, text)) = self.store.report_version(version).await? else { return Ok(Some(Vec::new())) };
        let viewers = viewers_of(&text);
        self.viewers.insert(version.to_owned(), viewers.clone());
        Ok(viewers)
    }

    fn remember(&self, version: &str, sensitive: SensitiveParams) -> Arc<SensitiveParams> {
        let sensitive = Arc::new(sensitive);
        self.known.insert(version.to_owned(), Arc::clone(&sensitive));
        sensitive
    }
}
