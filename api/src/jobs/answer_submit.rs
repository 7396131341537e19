//! Carries a checked submit out and answers it: written, or found to have been answered before, and waited for where the client would.

use std::time::Instant;

use actix_web::http::header::{ContentType, HeaderName, LOCATION, RETRY_AFTER};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use model::job::{Idempotency, Job};
use model::problem::ProblemKind;
use model::reuse::Served;
use store::Submitted;

use super::admission::PreparedJob;
use super::find::is_visible;
use super::submit_headers::SubmitHeaders;
use super::submit_request::SubmitRequest;
use super::view::{JobPresenter, retry_after};
use super::wait::{EndWait, Preference};
use crate::auth::Identity;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::limits::{RateLimitStatus, Turn};
use crate::report_versions::SensitiveParams;
use crate::trace::LoggedJob;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What the header fields of an answer say besides the job.
#[derive(Debug, Default)]
struct ResponseContext {
    rate_limit: Option<RateLimitStatus>,
    /// An identical job might have been the answer.
    may_be_reused: bool,
    replayed: bool,
    waited: bool,
    /// The job is as it is now, and not as it was submitted.
    looked_again: bool,
}

/// Carries out what was checked and answers.
///
/// # Errors
/// Those of the check, unless the request was answered before; `too-many-requests`, `idempotency-key-reused`; the store's.
pub(super) async fn answer_submit(
    gateway: &Gateway,
    identity: &Identity,
    request: &HttpRequest,
    mut headers: SubmitHeaders,
    checked: Result<SubmitRequest, ApiError>,
) -> ApiResult {
    let hides = |request: &SubmitRequest| request.report.has_sensitive_params() || !identity.attributes().is_empty();
    if checked.as_ref().is_ok_and(hides) {
        headers.hide_body();
    }
    let began = Instant::now();
    let mut context = ResponseContext::default();
    let mut wait = None;
    let submitted = match prepare(gateway, identity, &headers, checked).await {
        // The turn is held until the job is written, so that the next one of its principal is counted after it.
        Ok((prepared, _turn)) => {
            (context.rate_limit, context.may_be_reused) = (prepared.rate_limit(), prepared.may_be_reused());
            // First the subscription, then the store: what happens in between is heard.
            wait = headers.prefer.listen(gateway, identity, prepared.id());
            prepared.submit(gateway).await?
        }
        Err(error) => answer_before(gateway, identity, headers.idempotency.as_ref()).await.ok_or(error)?,
    };
    // What the client asked to wait for afterwards is no part of it.
    metrics::histogram!("waitless_submit_seconds").record(began.elapsed());
    let mut job = accept(submitted, &mut context)?;
    if context.replayed && !is_visible(gateway, identity, &job).await? {
        return Err(ApiError::no_such_job());
    }
    if !headers.may_read {
        job.artifacts.clear();
    }
    request.extensions_mut().insert(LoggedJob(job.id));
    // Of the version the job has, which a replay may have from long ago.
    let sensitive = gateway.report_versions.sensitive_params(&job).await?;
    let ended = if job.state.is_final() {
        None
    } else {
        // A repeat is about another job than the one that was made for it.
        let wait = wait
            .filter(|wait| wait.id() == job.id)
            .or_else(|| headers.prefer.listen(gateway, identity, job.id).map(EndWait::polling_first));
        context.waited = wait.is_some();
        match wait {
            Some(wait) => wait.for_the_end(gateway, identity).await.map_err(|end| end.problem())?,
            None => None,
        }
    };
    let presenter = JobPresenter::new(gateway, request);
    context.looked_again = ended.is_some();
    Ok(answer(&presenter, &ended.unwrap_or(*job), &sensitive, headers.prefer, &context))
}

async fn prepare(
    gateway: &Gateway,
    identity: &Identity,
    headers: &SubmitHeaders,
    checked: Result<SubmitRequest, ApiError>,
) -> Result<(PreparedJob, Option<Turn>), ApiError> {
    let mut request = checked?;
    request.prefer_language(headers.accept_language());
    let turn = gateway.limits.take_turn(identity).await?;
    Ok((PreparedJob::prepare(gateway, request, headers.origin(identity)).await?, turn))
}

/// Takes the job out of what the store answered.
fn accept(outcome: Submitted, context: &mut ResponseContext) -> Result<Box<Job>, ApiError> {
    let job = match outcome {
        Submitted::Created(job) => job,
        Submitted::Replayed(job) => {
            context.replayed = true;
            job
        }
        Submitted::KeyReused => {
            count("key-reused");
            return Err(ApiError::new(
                ProblemKind::IdempotencyKeyReused,
                "This Idempotency-Key came with another body before. Send the same body, or a new key for a new job.",
            ));
        }
        Submitted::Refused(why) => {
            count("refused");
            return Err(ApiError::internal("write a job", &why));
        }
    };
    count(if context.replayed { "replayed" } else { "created" });
    if !context.replayed {
        metrics::counter!("waitless_served_total", "served" => job.sharing.served.as_str()).increment(1);
    }
    Ok(job)
}

/// Looks for what the key was answered before. A repeat is answered the same although a new submit would be refused now: the
/// report may have changed or gone since, and the job itself may be what fills the limit.
async fn answer_before(gateway: &Gateway, identity: &Identity, idempotency: Option<&Idempotency>) -> Option<Submitted> {
    match gateway.store.find_submitted(identity, idempotency?).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "could not look whether a refused submit is a repeat");
            None
        }
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("waitless_submits_total", "outcome" => outcome).increment(1);
}

/// Answers `200` with a job that has ended, else `202`. A replay's body is the same to the byte, as long as nobody waited and the
/// request reached us under the same address.
fn answer(
    presenter: &JobPresenter<'_>,
    job: &Job,
    sensitive: &SensitiveParams,
    prefer: Preference,
    context: &ResponseContext,
) -> HttpResponse {
    let over = job.state.is_final();
    let mut answer = if over { HttpResponse::Ok() } else { HttpResponse::Accepted() };
    answer.insert_header((LOCATION, presenter.job_url(job.id))).insert_header(ContentType::json());
    if !over {
        answer.insert_header((RETRY_AFTER, retry_after(job).unwrap_or(1)));
    }
    if let Some(applied) = prefer.applied(context.waited, !over) {
        answer.insert_header((PREFERENCE_APPLIED, applied));
    }
    if let Some(status) = cache_status(job.sharing.served, context.may_be_reused) {
        answer.insert_header((CACHE_STATUS, status));
    }
    if let Some(status) = context.rate_limit {
        status.write_to(&mut answer);
    }
    if context.replayed {
        answer.insert_header((IDEMPOTENT_REPLAYED, "true"));
    }
    let as_it_is = over || context.looked_again;
    answer.body(if as_it_is { presenter.write_with(job, sensitive) } else { presenter.write_submitted(job, sensitive) })
}

/// Says in the words of RFC 9211 how a submit was served, where an identical job might have been the answer.
fn cache_status(served: Served, may_be_reused: bool) -> Option<&'static str> {
    match served {
        Served::Warm => Some("waitless; hit"),
        Served::Joined => Some("waitless; fwd=miss; collapsed"),
        Served::Cold => may_be_reused.then_some("waitless; fwd=miss"),
    }
}
