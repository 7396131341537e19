//! `POST /v1/jobs/{id}/formats`: further formats of a finished job, made from the Parquet file it kept. The source is not asked, so
//! that they hold the rows of that day and no others.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use model::artifact::{Artifact, Format};
use model::attributes::Attributes;
use model::job::{Job, JobState};
use model::problem::{FieldError, Problem, ProblemKind, StoredProblem};
use model::refusal::OnRefusal;
use report::ReportDefinition;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer_submit::answer_submit;
use super::check_fields::{check_formats, check_on_refusal, refuse_unknown, take_given, wrong};
use super::check_notify::{NotifyBody, check_notify};
use super::check_submit::MAX_AGE;
use super::find::find_job;
use super::parse_id;
use super::submit_headers::SubmitHeaders;
use super::submit_request::{KeptParquet, SubmitRequest};
use super::view::JobView;
use crate::auth::Identity;
use crate::body::read_json;
use crate::closed_sets::{FormatName, OnRefusalName};
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;

// Written down for the document of the API; `check_body` reads it.
/// What a request for further formats says.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[schema(as = FurtherFormats)]
#[serde(deny_unknown_fields)]
pub struct FormatsBody {
    /// Formats to make: of those the report's definition allowed when the job was submitted, without those the job has.
    #[schema(value_type = Vec<FormatName>, min_items = 1)]
    formats: Vec<Format>,
    /// What becomes of the job when a format cannot hold the rows: `fail`, also when absent, or `keep_others`: it is done with the
    /// other formats, and `refused` says what is missing.
    #[schema(value_type = Option<OnRefusalName>)]
    on_refusal: Option<OnRefusal>,
    /// Who is told when they are there.
    #[schema(max_items = 20)]
    notify: Option<Vec<NotifyBody>>,
}

/// Makes further formats of a finished job, from its Parquet file and not from the source: the same rows, of the same snapshot. They
/// are a job of their own, with `made_from`, and go no later than the Parquet file does. The same request again is answered from
/// the files that are there, or joins the job that makes them.
#[utoipa::path(post, path = "/v1/jobs/{id}/formats", tag = "jobs", request_body = FormatsBody,
    params(
        ("id" = uuid::Uuid, Path, description = "The finished job's id"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
            description = "1 to 255 visible ASCII characters. The same key with the same body for the same job answers the same job."),
        ("Prefer" = Option<String>, Header,
            description = "`wait=N`: answer when the new job has ended, after N seconds at the latest; `respond-async`: answer at once"),
    ),
    responses(
        (status = 200, description = "The new job, which has ended: done, failed or cancelled", body = JobView, headers(
            ("Location" = String, description = "The new job's address"),
            ("Cache-Status" = String, description = "`waitless; hit`: the same was made before"),
            ("Preference-Applied" = String, description = "What was applied of `Prefer`"),
            ("Idempotent-Replayed" = bool, description = "Set when the key came before"),
        )),
        (status = 202, description = "The new job", body = JobView, headers(
            ("Location" = String, description = "The new job's address"),
            ("Retry-After" = u32, description = "Seconds until it is worth asking"),
            ("Cache-Status" = String, description = "`waitless; fwd=miss`, and `collapsed` when it joined another one"),
            ("Preference-Applied" = String, description = "What was applied of `Prefer`"),
            ("Idempotent-Replayed" = bool, description = "Set when the key came before"),
        )),
        (status = 400, description = "invalid-body, invalid-idempotency-key", body = StoredProblem),
        (status = 404, description = "job-not-found", body = StoredProblem),
        (status = 409, description = "wrong-state: the job is not done; parquet-missing: it kept no Parquet file, or one that a limit cut",
            body = StoredProblem),
        (status = 410, description = "artifact-expired: its Parquet file is no longer kept", body = StoredProblem),
        (status = 413, description = "body-too-large", body = StoredProblem),
        (status = 415, description = "unsupported-media-type", body = StoredProblem),
        (status = 422, description = "validation-failed, idempotency-key-reused", body = StoredProblem),
        (status = 403, description = "forbidden: the key lacks the scope; quota-exceeded: more than a quota ever allows", body = StoredProblem),
        (status = 429, description = "too-many-requests, quota-exhausted", body = StoredProblem),
    )
)]
pub async fn make(
    gateway: web::Data<Gateway>,
    identity: Identity,
    id: web::Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    let id = parse_id(&id)?;
    let mut headers = SubmitHeaders::read(&gateway, &identity, &request)?;
    let body = read_json(&request, payload, gateway.http.max_body.0).await?;
    // The same formats of another job are another request.
    headers.hash_body(&gateway, &identity, &json!({"made_from": id, "body": body}));
    let checked = check(&gateway, &identity, id, body).await;
    answer_submit(&gateway, &identity, &request, headers, checked).await
}

