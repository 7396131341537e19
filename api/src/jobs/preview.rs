//! `GET /v1/jobs/{id}/preview`.

use actix_web::http::header::{CACHE_CONTROL, ContentType, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, web};
use model::job::JobState;
use model::problem::{ProblemKind, StoredProblem};
use serde::Serialize;

use super::find::find_job;
use super::parse_id;
use crate::auth::Identity;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;

/// The first rows of a job. The worker writes it; this is its shape.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Preview {
    /// In the order of the report.
    columns: Vec<PreviewColumn>,
    /// At most 50, each with one value a column. Long text is cut, ending in `…`; numbers of more than 15 digits are strings.
    #[schema(value_type = Vec<Vec<Object>>)]
    rows: Vec<Vec<serde_json::Value>>,
    /// Whether these are all the rows there are.
    complete: bool,
}

/// A column of a preview.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PreviewColumn {
    name: String,
    /// `boolean`, `integer`, `number`, `text`, `json`, `date`, `timestamp` (local) or `instant`.
    r#type: String,
}

/// Shows the first rows of a job while it runs. Jobs that take less than about a second have none.
#[utoipa::path(get, path = "/v1/jobs/{id}/preview", tag = "jobs",
    params(("id" = uuid::Uuid, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The first rows", body = Preview),
        (status = 404, description = "job-not-found; preview-not-found: with `Retry-After` while it may still come", body = StoredProblem),
    )
)]
pub async fn preview(gateway: web::Data<Gateway>, identity: Identity, id: web::Path<String>) -> ApiResult {
    let id = parse_id(&id)?;
    let job = find_job(&gateway, &identity, id).await?;
    if let Some(body) = gateway.store.preview(&identity, id).await? {
        let mut answer = HttpResponse::Ok();
        answer.insert_header(ContentType::json()).insert_header((CACHE_CONTROL, "private, no-cache"));
        return Ok(answer.body(body));
    }
    let why = match job.state {
        JobState::Pending | JobState::Retrying => "waits for a worker; its first rows can be seen soon after it starts",
        JobState::Processing => "has read no row yet; ask again in a second",
        JobState::Done => "was done before there was a preview, or the preview is no longer kept; fetch a file",
        JobState::Failed | JobState::Cancelled => "ended without a preview",
    };
    let error = ApiError::new(ProblemKind::PreviewNotFound, format!("The job {why}."));
    Err(if job.state.is_final() { error } else { error.header(RETRY_AFTER, HeaderValue::from_static("1")) })
}
