//! The body of a schedule is checked: everything that is wrong is told at once, each with its JSON pointer.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::artifact::Format;
use model::delivery::Notify;
use model::locale::{Tz, time_zone};
use model::problem::{FieldError, Problem, ProblemKind};
use model::schedule::{ON_EVENT, OnEmpty, Overlap, ScheduleSettings};
use model::units::parse_duration;
use serde_json::{Map, Value};

use super::check_times::check_times;
use super::settings_body::FIELDS;
use crate::auth::Identity;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::jobs::check_fields::{refuse_unknown, take_given, wrong};
use crate::jobs::check_notify::check_recipients;
use crate::jobs::check_submit::check_submit;
use crate::jobs::relative::WallClock;
use crate::jobs::submit_request::SubmitRequest;

/// Longest title, in characters.
const MAX_TITLE: usize = 200;
/// Longest duration of a schedule: a year.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);
const CATCH_UP: Duration = Duration::from_secs(3600);
const PAUSE_AFTER: i32 = 5;

/// The fields that a schedule shares with a submit.
const OF_SUBMIT: [&str; 5] = ["report", "params", "formats", "on_refusal", "notify"];

/// Checks what is asked of a schedule. The submit is what it would submit now.
///
/// # Errors
/// `invalid-body` when it is no object, `report-not-found`, `validation-failed`.
pub(super) fn check_schedule(
    gateway: &Gateway,
    owner: &Identity,
    body: Value,
    now: DateTime<Utc>,
) -> Result<(ScheduleSettings, SubmitRequest), ApiError> {
    let Value::Object(mut fields) = body else {
        let detail =
            "The body must be a JSON object such as {\"report\": \"…\", \"when\": \"every weekday at 07:30\"}.";
        return Err(ApiError::new(ProblemKind::InvalidBody, detail));
    };
    let submitted: Map<String, Value> =
        OF_SUBMIT.into_iter().filter_map(|name| Some((name.to_owned(), fields.remove(name)?))).collect();
    let params = submitted.get("params").and_then(Value::as_object).cloned().unwrap_or_default();
    let formats = submitted.get("formats").is_some_and(|formats| !formats.is_null());
    let mut errors = Vec::new();
    let times = check_times(gateway, owner, &mut fields, &mut errors);
    let habits = check_habits(&mut fields, &mut errors);
    if times.when.as_deref() == Some(ON_EVENT) && !habits.within.is_zero() {
        errors.push(wrong("/within", "is for what has times of its own; what comes by event comes at once"));
    }
    let alert = check_alert(gateway, owner, &mut fields, &mut errors);
    let title = check_title(&mut fields, &mut errors);
    refuse_unknown(&fields, "", FIELDS, &mut errors);
    // A zone that is wrong is told of already.
    let clock = WallClock::at(now, time_zone(&times.zone).unwrap_or(Tz::UTC));
    let clock = WallClock { holidays: times.holidays, ..clock };
    let checked = check_submit(gateway, owner, Value::Object(submitted), &clock);
    let request = match checked {
        Ok(request) if errors.is_empty() => request,
        Ok(_) => return Err(Problem::invalid(errors).into()),
        Err(error) => return Err(error.with_more(errors)),
    };
    let settings = ScheduleSettings {
        title,
        report: request.report.name.clone(),
        params,
        formats: formats.then(|| request.formats.clone()),
        on_refusal: request.on_refusal,
        notify: request.notify.iter().map(|one| with_on_empty(one, habits.on_empty)).collect(),
        alert,
        when: times.when,
        latest: times.latest,
        zone: times.zone,
        calendar: times.calendar,
        on_holiday: times.on_holiday,
        starts_at: times.starts_at,
        ends_at: times.ends_at,
        on_empty: habits.on_empty,
        overlap: habits.overlap,
        catch_up: habits.catch_up,
        within: habits.within,
        alarm_after: habits.alarm_after,
        pause_after: habits.pause_after,
    };
    Ok((settings, request))
}

/// The notifier reads at the recipient what it is to do with an empty report.
fn with_on_empty(one: &Notify, on_empty: OnEmpty) -> Notify {
    Notify { on_empty: Some(on_empty).filter(|on_empty| *on_empty != OnEmpty::Send), ..one.clone() }
}

