//! `POST /v1/jobs/{id}/cancel`.

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use model::job::JobState;
use model::problem::{ProblemKind, StoredProblem};
use store::Changed;

use super::find::check_visible;
use super::parse_id;
use super::view::{JobPresenter, JobView};
use crate::auth::Identity;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;

/// Cancels a job that is not final. From the answer on no success is announced. Cancelling a cancelled job changes nothing.
#[utoipa::path(post, path = "/v1/jobs/{id}/cancel", tag = "jobs",
    params(("id" = uuid::Uuid, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job, cancelled", body = JobView),
        (status = 404, description = "job-not-found", body = StoredProblem),
        (status = 409, description = "wrong-state: it is done or failed", body = StoredProblem),
    )
)]
pub async fn cancel(
    gateway: web::Data<Gateway>,
    identity: Identity,
    id: web::Path<String>,
    request: HttpRequest,
) -> ApiResult {
    let id = parse_id(&id)?;
    check_visible(&gateway, &identity, id).await?;
    let job = match gateway.store.cancel(&identity, id).await? {
        Changed::Yes(job) => job,
        // The same call again: the answer to the first one may have been lost.
        Changed::WrongState(job) if job.state == JobState::Cancelled => job,
        Changed::WrongState(job) => {
            let detail = format!("The job is {}; only a job that is not final can be cancelled.", job.state);
            return Err(ApiError::new(ProblemKind::WrongState, detail));
        }
        Changed::NotFound => return Err(ApiError::no_such_job()),
    };
    let body = JobPresenter::new(&gateway, &request).write(&job).await?;
    Ok(HttpResponse::Ok().insert_header(ContentType::json()).body(body))
}
