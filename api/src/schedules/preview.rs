//! `POST /v1/schedules/preview`: what a "when" means, before anything is written.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, TimeDelta, Utc};
use model::locale::time_zone;
use model::problem::{Problem, ProblemKind, StoredProblem};
use schedule::{Occurrence, Trigger};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::check_times::{check_bounds, check_calendar, check_when, check_zone};
use super::plan::BY_EVENT;
use super::view::{NEXT, OccurrenceView, PreviewView};
use crate::auth::Identity;
use crate::body::read_json;
use crate::closed_sets::OnHolidayName;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::jobs::check_fields::{refuse_unknown, take_given, wrong};
use model::schedule::NextFiring;

/// A "when" to look at.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[schema(as = SchedulePreviewBody)]
#[serde(deny_unknown_fields)]
pub struct PreviewBody {
    /// Words or cron, or `on event`.
    when: String,
    /// IANA name; the tenant's zone when absent.
    zone: Option<String>,
    /// Not before.
    starts_at: Option<DateTime<Utc>>,
    /// Not after.
    ends_at: Option<DateTime<Utc>>,
    /// Whose holidays count.
    calendar: Option<String>,
    /// A time on a holiday of the calendar.
    #[schema(value_type = Option<OnHolidayName>)]
    on_holiday: Option<String>,
}

/// Says in a sentence when something would fire, and the next ten times of it.
#[utoipa::path(post, path = "/v1/schedules/preview", tag = "schedules", request_body = PreviewBody,
    responses(
        (status = 200, description = "What it means", body = PreviewView),
        (status = 400, description = "invalid-body", body = StoredProblem),
        (status = 422, description = "validation-failed", body = StoredProblem),
    )
)]
pub async fn preview(
    gateway: web::Data<Gateway>,
    identity: Identity,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    let body = read_json(&request, payload, gateway.http.max_body.0).await?;
    let Value::Object(mut fields) = body else {
        let detail = "The body must be a JSON object such as {\"when\": \"every weekday at 07:30\"}.";
        return Err(ApiError::new(ProblemKind::InvalidBody, detail));
    };
    let mut errors = Vec::new();
    let given = take_given(&mut fields, "when");
    if given.is_none() {
        errors.push(wrong("/when", "is required: words such as \"every weekday at 07:30\", or cron"));
    }
    let when = check_when(given, &mut errors);
    let zone = check_zone(&gateway, &identity, take_given(&mut fields, "zone"), &mut errors);
    let (starts_at, ends_at) = check_bounds(&mut fields, &mut errors);
    let (_, on_holiday, holidays) = check_calendar(&gateway, &mut fields, &mut errors);
    refuse_unknown(&fields, "", "when, zone, calendar, on_holiday, starts_at and ends_at", &mut errors);
    let read = when.and_then(|when| Some((when.parse::<Trigger>().ok()?, time_zone(&zone)?)));
    let Some((trigger, zone)) = read.filter(|_| errors.is_empty()) else { return Err(Problem::invalid(errors).into()) };
    let Trigger::Times(when) = trigger else {
        let (sentence, zone) = (BY_EVENT.to_owned(), zone.name().to_owned());
        return Ok(HttpResponse::Ok().json(PreviewView { sentence, zone, upcoming: Vec::new() }));
    };
    let when = when.by_calendar(holidays, on_holiday);
    let now = gateway.store.now().await?;
    let after = |after| when.next_after(after, zone);
    let first = after(starts_at.map_or(now, |starts_at| now.max(starts_at - TimeDelta::microseconds(1))));
    let in_time = |one: &Occurrence| ends_at.is_none_or(|ends_at| one.at <= ends_at);
    let times = std::iter::successors(first, |one| after(one.at)).take_while(in_time).take(NEXT);
    let upcoming = times.map(|one| OccurrenceView::from(NextFiring { nominal: one.nominal, due: one.at })).collect();
    Ok(HttpResponse::Ok().json(PreviewView { sentence: when.sentence(), zone: zone.name().to_owned(), upcoming }))
}
