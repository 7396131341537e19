//! `GET /v1/reports`, `GET /v1/reports/{name}`, and which versions of them jobs were submitted with.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use actix_web::{HttpResponse, web};
use model::artifact::Format;
use model::job::{Job, Lane, Params};
use model::problem::ProblemKind;
use report::{ReportDefinition, params_schema, parse_definition};
use serde::Serialize;
use serde_json::Value;
use store::{Store, StoreError};
use utoipa::ToSchema;

use crate::auth::Identity;
use crate::gateway::Gateway;
use crate::problem::{Answer, Fault};

/// One report of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Report)]
pub struct ReportView {
    /// What a submit calls it.
    name: String,
    /// For people.
    title: String,
    /// For people; may be empty.
    description: String,
    /// `sha256:…` of the definition.
    version: String,
    /// `interactive` or `bulk`.
    #[schema(value_type = String)]
    lane: Lane,
    /// Formats it can be made in; the first one is made when a submit names none.
    #[schema(value_type = Vec<String>)]
    formats: Vec<Format>,
    /// Longest time of one attempt, in seconds.
    timeout: u64,
    /// How long the files are kept, in seconds.
    retention: u64,
    /// JSON Schema (2020-12) of its parameters.
    #[schema(value_type = Object)]
    params: Value,
}

/// The catalogue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reports)]
pub struct ReportsView {
    /// By name.
    reports: Vec<ReportView>,
}

impl ReportView {
    fn of(def: &ReportDefinition) -> Self {
        Self {
            name: def.name.clone(),
            title: def.title.clone(),
            description: def.description.clone(),
            version: def.version.clone(),
            lane: def.lane,
            formats: def.formats.clone(),
            timeout: def.timeout.as_secs(),
            retention: def.retention.as_secs(),
            params: params_schema(def),
        }
    }
}

/// Lists the reports in service.
#[utoipa::path(get, path = "/v1/reports", tag = "reports", responses(
    (status = 200, description = "The catalogue, by name", body = ReportsView)
))]
pub async fn list(gateway: web::Data<Gateway>, _identity: Identity) -> Answer {
    let snapshot = gateway.catalogue.snapshot();
    let reports = snapshot.reports.values().map(|def| ReportView::of(def)).collect();
    Ok(HttpResponse::Ok().json(ReportsView { reports }))
}

/// Shows one report with the JSON Schema of its parameters.
#[utoipa::path(get, path = "/v1/reports/{name}", tag = "reports",
    params(("name" = String, Path, description = "The report's name")),
    responses(
        (status = 200, description = "The report", body = ReportView),
        (status = 404, description = "report-not-found", body = model::problem::StoredProblem),
    )
)]
pub async fn read(gateway: web::Data<Gateway>, _identity: Identity, name: web::Path<String>) -> Answer {
    match gateway.catalogue.report(&name) {
        Some(def) => Ok(HttpResponse::Ok().json(ReportView::of(&def))),
        None => Err(no_such_report()),
    }
}

/// Says that there is no such report. The name is not repeated: it is whatever the caller sent.
#[must_use]
pub fn no_such_report() -> Fault {
    Fault::new(ProblemKind::ReportNotFound, "The catalogue has no report of this name. GET /v1/reports lists them.")
}

/// Parameters of one report version that must not be shown.
#[derive(Debug)]
pub enum Hidden {
    /// These.
    Named(Vec<String>),
    /// All of them: the definition cannot be read, so nobody knows.
    All,
}

/// What stands in place of a sensitive value.
const HIDDEN: &str = "(hidden)";

impl Hidden {
    fn of(def: &ReportDefinition) -> Self {
        Self::Named(def.params.iter().filter(|spec| spec.sensitive).map(|spec| spec.name.clone()).collect())
    }

    /// Returns `params` with sensitive values replaced.
    #[must_use]
    pub fn cover<'a>(&self, params: &'a Params) -> std::borrow::Cow<'a, Params> {
        let covered = |name: &String| match self {
            Self::Named(names) => names.contains(name),
            Self::All => true,
        };
        if !params.keys().any(covered) {
            return std::borrow::Cow::Borrowed(params);
        }
        let cover = |(name, value): (&String, &Value)| {
            let shown = if covered(name) && !value.is_null() { Value::from(HIDDEN) } else { value.clone() };
            (name.clone(), shown)
        };
        std::borrow::Cow::Owned(params.iter().map(cover).collect())
    }
}

/// A gateway forgets all versions when it knows this many, so that memory is bounded.
const MAX_VERSIONS: usize = 4096;

/// Report versions known to be kept by the store.
#[derive(Debug)]
pub struct Versions {
    store: Arc<dyn Store>,
    known: RwLock<HashMap<String, Arc<Hidden>>>,
}

impl Versions {
    /// Knows none yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: RwLock::default() }
    }

    /// Makes sure that the store keeps this version, so that a worker can run a job of it whatever becomes of the catalogue.
    ///
    /// # Errors
    /// The store's.
    pub async fn keep(&self, def: &ReportDefinition) -> Result<Arc<Hidden>, StoreError> {
        if let Some(hidden) = self.get(&def.version) {
            return Ok(hidden);
        }
        self.store.save_report_version(&def.version, &def.name, &def.text).await?;
        Ok(self.remember(&def.version, Hidden::of(def)))
    }

    /// Says what of a job's parameters must not be shown.
    ///
    /// # Errors
    /// The store's.
    pub async fn hidden(&self, job: &Job) -> Result<Arc<Hidden>, StoreError> {
        if let Some(hidden) = self.get(&job.report_version) {
            return Ok(hidden);
        }
        let kept = self.store.report_version(&job.report_version).await?;
        let parsed = kept.and_then(|(name, text)| parse_definition(&name, &text).ok());
        Ok(match parsed {
            Some(def) => self.remember(&job.report_version, Hidden::of(&def)),
            None => Arc::new(Hidden::All),
        })
    }

    /// Reads the definition a job was submitted with, whatever the catalogue says now.
    ///
    /// # Errors
    /// The store's; `report-version-missing`.
    pub async fn definition(&self, job: &Job) -> Result<ReportDefinition, Fault> {
        let kept = self.store.report_version(&job.report_version).await?;
        let parsed = kept.and_then(|(name, text)| parse_definition(&name, &text).ok());
        parsed.ok_or_else(|| {
            let detail = "The definition this job was made with cannot be read any more. Submit the report again.";
            Fault::new(ProblemKind::ReportVersionMissing, detail)
        })
    }

    fn get(&self, version: &str) -> Option<Arc<Hidden>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(version).cloned()
    }

    fn remember(&self, version: &str, hidden: Hidden) -> Arc<Hidden> {
        let hidden = Arc::new(hidden);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_VERSIONS {
            known.clear();
        }
        known.insert(version.to_owned(), Arc::clone(&hidden));
        hidden
    }
}
