//! `POST /v1/schedules`: checked as a submit is, planned, written.

use actix_web::http::header::{ETAG, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use model::job::Caller;
use model::problem::StoredProblem;
use model::schedule::ScheduleSettings;
use model::seal::SealedJob;
use report::ReportDefinition;
use store::NewSchedule;
use uuid::Uuid;

use super::check_schedule::check_schedule;
use super::plan::Plan;
use super::settings_body::ScheduleBody;
use super::view::ScheduleDetailsView;
use super::{changed, check_has_key, entity_tag, refuse_token};
use crate::auth::Identity;
use crate::body::read_json;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::jobs::view::JobPresenter;

/// Writes a schedule. Its jobs run in the name of whoever makes it.
#[utoipa::path(post, path = "/v1/schedules", tag = "schedules", request_body = ScheduleBody,
    responses(
        (status = 201, description = "The schedule", body = ScheduleDetailsView, headers(
            ("Location" = String, description = "The schedule's address"),
            ("ETag" = String, description = "Its version, for `If-Match`"),
        )),
        (status = 400, description = "invalid-body", body = StoredProblem),
        (status = 403, description = "forbidden: also for a token", body = StoredProblem),
        (status = 404, description = "report-not-found", body = StoredProblem),
        (status = 422, description = "validation-failed", body = StoredProblem),
    )
)]
pub async fn create(
    gateway: web::Data<Gateway>,
    identity: Identity,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    refuse_token(&identity)?;
    let body = read_json(&request, payload, gateway.http.max_body.0).await?;
    let now = gateway.store.now().await?;
    let (mut settings, submit) = check_schedule(&gateway, &identity, body, now)?;
    let (id, owner) = (Uuid::now_v7(), Caller::clone(&identity));
    check_has_key(&gateway, &identity, &submit.report.name).await?;
    seal(&gateway, &mut settings, &submit.report, SealedJob::new(&owner.tenant, id))?;
    let next = plan(&gateway, id, &settings)?.and_then(|plan| plan.first(now, true));
    let schedule = gateway.store.create_schedule(NewSchedule { id, owner, settings, next, catalogue: None }).await?;
    let schedule = schedule.ok_or_else(changed)?;
    let url = JobPresenter::new(&gateway, &request).url(&format!("/v1/schedules/{id}"));
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, url))
        .insert_header((ETAG, entity_tag(&schedule)))
        .json(ScheduleDetailsView::of(&gateway, &schedule, Vec::new())))
}

/// Seals what is sensitive, as for a job.
pub(super) fn seal(
    gateway: &Gateway,
    settings: &mut ScheduleSettings,
    report: &ReportDefinition,
    to: SealedJob<'_>,
) -> Result<(), ApiError> {
    let params = std::mem::take(&mut settings.params);
    let sealed = gateway.seal_keys.seal(to, params, |name| report.is_sensitive(name));
    settings.params = sealed.map_err(|error| ApiError::internal("seal the values of a schedule", &error))?;
    Ok(())
}

/// Plans what was checked a moment ago.
pub(super) fn plan(gateway: &Gateway, id: Uuid, settings: &ScheduleSettings) -> Result<Option<Plan>, ApiError> {
    Plan::of(id, settings, &gateway.calendars).map_err(|why| ApiError::internal("plan a schedule", &why))
}