/// Writes what a schedule submits.
pub(super) fn submit_body(settings: &ScheduleSettings, params: Map<String, Value>) -> Value {
    let mut body = Map::new();
    body.insert("report".to_owned(), Value::from(settings.report.as_str()));
    body.insert("params".to_owned(), Value::Object(params));
    if let Some(formats) = &settings.formats {
        body.insert("formats".to_owned(), formats.iter().map(|format: &Format| Value::from(format.as_str())).collect());
    }
    body.insert("on_refusal".to_owned(), Value::from(settings.on_refusal.as_str()));
    let notify = super::settings_body::recipients(&settings.notify);
    body.insert("notify".to_owned(), serde_json::to_value(notify).unwrap_or_default());
    Value::Object(body)
}

struct Habits {
    on_empty: OnEmpty,
    overlap: Overlap,
    catch_up: Duration,
    within: Duration,
    alarm_after: Option<Duration>,
    pause_after: i32,
}

fn check_habits(fields: &mut Map<String, Value>, errors: &mut Vec<FieldError>) -> Habits {
    let on_empty = check_name(fields, "on_empty", OnEmpty::ALL.map(OnEmpty::as_str), errors).unwrap_or(OnEmpty::Send);
    let overlap = check_name(fields, "overlap", Overlap::ALL.map(Overlap::as_str), errors).unwrap_or(Overlap::Skip);
    let minute = Duration::from_secs(60);
    let catch_up = check_duration(fields, "catch_up", (minute, LONGEST), errors).unwrap_or(CATCH_UP);
    let within = check_duration(fields, "within", (Duration::ZERO, DAY), errors).unwrap_or_default();
    let alarm_after = check_duration(fields, "alarm_after", (minute, LONGEST), errors);
    let pause_after = match take_given(fields, "pause_after") {
        None => PAUSE_AFTER,
        Some(given) => match given.as_i64().and_then(|n| i32::try_from(n).ok()).filter(|n| (0..=1000).contains(n)) {
            Some(number) => number,
            None => {
                errors.push(wrong("/pause_after", "must be a whole number from 0 to 1000"));
                PAUSE_AFTER
            }
        },
    };
    Habits { on_empty, overlap, catch_up, within, alarm_after, pause_after }
}

pub(super) fn check_name<T: std::str::FromStr, const N: usize>(
    fields: &mut Map<String, Value>,
    name: &str,
    known: [&'static str; N],
    errors: &mut Vec<FieldError>,
) -> Option<T> {
    let given = take_given(fields, name)?;
    let read = given.as_str().and_then(|text| text.parse().ok());
    if read.is_none() {
        errors.push(wrong(format!("/{name}"), format!("must be one of: {}", known.join(", "))));
    }
    read
}

fn check_duration(
    fields: &mut Map<String, Value>,
    name: &str,
    (least, most): (Duration, Duration),
    errors: &mut Vec<FieldError>,
) -> Option<Duration> {
    let given = take_given(fields, name)?;
    let read = given.as_str().and_then(|text| parse_duration(text).ok());
    let read = read.filter(|read| (least..=most).contains(read) && read.subsec_nanos() == 0);
    if read.is_none() {
        let text = model::units::write_duration;
        let detail = format!("must be a duration such as \"15m\" or \"26h\", from {} to {}", text(least), text(most));
        errors.push(wrong(format!("/{name}"), detail));
    }
    read
}

fn check_alert(
    gateway: &Gateway,
    owner: &Identity,
    fields: &mut Map<String, Value>,
    errors: &mut Vec<FieldError>,
) -> Option<Vec<Notify>> {
    let given = take_given(fields, "alert")?;
    check_recipients(&owner.recipient_rules(&gateway.recipients), "/alert", given, errors)
}

fn check_title(fields: &mut Map<String, Value>, errors: &mut Vec<FieldError>) -> Option<String> {
    let given = take_given(fields, "title")?;
    let is_line = |text: &str| {
        (1..=MAX_TITLE).contains(&text.chars().count())
            && !text.chars().any(char::is_control)
            && !text.trim().is_empty()
    };
    match given {
        Value::String(text) if is_line(&text) => Some(text),
        _ => {
            errors.push(wrong("/title", format!("must be a line of 1 to {MAX_TITLE} characters")));
            None
        }
    }
}
