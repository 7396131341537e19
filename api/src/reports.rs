//! `GET /v1/reports`, `GET /v1/reports/{name}`, and which versions of them jobs were submitted with.

use actix_web::{HttpResponse, web};
use model::artifact::Format;
use model::attributes::ATTRIBUTE_PREFIX;
use model::job::Lane;
use model::problem::ProblemKind;
use report::{ParamSpec, ReportDefinition, params_schema};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::auth::Identity;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;

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
    /// Attributes that it reads, by name. Credentials say them, and nobody is asked for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<AttributeView>,
}

/// What a report wants to know of whoever asks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportAttribute)]
pub struct AttributeView {
    /// As a token is minted with it.
    name: String,
    /// `text`, `integer`, `decimal`, `boolean`, `date` or `timestamp`.
    r#type: &'static str,
    /// Whether it is a list of these.
    list: bool,
    /// For people; may be empty.
    description: String,
}

/// The catalogue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reports)]
pub struct ReportsView {
    /// By name.
    reports: Vec<ReportView>,
}

impl ReportView {
    fn of(def: &ReportDefinition, identity: &Identity) -> Self {
        let mut params = params_schema(def);
        identity.hide_fixed(&mut params);
        Self {
            name: def.name.clone(),
            title: def.title.clone(),
            description: def.description.clone(),
            version: def.version.clone(),
            lane: def.lane,
            formats: def.formats.clone(),
            timeout: def.timeout.as_secs(),
            retention: def.retention.as_secs(),
            params,
            attributes: def.attributes.iter().map(AttributeView::of).collect(),
        }
    }
}

impl AttributeView {
    fn of(spec: &ParamSpec) -> Self {
        let name = spec.name.strip_prefix(ATTRIBUTE_PREFIX).unwrap_or(&spec.name).to_owned();
        Self { name, r#type: spec.kind.as_str(), list: spec.list, description: spec.description.clone() }
    }
}

/// Lists the reports in service.
#[utoipa::path(get, path = "/v1/reports", tag = "reports", responses(
    (status = 200, description = "The catalogue, by name", body = ReportsView)
))]
pub async fn list(gateway: web::Data<Gateway>, identity: Identity) -> ApiResult {
    let snapshot = gateway.catalogue.snapshot();
    let reports = snapshot.reports.values().filter(|def| identity.may_run(def));
    let reports = reports.map(|def| ReportView::of(def, &identity)).collect();
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
pub async fn read(gateway: web::Data<Gateway>, identity: Identity, name: web::Path<String>) -> ApiResult {
    match gateway.catalogue.report(&name).filter(|def| identity.may_run(def)) {
        Some(def) => Ok(HttpResponse::Ok().json(ReportView::of(&def, &identity))),
        None => Err(no_such_report()),
    }
}

/// Says that there is no such report. The name is not repeated: it is whatever the caller sent.
#[must_use]
pub fn no_such_report() -> ApiError {
    ApiError::new(ProblemKind::ReportNotFound, "The catalogue has no report of this name. GET /v1/reports lists them.")
}
