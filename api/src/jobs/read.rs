//! `GET /v1/jobs/{id}`.

use actix_web::http::header::{CACHE_CONTROL, ContentType, ETAG, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, web};
use model::job::Job;
use model::problem::StoredProblem;

use super::find::find_job;
use super::parse_id;
use super::view::{JobPresenter, JobView, retry_after};
use crate::auth::Identity;
use crate::entity_tag::has_already;
use crate::error::ApiResult;
use crate::forecast::JobOutlook;
use crate::gateway::Gateway;

/// Shows one job of the caller's.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "jobs",
    params(
        ("id" = uuid::Uuid, Path, description = "The job's id"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of the last answer: 304 when nothing has changed"),
    ),
    responses(
        (status = 200, description = "The job", body = JobView, headers(
            ("ETag" = String, description = "Changes whenever the job does"),
            ("Retry-After" = u32, description = "Seconds until it is worth asking again, while it is not final"),
        )),
        (status = 304, description = "Not changed"),
        (status = 404, description = "job-not-found", body = StoredProblem),
    )
)]
pub async fn read(
    gateway: web::Data<Gateway>,
    identity: Identity,
    id: web::Path<String>,
    request: HttpRequest,
) -> ApiResult {
    let job = find_job(&gateway, &identity, parse_id(&id)?).await?;
    gateway.hub.note(&job);
    let outlook = gateway.forecaster.outlook(&job);
    let tag = entity_tag(&job, outlook);
    let same = has_already(&request, &tag);
    let mut answer = if same { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header((ETAG, tag)).insert_header((CACHE_CONTROL, "private, no-cache"));
    if let Some(seconds) = retry_after(&job) {
        answer.insert_header((RETRY_AFTER, seconds));
    }
    if same {
        return Ok(answer.finish());
    }
    let sensitive = gateway.report_versions.sensitive_params(&job).await?;
    let body = JobPresenter::new(&gateway, &request).write_at(&job, &sensitive, outlook);
    Ok(answer.insert_header(ContentType::json()).body(body))
}

/// What changes about a job without a new event is its progress, and where it stands; seconds are enough of that.
fn entity_tag(job: &Job, outlook: JobOutlook) -> String {
    let progress = &job.progress;
    let total = progress.total_rows.map_or_else(String::new, |total| total.to_string());
    let (attempt, phase) = (job.attempt, progress.phase.as_str());
    let position = outlook.position.unwrap_or_default();
    let second = outlook.eta().map(|eta| eta.second()).unwrap_or_default();
    let aside = u8::from(job.set_aside.is_some());
    format!(
        "W/\"{}-{attempt}-{phase}-{}-{total}-{}-{position}-{second}-{aside}\"",
        job.seq, progress.rows, progress.bytes
    )
}
