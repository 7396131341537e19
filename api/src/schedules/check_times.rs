//! What says when a schedule fires is checked: its words, zone, calendar and bounds.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use model::locale::time_zone;
use model::problem::FieldError;
use model::schedule::{ON_EVENT, OnHoliday};
use schedule::{Holidays, Trigger, read_latest};
use serde_json::{Map, Value};

use super::check_schedule::check_name;
use crate::auth::Identity;
use crate::gateway::Gateway;
use crate::jobs::check_fields::{take_given, wrong};

/// When a schedule fires, as it was asked.
pub(super) struct ScheduleTimes {
    pub(super) when: Option<String>,
    pub(super) latest: Option<String>,
    pub(super) zone: String,
    pub(super) calendar: Option<String>,
    pub(super) on_holiday: OnHoliday,
    pub(super) holidays: Arc<Holidays>,
    pub(super) starts_at: Option<DateTime<Utc>>,
    pub(super) ends_at: Option<DateTime<Utc>>,
}

/// Checks all that says when.
pub(super) fn check_times(
    gateway: &Gateway,
    owner: &Identity,
    fields: &mut Map<String, Value>,
    errors: &mut Vec<FieldError>,
) -> ScheduleTimes {
    let when = check_when(take_given(fields, "when"), errors);
    let latest = check_latest(fields, when.as_deref(), errors);
    let zone = check_zone(gateway, owner, take_given(fields, "zone"), errors);
    let (starts_at, ends_at) = check_bounds(fields, errors);
    let (calendar, on_holiday, holidays) = check_calendar(gateway, fields, errors);
    ScheduleTimes { when, latest, zone, calendar, on_holiday, holidays, starts_at, ends_at }
}

/// Checks what a schedule does not fire before, and after.
pub(super) fn check_bounds(
    fields: &mut Map<String, Value>,
    errors: &mut Vec<FieldError>,
) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
    let mut moment = |name: &str| {
        let given = take_given(fields, name)?;
        let read = given.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        if read.is_none() {
            errors.push(wrong(format!("/{name}"), "must be a time such as \"2026-03-01T00:00:00Z\""));
        }
        read.map(|time| time.to_utc())
    };
    let (starts_at, ends_at) = (moment("starts_at"), moment("ends_at"));
    if let (Some(starts_at), Some(ends_at)) = (starts_at, ends_at)
        && ends_at <= starts_at
    {
        errors.push(wrong("/ends_at", "must be after starts_at"));
    }
    (starts_at, ends_at)
}

/// Reads whose days off count, and what becomes of times on them.
pub(super) fn check_calendar(
    gateway: &Gateway,
    fields: &mut Map<String, Value>,
    errors: &mut Vec<FieldError>,
) -> (Option<String>, OnHoliday, Arc<Holidays>) {
    let given = take_given(fields, "calendar");
    let on_holiday = check_name(fields, "on_holiday", OnHoliday::ALL.map(OnHoliday::as_str), errors);
    if on_holiday.is_some() && given.is_none() {
        errors.push(wrong("/on_holiday", "needs a calendar, which says what a holiday is"));
    }
    let on_holiday = on_holiday.unwrap_or(OnHoliday::Run);
    let name = match given {
        None => None,
        Some(Value::String(name)) => Some(name),
        Some(_) => {
            errors.push(wrong("/calendar", "must be the name of a calendar"));
            None
        }
    };
    match gateway.calendars.of(name.as_deref()) {
        Ok(holidays) => (name, on_holiday, holidays),
        Err(why) => {
            errors.push(wrong("/calendar", why.to_string()));
            (name, on_holiday, Arc::default())
        }
    }
}

pub(super) fn check_when(given: Option<Value>, errors: &mut Vec<FieldError>) -> Option<String> {
    let given = given?;
    let Value::String(text) = given else {
        errors.push(wrong("/when", "must be a string such as \"every weekday at 07:30\""));
        return None;
    };
    match text.parse::<Trigger>() {
        Ok(Trigger::Event) => Some(ON_EVENT.to_owned()),
        Ok(Trigger::Times(_)) => Some(text),
        Err(fault) => {
            errors.push(wrong("/when", fault.detail));
            None
        }
    }
}

/// Checks until when the event of a schedule is there.
pub(super) fn check_latest(
    fields: &mut Map<String, Value>,
    when: Option<&str>,
    errors: &mut Vec<FieldError>,
) -> Option<String> {
    let given = take_given(fields, "latest")?;
    if when != Some(ON_EVENT) {
        // What is wrong with `when` is told already.
        if when.is_some() || errors.iter().all(|error| error.pointer != "/when") {
            let detail =
                "is for what fires by event: say `\"when\": \"on event\"`, or leave it out (null takes it away)";
            errors.push(wrong("/latest", detail));
        }
        return None;
    }
    let Value::String(text) = given else {
        errors.push(wrong("/latest", "must be a string such as \"07:30\" or \"every weekday at 07:30\""));
        return None;
    };
    match read_latest(&text) {
        Ok(_) => Some(text),
        Err(fault) => {
            errors.push(wrong("/latest", fault.detail));
            None
        }
    }
}

pub(super) fn check_zone(
    gateway: &Gateway,
    owner: &Identity,
    given: Option<Value>,
    errors: &mut Vec<FieldError>,
) -> String {
    let Some(given) = given else { return gateway.zone_of(&owner.tenant).name().to_owned() };
    match given.as_str().and_then(time_zone) {
        Some(zone) => zone.name().to_owned(),
        None => {
            errors.push(wrong("/zone", "must be an IANA time zone, such as \"Europe/Berlin\""));
            String::new()
        }
    }
}
