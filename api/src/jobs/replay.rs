//! `POST /v1/jobs/{id}/replay`.

use actix_web::http::header::{ContentType, LOCATION, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, web};
use model::job::Caller;
use model::problem::{ProblemKind, StoredProblem};
use store::Changed;
use uuid::Uuid;

use super::find::check_visible;
use super::parse_id;
use super::view::{JobPresenter, JobView, retry_after};
use crate::auth::Identity;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;

/// Runs a failed job again: counters start anew, attempt and event numbers go on.
#[utoipa::path(post, path = "/v1/jobs/{id}/replay", tag = "jobs",
    params(("id" = uuid::Uuid, Path, description = "The job's id")),
    responses(
        (status = 202, description = "The job, pending again", body = JobView),
        (status = 404, description = "job-not-found", body = StoredProblem),
        (status = 409, description = "wrong-state: it has not failed", body = StoredProblem),
        (status = 429, description = "too-many-requests: as many jobs are under way as the token allows; quota-exhausted", body = StoredProblem),
    )
)]
pub async fn replay(
    gateway: web::Data<Gateway>,
    identity: Identity,
    id: web::Path<String>,
    request: HttpRequest,
) -> ApiResult {
    let id = parse_id(&id)?;
    check_visible(&gateway, &identity, id).await?;
    // A job that runs again is under way as a new one is.
    let _turn = gateway.limits.take_turn(&identity).await?;
    gateway.limits.check_runs(&identity).await?;
    answer_replay(&gateway, &identity, id, &request).await
}

/// Replays one job of `caller` and answers it.
///
/// # Errors
/// `job-not-found`, `wrong-state`; the store's.
pub async fn answer_replay(gateway: &Gateway, caller: &Caller, id: Uuid, request: &HttpRequest) -> ApiResult {
    let job = match gateway.store.replay(caller, id).await? {
        Changed::Yes(job) => job,
        Changed::WrongState(job) => {
            let detail = format!("The job is {}; only a failed job can be replayed.", job.state);
            return Err(ApiError::new(ProblemKind::WrongState, detail));
        }
        Changed::NotFound => return Err(ApiError::no_such_job()),
    };
    let presenter = JobPresenter::new(gateway, request);
    let mut answer = HttpResponse::Accepted();
    answer
        .insert_header((LOCATION, presenter.job_url(job.id)))
        .insert_header((RETRY_AFTER, retry_after(&job).unwrap_or(1)));
    Ok(answer.insert_header(ContentType::json()).body(presenter.write(&job).await?))
}
