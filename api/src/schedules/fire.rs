//! `POST /v1/schedules/{id}/fire`: now, because somebody asks for it: a person, or a pipeline whose load is done.

use actix_web::http::header::{HeaderName, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use model::locale::{Tz, time_zone};
use model::problem::{Problem, ProblemKind, StoredProblem};
use model::schedule::Firing;
use serde::Deserialize;
use serde_json::Value;
use store::{AskedFiring, FireOutcome};
use utoipa::ToSchema;

use super::prepare::{NoJob, Owners, prepare};
use super::view::{AskedFiringView, FiringView};
use super::{find_schedule, has_ended, no_such_schedule};
use crate::auth::Identity;
use crate::body::read_json;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::jobs::check_fields::{refuse_unknown, take_given, wrong};
use crate::jobs::submit_headers::idempotency_key;
use crate::jobs::view::JobPresenter;

const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Which firing.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[schema(as = FireSchedule)]
#[serde(deny_unknown_fields)]
pub struct FireBody {
    /// Which state of the data it is about, as the pipeline calls it: the schedule fires once for each.
    #[schema(min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    data_version: Option<String>,
}

/// Has a schedule fire now, whether it is paused or not; its next times stay. The same key, or the same state of the data, answers the
/// same firing.
#[utoipa::path(post, path = "/v1/schedules/{id}/fire", tag = "schedules", request_body = FireBody,
    params(
        ("id" = Uuid, Path, description = "The schedule's id"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
            description = "1 to 255 visible ASCII characters. The same key answers the same firing, with another body 422."),
    ),
    responses(
        (status = 202, description = "The firing, with its job", body = AskedFiringView, headers(
            ("Location" = String, description = "The job's address"),
            ("Idempotent-Replayed" = bool, description = "Set when the key, or the state of the data, came before"),
        )),
        (status = 400, description = "invalid-body, invalid-idempotency-key", body = StoredProblem),
        (status = 403, description = "forbidden: also when it stands in the catalogue no more, or its owner may not run reports any more", body = StoredProblem),
        (status = 404, description = "schedule-not-found", body = StoredProblem),
        (status = 422, description = "validation-failed: also when the report is not what it was; idempotency-key-reused",
            body = StoredProblem),
        (status = 429, description = "too-many-requests", body = StoredProblem),
    )
)]
pub async fn fire(
    gateway: web::Data<Gateway>,
    identity: Identity,
    id: web::Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    let schedule = find_schedule(&gateway, &identity, &id).await?;
    if let Some(place) = schedule.catalogue.as_ref().filter(|_| schedule.ended) {
        return Err(has_ended(place));
    }
    let key = idempotency_key(&request)?;
    let data_version = check(read_json(&request, payload, gateway.http.max_body.0).await?)?;
    let known = gateway.store.find_firing(schedule.id, key.as_deref(), data_version.as_deref()).await?;
    if let Some(known) = known {
        return answer_known(&gateway, &request, known, data_version.as_deref());
    }
    let zone = time_zone(&schedule.settings.zone).unwrap_or(Tz::UTC);
    let nominal = gateway.store.now().await?.with_timezone(&zone).naive_local();
    let job = prepare(&gateway, &schedule, nominal, &mut Owners::new()).await.map_err(no_job)?;
    let job_id = job.id;
    let asked = AskedFiring { schedule_id: schedule.id, key, data_version: data_version.clone(), job };
    let answer = gateway.store.fire(asked).await;
    if !matches!(answer, Ok(FireOutcome::Fired(_))) {
        gateway.forecaster.leave_queue(job_id);
    }
    match answer? {
        FireOutcome::Fired(firing) => {
            metrics::counter!("waitless_firings_total", "outcome" => "fired").increment(1);
            Ok(answer_firing(&gateway, &request, *firing, false))
        }
        FireOutcome::Known(firing) => answer_known(&gateway, &request, *firing, data_version.as_deref()),
        FireOutcome::NotFound => Err(no_such_schedule()),
        FireOutcome::Refused(why) => Err(ApiError::internal("write the job of a firing", &why)),
    }
}

fn answer_known(gateway: &Gateway, request: &HttpRequest, firing: Firing, data_version: Option<&str>) -> ApiResult {
    if firing.data_version.as_deref() == data_version {
        return Ok(answer_firing(gateway, request, firing, true));
    }
    let detail = "This Idempotency-Key came with another data_version before. Send a new key for a new firing.";
    Err(ApiError::new(ProblemKind::IdempotencyKeyReused, detail))
}

fn answer_firing(gateway: &Gateway, request: &HttpRequest, firing: Firing, replayed: bool) -> HttpResponse {
    let mut answer = HttpResponse::Accepted();
    if let Some(job) = firing.job_id {
        answer.insert_header((LOCATION, JobPresenter::new(gateway, request).job_url(job)));
    }
    if replayed {
        answer.insert_header((IDEMPOTENT_REPLAYED, "true"));
    }
    answer.json(AskedFiringView { firing: FiringView::from(firing), replayed })
}

fn no_job(why: NoJob) -> ApiError {
    match why {
        NoJob::OwnerGone => {
            let detail =
                "The schedule's owner may not run reports any more. An admin may hand it over to somebody else.";
            ApiError::new(ProblemKind::Forbidden, detail)
        }
        NoJob::Refused(why) => {
            let detail = format!("The schedule does not fit its report any more: {why}. Change the schedule.");
            ApiError::new(ProblemKind::ValidationFailed, detail)
        }
        NoJob::Later(error) => error,
    }
}

fn check(body: Value) -> Result<Option<String>, ApiError> {
    let Value::Object(mut fields) = body else {
        let detail = "The body must be a JSON object: {}, or {\"data_version\": \"2026-03-01\"}.";
        return Err(ApiError::new(ProblemKind::InvalidBody, detail));
    };
    let mut errors = Vec::new();
    let given = take_given(&mut fields, "data_version");
    let is_name = |text: &str| (1..=255).contains(&text.len()) && text.bytes().all(|b| (0x21..=0x7e).contains(&b));
    let version = match given {
        Some(Value::String(text)) if is_name(&text) => Some(text),
        None => None,
        Some(_) => {
            errors.push(wrong("/data_version", "must have 1 to 255 visible ASCII characters"));
            None
        }
    };
    refuse_unknown(&fields, "", "data_version", &mut errors);
    if errors.is_empty() { Ok(version) } else { Err(Problem::invalid(errors).into()) }
}