/// Checks that there is a file to make the formats from, then what is asked for.
async fn check(gateway: &Gateway, identity: &Identity, id: Uuid, body: Value) -> Result<SubmitRequest, ApiError> {
    let job = find_job(gateway, identity, id).await?;
    let kept = kept_parquet(&job)?;
    // By the database's clock: that of this machine may be wrong.
    if gateway.store.now().await? >= kept.expires_at {
        return Err(ApiError::new(
            ProblemKind::ArtifactExpired,
            "The job's Parquet file is no longer kept, so nothing can be made from it. Run the report again, and ask for parquet too.",
        ));
    }
    let (object_key, attributes) = (kept.object_key.clone(), job.attributes.clone());
    let made_from = Some(KeptParquet { job_id: job.id, object_key, attributes });
    let report = gateway.report_versions.definition(&job).await?;
    Ok(SubmitRequest { made_from, ..check_body(gateway, identity, job, report, body)? })
}

/// Returns the complete Parquet file of a finished job.
fn kept_parquet(job: &Job) -> Result<&Artifact, ApiError> {
    if job.state != JobState::Done {
        let detail = format!("The job is {}; further formats can be made once it is done.", job.state);
        return Err(ApiError::new(ProblemKind::WrongState, detail));
    }
    let missing = |why: &str| ApiError::new(ProblemKind::ParquetMissing, why);
    if let Some(refusal) = job.refusal_of(Format::Parquet) {
        let detail = format!(
            "Parquet, which further formats are made from, could not hold the job's rows: {}. Run the report again for other formats.",
            refusal.detail
        );
        return Err(missing(&detail));
    }
    let kept = job.artifacts.iter().find(|artifact| artifact.format == Format::Parquet).ok_or_else(|| {
        missing(
            "The job was not asked for a Parquet file, which further formats are made from. Run the report again, and ask for \
             parquet or for all the formats at once.",
        )
    })?;
    if !kept.complete {
        return Err(missing(
            "A limit cut the job's Parquet file, so that further formats would lack rows. Run the report again with narrower \
             parameters, or have its limit raised.",
        ));
    }
    Ok(kept)
}

/// Checks the body against the definition that the job was submitted with.
fn check_body(
    gateway: &Gateway,
    identity: &Identity,
    job: Job,
    report: Arc<ReportDefinition>,
    body: Value,
) -> Result<SubmitRequest, ApiError> {
    let Value::Object(mut fields) = body else {
        let detail = "The body must be a JSON object such as {\"formats\": [\"xlsx\"]}.";
        return Err(ApiError::new(ProblemKind::InvalidBody, detail));
    };
    let mut errors = Vec::new();
    let given = fields.remove("formats");
    if given.is_none() {
        errors.push(wrong("/formats", "is required: a list of the formats to make"));
    }
    let formats = check_formats(Some(&report), given, &mut errors);
    if errors.is_empty() {
        errors.extend(
            formats.iter().flatten().enumerate().filter_map(|(index, format)| there_already(&job, index, *format)),
        );
    }
    let on_refusal = check_on_refusal(take_given(&mut fields, "on_refusal"), &mut errors);
    let notify =
        check_notify(&identity.recipient_rules(&gateway.recipients), take_given(&mut fields, "notify"), &mut errors);
    refuse_unknown(&fields, "", "formats, on_refusal and notify", &mut errors);
    match (formats, notify) {
        (Some(formats), Some(notify)) if errors.is_empty() => {
            let max_age = Some(Duration::from_secs(MAX_AGE));
            Ok(SubmitRequest {
                report,
                params: job.params,
                attributes: Attributes::default(),
                formats,
                on_refusal,
                notify,
                max_age,
                made_from: None,
            })
        }
        _ => Err(Problem::invalid(errors).into()),
    }
}

/// A file that is there is fetched, not made once more under another name; and the same rows would be refused once more.
fn there_already(job: &Job, index: usize, format: Format) -> Option<FieldError> {
    if let Some(refusal) = job.refusal_of(format) {
        return Some(wrong(format!("/formats/{index}"), format!("cannot hold these rows: {}", refusal.detail)));
    }
    let there = job.artifacts.iter().any(|artifact| artifact.format == format);
    let detail = format!("is there already: GET /v1/jobs/{}/artifacts/{format}", job.id);
    there.then(|| wrong(format!("/formats/{index}"), detail))
}
