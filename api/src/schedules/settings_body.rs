//! What a schedule says, as the API writes and reads it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::artifact::Format;
use model::delivery::Notify;
use model::job::Params;
use model::refusal::OnRefusal;
use model::schedule::ScheduleSettings;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::closed_sets::{FormatName, OnEmptyName, OnHolidayName, OnRefusalName, OverlapName};
use crate::jobs::check_notify::NotifyBody;

// Written down for the document of the API; `check_schedule` reads it, so that every fault is found.
/// What is asked of a schedule. Times are in its zone.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[schema(as = ScheduleBody)]
#[serde(deny_unknown_fields)]
pub struct ScheduleBody {
    /// What people call it; the report's name when absent.
    #[schema(max_length = 200)]
    title: Option<String>,
    /// Name of a report of the catalogue.
    report: String,
    /// Parameters, as in a submit.
    #[schema(value_type = Object)]
    params: Option<Params>,
    /// Formats to make; the report's first format when absent.
    #[schema(value_type = Option<Vec<FormatName>>, min_items = 1)]
    formats: Option<Vec<Format>>,
    /// As in a submit.
    #[schema(value_type = Option<OnRefusalName>)]
    on_refusal: Option<OnRefusal>,
    /// Who gets the report.
    #[schema(max_items = 20)]
    notify: Option<Vec<NotifyBody>>,
    /// Who hears of what goes wrong; those of `notify` when absent.
    #[schema(max_items = 20)]
    alert: Option<Vec<NotifyBody>>,
    /// When: words such as `every weekday at 07:30`, or cron; or `on event`: once its data are there, which `POST …/fire` with a `data_version`
    /// says. Absent: only when it is asked to, by `POST …/fire`.
    when: Option<String>,
    /// With `on event`: until when its event is there on each day. Otherwise its people are told. `07:30`, or words or cron.
    #[schema(example = "07:30")]
    latest: Option<String>,
    /// The zone its clock shows: an IANA name; the tenant's when absent.
    zone: Option<String>,
    /// Whose holidays count: the name of a calendar of the configuration. Only weekends are off when absent.
    calendar: Option<String>,
    /// A time on a holiday of the calendar: `run` all the same, also when absent; `skip`; the working day `before` or `after`.
    #[schema(value_type = Option<OnHolidayName>)]
    on_holiday: Option<String>,
    /// Not before. In the past: what lies within the catch-up window is caught up.
    starts_at: Option<DateTime<Utc>>,
    /// Not after.
    ends_at: Option<DateTime<Utc>>,
    /// What recipients get when there are no rows: `send` the report, also when absent; `skip`; `tell` them so.
    #[schema(value_type = Option<OnEmptyName>)]
    on_empty: Option<String>,
    /// A firing while the job of the one before has not ended: `skip`, also when absent; `queue_one`; `allow`.
    #[schema(value_type = Option<OverlapName>)]
    overlap: Option<String>,
    /// A firing that comes later than this, after an outage say, is missed. `1h` when absent.
    #[schema(example = "1h")]
    catch_up: Option<String>,
    /// Spreads schedules over this time, each at the same moment every time.
    #[schema(example = "15m")]
    within: Option<String>,
    /// Alarm when nothing was sent for so long.
    #[schema(example = "26h")]
    alarm_after: Option<String>,
    /// It pauses after so many firings in a row that did not end well; 5 when absent, 0: never.
    #[schema(minimum = 0, maximum = 1000)]
    pause_after: Option<u32>,
}

/// Every field, for messages.
pub(super) const FIELDS: &str = "title, report, params, formats, on_refusal, notify, alert, when, latest, zone, calendar, on_holiday, starts_at, ends_at, \
                                 on_empty, overlap, catch_up, within, alarm_after and pause_after";

/// Writes settings as their body would be: what a change is laid over.
pub(super) fn write_body(settings: &ScheduleSettings, params: &Params) -> Map<String, Value> {
    let duration = |duration: Duration| configuration_text(duration);
    let body = json!({
        "title": settings.title,
        "report": settings.report,
        "params": params,
        "formats": settings.formats,
        "on_refusal": settings.on_refusal.as_str(),
        "notify": recipients(&settings.notify),
        "alert": settings.alert.as_deref().map(recipients),
        "when": settings.when,
        "latest": settings.latest,
        "zone": settings.zone,
        "calendar": settings.calendar,
        "on_holiday": settings.calendar.as_ref().map(|_| settings.on_holiday.as_str()),
        "starts_at": settings.starts_at,
        "ends_at": settings.ends_at,
        "on_empty": settings.on_empty.as_str(),
        "overlap": settings.overlap.as_str(),
        "catch_up": duration(settings.catch_up),
        "within": duration(settings.within),
        "alarm_after": settings.alarm_after.map(duration),
        "pause_after": settings.pause_after,
    });
    match body {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Recipients without what is only for the notifier.
pub(super) fn recipients(all: &[Notify]) -> Vec<Notify> {
    all.iter().map(|one| Notify { on_empty: None, ..one.clone() }).collect()
}

/// Writes a duration as people do.
pub(super) fn configuration_text(duration: Duration) -> String {
    model::units::write_duration(duration)
}
