//! `/v1/admin/pauses`: what of the tenant's is paused. A tenant's operators pause its own jobs; who has the database pauses everybody's.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use model::job::Lane;
use model::pause::{PauseKind, PauseTarget};
use model::problem::{FieldError, Problem, ProblemKind, StoredProblem, pointer_part};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Pause, end_pause};
use utoipa::ToSchema;

use crate::auth::Identity;
use crate::body::read_json;
use crate::closed_sets::PauseKindName;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;

/// Longest name of what is paused.
const LONGEST: usize = 200;
/// The fields of what is paused.
const FIELDS: [&str; 2] = ["kind", "name"];

/// What to pause.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// What is to wait.
    #[schema(value_type = PauseKindName)]
    kind: String,
    /// Its name; of a tenant: one's own.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

/// A pause.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pause)]
pub struct PauseView {
    /// What waits.
    #[schema(value_type = PauseKindName)]
    kind: PauseKind,
    /// Its name.
    name: String,
    /// Whether only an operator of the whole service can end it: it holds for every tenant.
    everybody: bool,
    /// Who paused it; null where it holds for every tenant.
    paused_by: Option<String>,
    /// Since when.
    since: DateTime<Utc>,
}

/// What is paused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pauses)]
pub struct PausesView {
    /// By kind and name.
    pauses: Vec<PauseView>,
}

/// What became of a resume.
#[derive(Debug, Serialize, ToSchema)]
pub struct Resumed {
    /// Jobs that are in line again; of more than a thousand, those that the sweeper rings for meanwhile are not counted.
    released: u64,
}

impl PauseView {
    fn of(pause: Pause) -> Self {
        let everybody = pause.target.tenant.is_none();
        Self {
            kind: pause.target.kind,
            name: pause.target.name,
            everybody,
            paused_by: (!everybody).then_some(pause.by),
            since: pause.since,
        }
    }
}

/// Lists what of the tenant's is paused, also by an operator of the whole service.
#[utoipa::path(get, path = "/v1/admin/pauses", tag = "admin",
    responses((status = 200, description = "Every pause", body = PausesView))
)]
pub async fn list(gateway: web::Data<Gateway>, identity: Identity) -> ApiResult {
    Ok(HttpResponse::Ok().json(PausesView { pauses: pauses_of(&gateway, &identity.tenant).await? }))
}

async fn pauses_of(gateway: &Gateway, tenant: &str) -> Result<Vec<PauseView>, ApiError> {
    let concerns = |pause: &Pause| match &pause.target.tenant {
        Some(only) => only == tenant,
        None => pause.target.kind != PauseKind::Tenant || pause.target.name == tenant,
    };
    let pauses = gateway.store.pauses().await?;
    Ok(pauses.into_iter().filter(concerns).map(PauseView::of).collect())
}

/// Pauses a lane, a report, a source or the whole tenant: its jobs are accepted and wait, and those that run go on. Harmless when
/// repeated.
#[utoipa::path(post, path = "/v1/admin/pauses", tag = "admin", request_body = PauseRequest,
    responses(
        (status = 201, description = "The pause", body = PauseView),
        (status = 200, description = "It was paused already", body = PauseView),
        (status = 400, description = "invalid-body", body = StoredProblem),
        (status = 422, description = "validation-failed", body = StoredProblem),
    )
)]
pub async fn pause(
    gateway: web::Data<Gateway>,
    identity: Identity,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    let body = read_json(&request, payload, gateway.http.max_body.0).await?;
    let target = check(&body, &identity)?;
    if target.kind == PauseKind::Source {
        note_sources(&gateway, &target.name).await?;
    }
    let fresh = gateway.store.pause(&target, &identity.principal).await?;
    tracing::info!(tenant = identity.tenant, principal = identity.principal, %target, "paused");
    let pauses = pauses_of(&gateway, &identity.tenant).await?;
    let mut own = pauses.into_iter().filter(|pause| !pause.everybody);
    let view = own.find(|pause| pause.kind == target.kind && pause.name == target.name);
    let view = view.ok_or_else(|| {
        let detail = "Somebody resumed it in the same moment. GET /v1/admin/pauses says what is paused.";
        ApiError::new(ProblemKind::NotFound, detail)
    })?;
    Ok(if fresh { HttpResponse::Created() } else { HttpResponse::Ok() }.json(view))
}

/// Resumes what the tenant's operators have paused: its jobs are in line again.
#[utoipa::path(delete, path = "/v1/admin/pauses", tag = "admin",
    params(
        ("kind" = inline(PauseKindName), Query, description = "What is paused"),
        ("name" = String, Query, description = "Its name", min_length = 1, max_length = 200),
    ),
    responses(
        (status = 200, description = "How many jobs go on", body = Resumed),
        (status = 404, description = "not-found: it is not paused by this tenant", body = StoredProblem),
        (status = 422, description = "validation-failed", body = StoredProblem),
    )
)]
pub async fn resume(gateway: web::Data<Gateway>, identity: Identity, request: HttpRequest) -> ApiResult {
    let given = url::form_urlencoded::parse(request.query_string().as_bytes());
    let body = Value::Object(given.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect());
    let target = check(&body, &identity)?;
    let Some(released) = end_pause(gateway.store.as_ref(), &target).await? else {
        let detail = "This is not paused by your tenant. GET /v1/admin/pauses lists what is, and what only the operator of the \
                      service can resume.";
        return Err(ApiError::new(ProblemKind::NotFound, detail));
    };
    tracing::info!(tenant = identity.tenant, principal = identity.principal, %target, "resumed");
    Ok(HttpResponse::Ok().json(Resumed { released }))
}

/// Versions that were kept before this version of the service do not say where their rows come from.
async fn note_sources(gateway: &Gateway, source: &str) -> Result<(), ApiError> {
    for definition in gateway.catalogue.snapshot().reports.values().filter(|definition| definition.source == source) {
        gateway.store.note_source(&definition.version, source).await?;
    }
    Ok(())
}

fn check(body: &Value, identity: &Identity) -> Result<PauseTarget, ApiError> {
    let Value::Object(fields) = body else {
        let detail = "The body must be a JSON object such as {\"kind\": \"report\", \"name\": \"sales\"}.";
        return Err(ApiError::new(ProblemKind::InvalidBody, detail));
    };
    let mut errors = Vec::new();
    let mut wrong = |pointer: &str, detail: &str| {
        errors.push(FieldError { pointer: pointer.to_owned(), detail: detail.to_owned() });
    };
    for name in fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        let name: String = name.chars().take(100).collect();
        wrong(&format!("/{}", pointer_part(&name)), "is not a known field; there are kind and name");
    }
    let kind = fields.get("kind").and_then(Value::as_str).and_then(|kind| kind.parse::<PauseKind>().ok());
    if kind.is_none() {
        wrong("/kind", "must be lane, report, source or tenant");
    }
    let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
    match kind {
        _ if name.is_empty() || name.len() > LONGEST || name.chars().any(char::is_control) => {
            wrong("/name", "must be the name of what is meant, 1 to 200 bytes long");
        }
        Some(PauseKind::Lane) if name.parse::<Lane>().is_err() => {
            wrong("/name", &format!("must be a lane: {}", Lane::ALL.map(Lane::as_str).join(" or ")));
        }
        Some(PauseKind::Tenant) if name != identity.tenant => {
            wrong("/name", &format!("must be your own tenant, {}", identity.tenant));
        }
        _ => {}
    }
    match kind {
        Some(kind) if errors.is_empty() => Ok(PauseTarget::new(Some(&identity.tenant), kind, name)),
        _ => Err(Problem::invalid(errors).into()),
    }
}
