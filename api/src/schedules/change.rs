//! `PATCH /v1/schedules/{id}`: what is given takes the place of what was; pause, go on, hand over.

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use model::artifact::Format;
use model::job::{Caller, Params};
use model::problem::{Problem, ProblemKind, StoredProblem};
use model::refusal::OnRefusal;
use model::schedule::{NextFiring, PauseReason, Schedule, ScheduleSettings};
use model::seal::SealedJob;
use serde::Deserialize;
use serde_json::{Map, Value};
use store::{ScheduleChange, Scope};
use utoipa::ToSchema;

use super::check_schedule::check_schedule;
use super::create::{plan, seal};
use super::prepare::open_params;
use super::settings_body::write_body;
use super::view::ScheduleDetailsView;
use super::{changed, check_match, entity_tag, find_schedule, has_ended, stands_in_file};
use crate::auth::{Identity, identify_owner};
use crate::body::read_json;
use crate::closed_sets::{FormatName, OnEmptyName, OnHolidayName, OnRefusalName, OverlapName};
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::jobs::check_fields::{take_given, wrong};
use crate::jobs::check_notify::NotifyBody;

/// What is changed: any field of a schedule; null puts back what holds when it is absent.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[schema(as = ChangeSchedule)]
#[serde(deny_unknown_fields)]
pub struct ChangeBody {
    /// `true` pauses it, `false` has it go on from now.
    paused: Option<bool>,
    /// Hands it over to another principal of the tenant, who needs a key that may write. For keys with the scope `admin`.
    #[schema(pattern = "^[A-Za-z0-9_@.+-]{1,100}$")]
    owner: Option<String>,
    title: Option<String>,
    report: Option<String>,
    #[schema(value_type = Option<Object>)]
    params: Option<Params>,
    #[schema(value_type = Option<Vec<FormatName>>, min_items = 1)]
    formats: Option<Vec<Format>>,
    #[schema(value_type = Option<OnRefusalName>)]
    on_refusal: Option<OnRefusal>,
    #[schema(max_items = 20)]
    notify: Option<Vec<NotifyBody>>,
    #[schema(max_items = 20)]
    alert: Option<Vec<NotifyBody>>,
    when: Option<String>,
    latest: Option<String>,
    zone: Option<String>,
    calendar: Option<String>,
    #[schema(value_type = Option<OnHolidayName>)]
    on_holiday: Option<String>,
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
    #[schema(value_type = Option<OnEmptyName>)]
    on_empty: Option<String>,
    #[schema(value_type = Option<OverlapName>)]
    overlap: Option<String>,
    catch_up: Option<String>,
    within: Option<String>,
    alarm_after: Option<String>,
    #[schema(minimum = 0, maximum = 1000)]
    pause_after: Option<u32>,
}

/// Changes a schedule. What the new settings say is checked as for a new one.
#[utoipa::path(patch, path = "/v1/schedules/{id}", tag = "schedules", request_body = ChangeBody,
    params(
        ("id" = Uuid, Path, description = "The schedule's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` it was read with"),
    ),
    responses(
        (status = 200, description = "The schedule", body = ScheduleDetailsView, headers(
            ("ETag" = String, description = "Its version, for `If-Match`"),
        )),
        (status = 400, description = "invalid-body", body = StoredProblem),
        (status = 403, description = "forbidden: also for another owner without `admin`, for what stands in a file of the catalogue, and where the owner may not run reports \
            any more", body = StoredProblem),
        (status = 404, description = "schedule-not-found, report-not-found", body = StoredProblem),
        (status = 412, description = "schedule-changed", body = StoredProblem),
        (status = 422, description = "validation-failed", body = StoredProblem),
    )
)]
pub async fn change(
    gateway: web::Data<Gateway>,
    identity: Identity,
    id: web::Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    let schedule = find_schedule(&gateway, &identity, &id).await?;
    check_match(&request, &schedule)?;
    let body = read_json(&request, payload, gateway.http.max_body.0).await?;
    let Value::Object(mut fields) = body else {
        return Err(ApiError::new(
            ProblemKind::InvalidBody,
            "The body must be a JSON object such as {\"paused\": true}.",
        ));
    };
    let paused = check_paused(&mut fields)?;
    check_stays_as_in_file(&schedule, &fields)?;
    let owner = check_new_owner(&identity, &schedule, &mut fields)?;
    let change = if fields.is_empty() && owner == schedule.owner && paused == Some(true) {
        // Whatever has become of the report or the owner, it can be paused.
        keep(&schedule, PauseReason::Asked)
    } else {
        lay_over(&gateway, &schedule, owner, fields, paused).await?
    };
    let schedule = gateway.store.change_schedule(change).await?.ok_or_else(changed)?;
    let firings = gateway.store.firings(schedule.id, 50).await?;
    Ok(HttpResponse::Ok()
        .insert_header((ETAG, entity_tag(&schedule)))
        .json(ScheduleDetailsView::of(&gateway, &schedule, firings)))
}

