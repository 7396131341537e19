//! `POST /d/{token}/again`: whoever holds a link whose file has gone has the report made again, with the same parameters.
//!
//! The job is of the owner of the first one and sees what they may see. The token is what lets somebody do that; so it is only
//! done while the report is offered, its owner may still submit, and not more often than a few times an hour.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header::{HeaderValue, LOCATION, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, web};
use model::access::hash_token;
use model::attributes::Attributes;
use model::job::{Idempotency, Params};
use model::problem::{ProblemKind, StoredProblem};
use model::refusal::OnRefusal;
use model::seal::{SealError, SealedJob};
use moka::sync::Cache;
use parking_lot::Mutex;
use report::{ReportDefinition, check_attributes, validate_params};
use store::Submitted;
use uuid::Uuid;

use super::resolve::{self, LinkState, ResolvedLink};
use super::wants_page;
use crate::auth::check_owner;
use crate::cache;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::jobs::admission::{JobOrigin, PreparedJob};
use crate::jobs::submit_request::SubmitRequest;
use crate::trace::Trace;

/// How often one file may be made again.
const AN_HOUR: usize = 4;
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Files remembered.
const MAX_FILES: u64 = 10_000;

/// How often files were made again in the last hour, by this gateway.
#[derive(Debug)]
pub struct RegenerationLimiter(Cache<Uuid, Arc<Mutex<Vec<Instant>>>>);

impl Default for RegenerationLimiter {
    fn default() -> Self {
        Self(cache::bounded(MAX_FILES).time_to_idle(HOUR).build())
    }
}

impl RegenerationLimiter {
    /// Takes one of the tries that an artifact has.
    fn acquire(&self, artifact: Uuid) -> Result<(), ApiError> {
        let tries = self.0.get_with(artifact, Arc::default);
        let mut tries = tries.lock();
        tries.retain(|at| at.elapsed() < HOUR);
        if tries.len() >= AN_HOUR {
            let detail =
                "This report was made again several times in the last hour. Try again later, or ask for it anew.";
            let error = ApiError::new(ProblemKind::TooManyRequests, detail);
            return Err(error.header(RETRY_AFTER, HeaderValue::from_static("900")));
        }
        tries.push(Instant::now());
        Ok(())
    }
}

/// Makes the report of an expired link again, and sends whoever asked back to the link, which shows how far it is.
#[utoipa::path(post, path = "/d/{token}/again", tag = "links", security(()),
    params(("token" = String, Path, description = "From the mail, or from `link` of an artifact")),
    responses(
        (status = 303, description = "Back to the link, which leads to the new file once it is made"),
        (status = 401, description = "unauthorized: the report demands that whoever opens the link is signed in", body = StoredProblem),
        (status = 403, description = "forbidden: from another site's page, or its owner may not submit any more", body = StoredProblem),
        (status = 404, description = "link-not-found, report-not-found", body = StoredProblem),
        (status = 410, description = "link-revoked", body = StoredProblem),
        (status = 422, description = "validation-failed: the report has changed and does not take these parameters", body = StoredProblem),
        (status = 429, description = "too-many-requests", body = StoredProblem),
    )
)]
pub async fn again(
    gateway: web::Data<Gateway>,
    token: web::Path<String>,
    trace: web::ReqData<Trace>,
    request: HttpRequest,
) -> ApiResult {
    let answer = make(&gateway, &token, &trace.0.to_string(), &request).await;
    match answer {
        Err(error) if wants_page(&request) => {
            let pages = gateway.link_pages.for_reader(&request, None);
            let signed_out = error.kind() == ProblemKind::Unauthorized;
            if signed_out { pages.sign_in(&token) } else { pages.refuse(&error) }
        }
        answer => answer,
    }
}

