//! `/v1/admin/dead-letters`: failed jobs of the whole tenant, and running them again, one or many.

use actix_web::{HttpRequest, HttpResponse, web};
use model::job::{Caller, Job, JobState};
use model::problem::{FieldError, Problem, ProblemKind, StoredProblem, pointer_part};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Changed, JobFilter};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{Identity, check_owner};
use crate::body::read_json;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::jobs::find::sees_report;
use crate::jobs::list::{JobsView, ListQuery, Page, parse_query};
use crate::jobs::parse_id;
use crate::jobs::replay::answer_replay;
use crate::jobs::view::JobView;

/// Jobs replayed by one call at most.
const MAX_REPLAYS: usize = 100;

/// Lists failed jobs of every principal of the tenant, newest first. `state` cannot be chosen.
#[utoipa::path(get, path = "/v1/admin/dead-letters", tag = "admin",
    params(
        ("report" = Option<String>, Query, description = "Only jobs of this report"),
        ("limit" = Option<u32>, Query, description = "Jobs a page, at most `http.max_page`", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "From `next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = JobsView),
        (status = 400, description = "invalid-query", body = StoredProblem),
    )
)]
pub async fn list(gateway: web::Data<Gateway>, identity: Identity, request: HttpRequest) -> ApiResult {
    let query: ListQuery = parse_query(&request)?;
    if query.has_state() {
        return Err(ApiError::new(ProblemKind::InvalidQuery, "Dead letters are failed jobs; leave `state` out."));
    }
    let page = Page::open(&gateway, &identity, &query, "dead-letters")?;
    let filter = JobFilter {
        caller: Caller::clone(&identity),
        whole_tenant: true,
        state: Some(JobState::Failed),
        report: query.report(),
        before: page.before,
        limit: page.limit + 1,
    };
    let jobs = gateway.store.jobs(filter).await?;
    page.answer(&gateway, &identity, (&request, &query), jobs).await
}

/// Runs one failed job of the tenant's again.
#[utoipa::path(post, path = "/v1/admin/dead-letters/{id}/replay", tag = "admin",
    params(("id" = Uuid, Path, description = "The job's id")),
    responses(
        (status = 202, description = "The job, pending again", body = JobView),
        (status = 403, description = "forbidden: its owner may not run reports any more", body = StoredProblem),
        (status = 404, description = "job-not-found", body = StoredProblem),
        (status = 409, description = "wrong-state: it has not failed", body = StoredProblem),
        (status = 429, description = "quota-exhausted: its owner's", body = StoredProblem),
    )
)]
pub async fn replay_one(
    gateway: web::Data<Gateway>,
    identity: Identity,
    id: web::Path<String>,
    request: HttpRequest,
) -> ApiResult {
    let id = parse_id(&id)?;
    let job = job_in_tenant(&gateway, &identity, id).await?.ok_or_else(ApiError::no_such_job)?;
    check_owner(&gateway, &job).await?;
    gateway.limits.check_runs(&job.caller).await?;
    answer_replay(&gateway, &job.caller, id, &request).await
}

/// Which jobs to run again.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[serde(deny_unknown_fields)]
pub struct ReplayMany {
    /// 1 to 100 ids of failed jobs.
    #[schema(min_items = 1, max_items = 100)]
    jobs: Vec<Uuid>,
}

/// What became of each job.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayedMany {
    /// Pending again.
    replayed: Vec<Uuid>,
    /// Not failed, or not any more.
    wrong_state: Vec<Uuid>,
    /// No such job of this tenant.
    not_found: Vec<Uuid>,
    /// Their owners may not run reports any more, or have used what they may today.
    not_allowed: Vec<Uuid>,
}

/// Runs many failed jobs of the tenant's again.
#[utoipa::path(post, path = "/v1/admin/dead-letters/replay", tag = "admin", request_body = ReplayMany,
    responses(
        (status = 200, description = "What became of each", body = ReplayedMany),
        (status = 400, description = "invalid-body", body = StoredProblem),
        (status = 422, description = "validation-failed", body = StoredProblem),
    )
)]
pub async fn replay_many(
    gateway: web::Data<Gateway>,
    identity: Identity,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    let body = read_json(&request, payload, gateway.http.max_body.0).await?;
    let mut outcome =
        ReplayedMany { replayed: Vec::new(), wrong_state: Vec::new(), not_found: Vec::new(), not_allowed: Vec::new() };
    for id in check(&body)? {
        let changed = match job_in_tenant(&gateway, &identity, id).await? {
            Some(job) => match may_run_again(&gateway, &job).await {
                Ok(()) => gateway.store.replay(&job.caller, id).await?,
                Err(error) if matches!(error.kind(), ProblemKind::Forbidden | ProblemKind::QuotaExhausted) => {
                    outcome.not_allowed.push(id);
                    continue;
                }
                Err(error) => return Err(error),
            },
            None => Changed::NotFound,
        };
        match changed {
            Changed::Yes(_) => outcome.replayed.push(id),
            Changed::WrongState(_) => outcome.wrong_state.push(id),
            Changed::NotFound => outcome.not_found.push(id),
        }
    }
    Ok(HttpResponse::Ok().json(outcome))
}

/// Reads `{"jobs": [id, …]}`.
fn check(body: &Value) -> Result<Vec<Uuid>, ApiError> {
    let Value::Object(fields) = body else {
        return Err(ApiError::new(
            ProblemKind::InvalidBody,
            "The body must be a JSON object such as {\"jobs\": [\"…\"]}.",
        ));
    };
    let mut errors = Vec::new();
    let mut wrong = |pointer: String, detail: &str| errors.push(FieldError { pointer, detail: detail.to_owned() });
    for name in fields.keys().filter(|name| *name != "jobs") {
        let name: String = name.chars().take(100).collect();
        wrong(format!("/{}", pointer_part(&name)), "is not a known field; there is jobs");
    }
    let mut ids = Vec::new();
    match fields.get("jobs").and_then(Value::as_array) {
        Some(items) if (1..=MAX_REPLAYS).contains(&items.len()) => {
            for (index, item) in items.iter().enumerate() {
                match item.as_str().and_then(|text| Uuid::try_parse(text).ok()) {
                    Some(id) => ids.push(id),
                    None => wrong(format!("/jobs/{index}"), "must be the id of a job"),
                }
            }
        }
        _ => wrong("/jobs".to_owned(), "must be a list of 1 to 100 ids of jobs"),
    }
    if errors.is_empty() { Ok(ids) } else { Err(Problem::invalid(errors).into()) }
}

async fn may_run_again(gateway: &Gateway, job: &Job) -> Result<(), ApiError> {
    check_owner(gateway, job).await?;
    gateway.limits.check_runs(&job.caller).await
}

/// Reads a job, as long as it is one of the tenant's, and of a report that the operator may see.
pub(super) async fn job_in_tenant(gateway: &Gateway, identity: &Identity, id: Uuid) -> Result<Option<Job>, ApiError> {
    let job = gateway.store.job_by_id(id).await?.filter(|job| job.caller.tenant == identity.tenant);
    let Some(job) = job else { return Ok(None) };
    Ok(sees_report(gateway, identity, &job).await?.then_some(job))
}
