//! `POST /v1/jobs`: parsed, checked, written with its idempotency key, and only then answered.

use actix_web::{HttpRequest, web};
use chrono::DateTime;
use model::problem::StoredProblem;
use serde_json::Value;

use super::answer_submit::answer_submit;
use super::check_submit::{SubmitBody, check_submit};
use super::relative::{WallClock, is_relative};
use super::submit_headers::SubmitHeaders;
use super::view::JobView;
use crate::auth::Identity;
use crate::body::read_json;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;

/// Accepts a job. `202` is sent after the job is committed, never before. `200`: it is done already, from the files of an identical
/// job, or it has ended within the time that the client said it would wait.
#[utoipa::path(post, path = "/v1/jobs", tag = "jobs", request_body = SubmitBody,
    params(
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
            description = "1 to 255 visible ASCII characters. The same key with the same body answers the same job, with another body 422."),
        ("Prefer" = Option<String>, Header,
            description = "`wait=N`: answer when the job has ended, after N seconds at the latest; `respond-async`: answer at once"),
    ),
    responses(
        (status = 200, description = "The job, which has ended: done, failed or cancelled", body = JobView, headers(
            ("Location" = String, description = "The job's address"),
            ("Cache-Status" = String, description = "`waitless; hit`: from the files of an identical job"),
            ("Preference-Applied" = String, description = "What was applied of `Prefer`"),
            ("Idempotent-Replayed" = bool, description = "Set when the key came before"),
        )),
        (status = 202, description = "The job", body = JobView, headers(
            ("Location" = String, description = "The job's address"),
            ("Retry-After" = u32, description = "Seconds until it is worth asking"),
            ("Cache-Status" = String,
                description = "Where an identical job might have been the answer: `waitless; fwd=miss`, and `collapsed` when it joined one"),
            ("Preference-Applied" = String, description = "What was applied of `Prefer`"),
            ("Idempotent-Replayed" = bool, description = "Set when the key came before"),
        )),
        (status = 400, description = "invalid-body, invalid-idempotency-key", body = StoredProblem),
        (status = 404, description = "report-not-found", body = StoredProblem),
        (status = 413, description = "body-too-large", body = StoredProblem),
        (status = 415, description = "unsupported-media-type", body = StoredProblem),
        (status = 422, description = "validation-failed, idempotency-key-reused", body = StoredProblem),
        (status = 403, description = "forbidden: the key lacks the scope; quota-exceeded: more than a quota ever allows", body = StoredProblem),
        (status = 429, description = "too-many-requests, quota-exhausted", body = StoredProblem),
    )
)]
pub async fn submit(
    gateway: web::Data<Gateway>,
    identity: Identity,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    let mut headers = SubmitHeaders::read(&gateway, &identity, &request)?;
    let body = read_json(&request, payload, gateway.http.max_body.0).await?;
    headers.hash_body(&gateway, &identity, &body);
    let clock = read_clock(&gateway, &identity, &body).await?;
    let checked = check_submit(&gateway, &identity, body, &clock);
    answer_submit(&gateway, &identity, &request, headers, checked).await
}

/// Asks the database what time it is, where a parameter is told from it; in the tenant's zone.
async fn read_clock(gateway: &Gateway, identity: &Identity, body: &Value) -> Result<WallClock, ApiError> {
    let asks = body["params"].as_object().is_some_and(|params| params.values().any(is_relative));
    let now = if asks { gateway.store.now().await? } else { DateTime::UNIX_EPOCH };
    Ok(WallClock::at(now, gateway.zone_of(&identity.tenant)))
}