async fn make(gateway: &Gateway, token: &str, trace: &str, request: &HttpRequest) -> ApiResult {
    // A page of another site must not start jobs through the browser of whoever has a link.
    gateway.sessions.refuse_cross_site(request, true)?;
    let found = resolve::find(gateway, token).await?;
    if matches!(found.state, LinkState::Revoked) {
        return Err(ApiError::new(
            ProblemKind::LinkRevoked,
            "The sender has revoked this link. Ask them for the report.",
        ));
    }
    super::check_visitor(gateway, &found, request).await?;
    if matches!(found.state, LinkState::Expired | LinkState::Failed(_)) {
        submit(gateway, &found, trace).await?;
    }
    // Relative, since a proxy may serve this under a prefix. The token is one that was found, so that it is made of letters, digits, hyphens and underscores.
    Ok(HttpResponse::SeeOther().insert_header((LOCATION, format!("../{token}"))).finish())
}

async fn submit(gateway: &Gateway, found: &ResolvedLink, trace: &str) -> Result<(), ApiError> {
    let report = gateway.catalogue.report(&found.job.report).ok_or_else(|| {
        ApiError::new(
            ProblemKind::ReportNotFound,
            "This report is no longer offered. Ask the people who run this service.",
        )
    })?;
    let params = same_params(gateway, &report, found)?;
    let attributes = same_attributes(gateway, &report, found)?;
    check_owner(gateway, &found.job).await?;
    gateway.regenerations.acquire(found.link.artifact.id)?;
    let _turn = gateway.limits.take_turn_of(&found.job.caller, None).await?;
    let formats = vec![found.link.artifact.format];
    // No age: the data of today are what the button promises.
    let (on_refusal, notify) = (OnRefusal::Fail, Vec::new());
    let request =
        SubmitRequest { report, params, attributes, formats, on_refusal, notify, max_age: None, made_from: None };
    match PreparedJob::prepare(gateway, request, origin(found, trace)).await?.submit(gateway).await? {
        Submitted::Created(job) | Submitted::Replayed(job) => {
            tracing::info!(job = %job.id, tenant = %job.caller.tenant, "a report is made again for an expired link");
            metrics::counter!("waitless_links_made_again_total").increment(1);
            Ok(gateway.store.remember_again(found.hash, job.id).await?)
        }
        other => Err(ApiError::internal("make a report again", &format!("{other:?}"))),
    }
}

/// Returns the parameters of the first job, if the report still takes them.
fn same_params(gateway: &Gateway, report: &ReportDefinition, found: &ResolvedLink) -> Result<Params, ApiError> {
    if !report.formats.contains(&found.link.artifact.format) {
        return Err(changed());
    }
    let given = gateway.seal_keys.open(SealedJob::from(&found.job), &found.job.params);
    let mut given = given.map_err(|error| closed(found, &error))?;
    given.retain(|_, value| !value.is_null());
    validate_params(report, &given).map_err(|_| changed())
}

/// Returns what was known of the owner of the first job when they submitted it, if that is what the report still reads.
fn same_attributes(gateway: &Gateway, report: &ReportDefinition, found: &ResolvedLink) -> Result<Attributes, ApiError> {
    let attributes = found.job.attributes.open(&gateway.seal_keys, SealedJob::from(&found.job));
    let attributes = attributes.map_err(|error| closed(found, &error))?;
    check_attributes(report, &attributes).map(|_| attributes).map_err(|_| changed())
}

fn changed() -> ApiError {
    let detail = "The report has changed since: it cannot be made again as it was. Ask for it anew.";
    ApiError::new(ProblemKind::ValidationFailed, detail)
}

fn closed(found: &ResolvedLink, error: &SealError) -> ApiError {
    tracing::warn!(job = %found.job.id, %error, "a report cannot be made again");
    let detail = "What this report was made with cannot be opened any more: it cannot be made again. Ask for it anew.";
    ApiError::new(ProblemKind::ValidationFailed, detail)
}

/// Two clicks at once are one job: the key is made of the job whose file has gone, or which failed.
fn origin(found: &ResolvedLink, trace: &str) -> JobOrigin {
    let before = match &found.state {
        LinkState::Failed(job) => job.id,
        _ => found.link.again_job_id.unwrap_or(found.job.id),
    };
    let key = format!("again:{}:{before}", found.link.artifact.id);
    let idempotency = Some(Idempotency::new(key.clone(), hash_token(&key)));
    JobOrigin { caller: found.job.caller.clone(), traceparent: trace.to_owned(), idempotency }
}