fn keep(schedule: &Schedule, why: PauseReason) -> ScheduleChange {
    ScheduleChange {
        id: schedule.id,
        version: schedule.version,
        owner: schedule.owner.clone(),
        settings: schedule.settings.clone(),
        paused_why: Some(why),
        next: schedule.next,
        catalogue: None,
    }
}

async fn lay_over(
    gateway: &Gateway,
    schedule: &Schedule,
    owner: Caller,
    fields: Map<String, Value>,
    paused: Option<bool>,
) -> Result<ScheduleChange, ApiError> {
    let gives_params = fields.contains_key("params");
    let params = open_params(gateway, schedule);
    let params = if gives_params { params.unwrap_or_default() } else { params.map_err(|why| sealed(&why))? };
    let mut body = write_body(&schedule.settings, &params);
    body.extend(fields);
    let report = body.get("report").and_then(Value::as_str).unwrap_or_default().to_owned();
    let now = gateway.store.now().await?;
    let identity = identify_owner(gateway, &owner, &report).await?.ok_or_else(owner_gone)?;
    let (mut settings, submit) = check_schedule(gateway, &identity, Value::Object(body), now)?;
    let paused_why = match paused {
        Some(true) => Some(schedule.paused_why.unwrap_or(PauseReason::Asked)),
        Some(false) => None,
        None => schedule.paused_why,
    };
    let next = next_of(gateway, schedule, &settings, paused_why.is_none(), now)?;
    seal(gateway, &mut settings, &submit.report, SealedJob::new(&owner.tenant, schedule.id))?;
    Ok(ScheduleChange {
        id: schedule.id,
        version: schedule.version,
        owner,
        settings,
        paused_why,
        next,
        catalogue: None,
    })
}

/// The times stay as long as nothing changes them; what was paused, and what has other times, goes on from now.
pub(super) fn next_of(
    gateway: &Gateway,
    schedule: &Schedule,
    settings: &ScheduleSettings,
    active: bool,
    now: DateTime<Utc>,
) -> Result<Option<NextFiring>, ApiError> {
    let before = &schedule.settings;
    let same = before.when == settings.when
        && before.latest == settings.latest
        && before.zone == settings.zone
        && before.calendar == settings.calendar
        && before.on_holiday == settings.on_holiday
        && before.starts_at == settings.starts_at
        && before.ends_at == settings.ends_at
        && before.within == settings.within;
    if same && active && schedule.paused_why.is_none() {
        return Ok(schedule.next);
    }
    Ok(plan(gateway, schedule.id, settings)?.and_then(|plan| plan.first(now, false)))
}

/// What stands in a file is changed there: somebody may pause it and have it go on.
fn check_stays_as_in_file(schedule: &Schedule, fields: &Map<String, Value>) -> Result<(), ApiError> {
    let Some(place) = &schedule.catalogue else { return Ok(()) };
    if schedule.ended {
        return Err(has_ended(place));
    }
    if fields.is_empty() { Ok(()) } else { Err(stands_in_file(place)) }
}

fn check_paused(fields: &mut Map<String, Value>) -> Result<Option<bool>, ApiError> {
    match take_given(fields, "paused") {
        None => Ok(None),
        Some(Value::Bool(paused)) => Ok(Some(paused)),
        Some(_) => Err(Problem::invalid(vec![wrong("/paused", "must be true or false")]).into()),
    }
}

fn check_new_owner(
    identity: &Identity,
    schedule: &Schedule,
    fields: &mut Map<String, Value>,
) -> Result<Caller, ApiError> {
    let Some(given) = take_given(fields, "owner") else { return Ok(schedule.owner.clone()) };
    if !identity.scopes().contains(&Scope::Admin) {
        let detail = "Handing a schedule over is for API keys with the scope `admin`.";
        return Err(ApiError::new(ProblemKind::Forbidden, detail));
    }
    let principal = given.as_str().unwrap_or_default().to_owned();
    if let Err(expected) = Caller::check_name(&principal) {
        return Err(Problem::invalid(vec![wrong("/owner", format!("must name a person: {expected}"))]).into());
    }
    Ok(Caller { tenant: schedule.owner.tenant.clone(), principal })
}

fn owner_gone() -> ApiError {
    let detail = "Its owner has no API key that may submit. Name another `owner` (scope `admin`), or give them a key.";
    ApiError::new(ProblemKind::Forbidden, detail)
}

fn sealed(why: &str) -> ApiError {
    let detail = format!("A sensitive parameter cannot be opened any more: {why}. Give `params` anew.");
    ApiError::new(ProblemKind::SealedValue, detail)
}
