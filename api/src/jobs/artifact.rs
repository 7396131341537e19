//! `GET /v1/jobs/{id}/artifacts/{format}`, its receipt, and the end of its link.

use actix_web::{HttpRequest, HttpResponse, web};
use model::artifact::{Artifact, Format, Receipt};
use model::audit::AuditAct;
use model::job::Job;
use model::problem::{ProblemKind, StoredProblem};
use serde::{Deserialize, Serialize};
use store::Scope;

use super::find::find_job;
use super::parse_id;
use crate::audit::{act_of, note_read};
use crate::auth::{Grant, Identity};
use crate::download::{answer_file, fetches};
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;

/// Which file of which job.
#[derive(Debug, Deserialize)]
pub struct ArtifactPath {
    id: String,
    format: String,
}

/// Fetches a file of a job: a redirect to a signed address, or the file itself.
#[utoipa::path(get, path = "/v1/jobs/{id}/artifacts/{format}", tag = "artifacts",
    params(
        ("id" = uuid::Uuid, Path, description = "The job's id"),
        ("format" = String, Path, description = "One of the job's formats"),
        ("Range" = Option<String>, Header, description = "One range of bytes, where the file is streamed"),
    ),
    responses(
        (status = 200, description = "The file"),
        (status = 206, description = "The range of the file"),
        (status = 302, description = "The file is at `Location`, for a few minutes"),
        (status = 404, description = "job-not-found, artifact-not-found", body = StoredProblem),
        (status = 410, description = "artifact-expired", body = StoredProblem),
        (status = 416, description = "range-not-satisfiable", body = StoredProblem),
    )
)]
pub async fn file(
    gateway: web::Data<Gateway>,
    identity: Identity,
    path: web::Path<ArtifactPath>,
    request: HttpRequest,
) -> ApiResult {
    let (_, artifact) = find(&gateway, &identity, &path).await?;
    // By the database's clock: that of this machine may be wrong.
    if gateway.store.now().await? >= artifact.expires_at {
        return Err(ApiError::new(
            ProblemKind::ArtifactExpired,
            "The file is no longer kept. Submit the report again.",
        ));
    }
    let answer = answer_file(&gateway, &request, &artifact, Grant::of(&identity, Scope::Read)).await?;
    if fetches(&request, &answer) {
        let subject = format!("artifact:{}", artifact.id);
        note_read(&gateway, act_of(&identity, AuditAct::FileFetched, (subject, artifact.format.to_string()))).await;
    }
    Ok(answer)
}

/// Says what is known about a file. Kept longer than the file itself.
#[utoipa::path(get, path = "/v1/jobs/{id}/artifacts/{format}/receipt", tag = "artifacts",
    params(
        ("id" = uuid::Uuid, Path, description = "The job's id"),
        ("format" = String, Path, description = "One of the job's formats"),
    ),
    responses(
        (status = 200, description = "Rows, bytes, SHA-256, report version, parameters, snapshot time", body = Object),
        (status = 404, description = "job-not-found, artifact-not-found", body = StoredProblem),
    )
)]
pub async fn receipt(gateway: web::Data<Gateway>, identity: Identity, path: web::Path<ArtifactPath>) -> ApiResult {
    let (job, artifact) = find(&gateway, &identity, &path).await?;
    let sensitive = gateway.report_versions.sensitive_params(&job).await?;
    Ok(HttpResponse::Ok().json(Receipt {
        job_id: job.id,
        attempt: artifact.attempt,
        params: sensitive.redact(&job.params).into_owned(),
        report: job.report,
        report_version: job.report_version,
        format: artifact.format,
        filename: artifact.filename,
        bytes: artifact.bytes,
        rows: artifact.rows,
        sha256: artifact.sha256,
        snapshot_at: artifact.snapshot_at,
        complete: artifact.complete,
        created_at: artifact.created_at,
    }))
}

/// Answer to a revocation.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Revoked {
    /// False when the link had been revoked before.
    revoked: bool,
}

/// Revokes the link in the mail. The file can still be fetched with the API key.
#[utoipa::path(post, path = "/v1/jobs/{id}/artifacts/{format}/revoke-link", tag = "artifacts",
    params(
        ("id" = uuid::Uuid, Path, description = "The job's id"),
        ("format" = String, Path, description = "One of the job's formats"),
    ),
    responses(
        (status = 200, description = "The link does not work any more", body = Revoked),
        (status = 404, description = "job-not-found, artifact-not-found", body = StoredProblem),
    )
)]
pub async fn revoke_link(gateway: web::Data<Gateway>, identity: Identity, path: web::Path<ArtifactPath>) -> ApiResult {
    let (_, artifact) = find(&gateway, &identity, &path).await?;
    let revoked = gateway.store.revoke_links(&identity, artifact.id).await?;
    Ok(HttpResponse::Ok().json(Revoked { revoked }))
}

async fn find(gateway: &Gateway, identity: &Identity, path: &ArtifactPath) -> Result<(Job, Artifact), ApiError> {
    let mut job = find_job(gateway, identity, parse_id(&path.id)?).await?;
    let format = path.format.parse::<Format>().ok();
    match job.artifacts.iter().position(|artifact| Some(artifact.format) == format) {
        Some(index) => {
            let artifact = job.artifacts.swap_remove(index);
            Ok((job, artifact))
        }
        None if format.is_some_and(|format| job.refusal_of(format).is_some()) => {
            let why = format.and_then(|format| job.refusal_of(format)).map_or("", |problem| &problem.detail);
            let detail = format!("There is no file of this format, because it could not hold the job's rows: {why}");
            Err(ApiError::new(ProblemKind::ArtifactNotFound, detail))
        }
        None if job.state.is_final() => {
            let detail = format!("The job is {} and has no file of this format.", job.state);
            Err(ApiError::new(ProblemKind::ArtifactNotFound, detail))
        }
        None => {
            let detail = format!("The job is {}; files are there once it is done.", job.state);
            Err(ApiError::new(ProblemKind::ArtifactNotFound, detail))
        }
    }
}
