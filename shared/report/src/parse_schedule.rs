//! The `[[schedules]]` tables of a catalogue file are checked: everything that the file alone can say. Whether its owner has a key, and
//! whether a recipient is allowed, the gateway finds out.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};
use model::artifact::Format;
use model::delivery::Notify;
use model::job::Caller;
use model::locale::Tz;
use model::refusal::OnRefusal;
use model::schedule::{OnEmpty, OnHoliday, Overlap};
use model::units::{parse_duration, write_duration};
use schedule::{Holidays, Trigger, read_latest};
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::parse::{format, line_of_text, zone};
use super::parse_param::json_of;
use super::relative::relative_value;
use super::table_reader::{TableKeys, TableReader};
use super::validate::check_value;
use super::{ParamSpec, ScheduleSpec};

/// Most schedules of one file.
const MAX_SCHEDULES: usize = 100;
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(366 * 86_400);

const KEYS: TableKeys = TableKeys {
    needed: &["name", "tenant", "owner"],
    optional: &[
        "title",
        "params",
        "formats",
        "on_refusal",
        "notify",
        "alert",
        "when",
        "latest",
        "zone",
        "calendar",
        "on_holiday",
        "starts_at",
        "ends_at",
        "on_empty",
        "overlap",
        "catch_up",
        "within",
        "alarm_after",
        "pause_after",
    ],
};

/// Reads the schedules, each named once for its tenant. Nothing follows from parameters that are not what they were meant to be: `None`.
pub(super) fn parse_schedules<'p>(
    file: &mut TableReader<'_>,
    formats: &[Format],
    params: Option<&(impl Iterator<Item = &'p ParamSpec> + Clone)>,
) -> Vec<ScheduleSpec> {
    let mut names: Vec<(String, String)> = Vec::new();
    let formats = file.is_sure(&["formats"]).then_some(formats);
    let schedules = file.tables("schedules", &KEYS, |table| {
        let spec = parse_schedule(table, formats, params);
        let name = (spec.tenant.clone(), spec.name.clone());
        if names.contains(&name) && table.is_sure(&["name", "tenant"]) {
            table.fault("name", format!("[[schedules]] names `{}` twice for the tenant `{}`", spec.name, spec.tenant));
        }
        names.push(name);
        spec
    });
    if schedules.len() > MAX_SCHEDULES {
        file.fault("schedules", format!("a report has at most {MAX_SCHEDULES} schedules"));
    }
    schedules
}

fn parse_schedule<'p>(
    table: &mut TableReader<'_>,
    formats: Option<&[Format]>,
    params: Option<&(impl Iterator<Item = &'p ParamSpec> + Clone)>,
) -> ScheduleSpec {
    let who = |text: &str| Caller::check_name(text).map(|()| text.to_owned()).map_err(ToOwned::to_owned);
    let spec = ScheduleSpec {
        name: table.text("name", name).unwrap_or_default(),
        tenant: table.text("tenant", who).unwrap_or_default(),
        owner: table.text("owner", who).unwrap_or_default(),
        asked: asked(table),
    };
    check_times(table);
    check_habits(table);
    let made = |before: &[Format], text: &str| match format(before, text)? {
        one if formats.is_none_or(|formats| formats.contains(&one)) => Ok(one),
        one => Err(format!("the report is not made in `{one}`; add it to the `formats` of the report")),
    };
    table.texts("formats", None, made);
    table.text("title", |text| line_of_text("title", text));
    check_recipients("notify", table);
    check_recipients("alert", table);
    let given = given_params(table);
    if let Some(params) = params {
        check_params(table, given, params);
    }
    spec
}

/// Everything that a submit or the times say, as JSON has it.
fn asked(table: &TableReader<'_>) -> Map<String, Value> {
    KEYS.optional.iter().filter_map(|key| Some(((*key).to_owned(), json_of(table.value(key)?.get_ref())))).collect()
}

fn name(text: &str) -> Result<String, String> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || text.len() > 100 || !text.bytes().all(good) {
        return Err("a schedule's `name` must be lower-case letters, digits and hyphens, at most 100".to_owned());
    }
    Ok(text.to_owned())
}

fn check_times(table: &mut TableReader<'_>) {
    let trigger = table.text("when", |text| text.parse::<Trigger>().map_err(|fault| fault.detail));
    table.text("latest", |text| read_latest(text).map(drop).map_err(|fault| fault.detail));
    if trigger == Some(Trigger::Event) {
        let within = table.value("within").and_then(|within| parse_duration(within.get_ref().as_str()?).ok());
        if within.is_some_and(|within| !within.is_zero()) {
            table.fault("within", "`within` is for what has times of its own; what comes by event comes at once");
        }
    } else if table.value("latest").is_some() && table.is_sure(&["when"]) {
        table.fault("latest", "`latest` is for what fires by event: say `when = \"on event\"`, or leave it out");
    }
    table.text("zone", zone);
    table.text("calendar", |text| line_of_text("calendar", text));
    let on_holiday = table.word("on_holiday", &OnHoliday::ALL.map(|one| (one.as_str(), one)));
    if on_holiday.is_some() && table.value("calendar").is_none() && table.is_sure(&["calendar"]) {
        table.fault("on_holiday", "`on_holiday` needs a `calendar`, which says what a holiday is");
    }
    let starts_at = moment("starts_at", table);
    if let (Some(starts_at), Some(ends_at)) = (starts_at, moment("ends_at", table))
        && ends_at <= starts_at
    {
        table.fault("ends_at", "`ends_at` must be after `starts_at`");
    }
}

/// A time of TOML's own, or a text.
fn moment(key: &'static str, table: &mut TableReader<'_>) -> Option<DateTime<chrono::FixedOffset>> {
    let value = table.value(key)?.get_ref();
    let text = match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        _ => None,
    };
    let read = text.and_then(|text| DateTime::parse_from_rfc3339(&text).ok());
    if read.is_none() {
        table.fault(key, format!("`{key}` must be a time with its zone, such as 2026-03-01T00:00:00Z"));
    }
    read
}

fn check_habits(table: &mut TableReader<'_>) {
    table.word("on_empty", &OnEmpty::ALL.map(|one| (one.as_str(), one)));
    table.word("overlap", &Overlap::ALL.map(|one| (one.as_str(), one)));
    table.word("on_refusal", &OnRefusal::ALL.map(|one| (one.as_str(), one)));
    for (key, least, most) in
        [("catch_up", MINUTE, YEAR), ("within", Duration::ZERO, DAY), ("alarm_after", MINUTE, YEAR)]
    {
        table.text(key, |text| {
            let read = parse_duration(text)?;
            let is_good = (least..=most).contains(&read) && read.subsec_nanos() == 0;
            let range = || format!("`{key}` must be from {} to {}", write_duration(least), write_duration(most));
            is_good.then_some(()).ok_or_else(range)
        });
    }
    table.whole("pause_after", 0..=1000);
}

fn check_recipients(key: &'static str, table: &mut TableReader<'_>) {
    let Some(value) = table.value(key) else { return };
    let Some(items) = value.get_ref().as_array() else {
        return table.fault(
            key,
            format!("`{key}` must be a list such as [{{ channel = \"email\", to = \"ana@example.com\" }}]"),
        );
    };
    for item in items {
        let read = serde_json::from_value::<Notify>(json_of(item.get_ref()));
        table.faults.keep(item.span(), read.map_err(|error| format!("`{key}`: {error}")));
    }
}

/// Reads the table of parameters, each with its place.
fn given_params<'a>(table: &mut TableReader<'a>) -> Option<&'a DeTable<'a>> {
    let given = table.value("params")?.get_ref();
    if given.as_table().is_none() {
        table.fault("params", "`params` must be a table, such as { day = \"2026-03-01\" }");
    }
    given.as_table()
}

/// Holds the parameters against the report's: those that are told from a moment by what they would be at some moment.
fn check_params<'p>(
    table: &mut TableReader<'_>,
    given: Option<&DeTable<'_>>,
    params: &(impl Iterator<Item = &'p ParamSpec> + Clone),
) {
    if !table.is_sure(&["params"]) {
        return;
    }
    let is_given = |spec: &ParamSpec| given.is_some_and(|given| given.contains_key(spec.name.as_str()));
    for spec in params.clone().filter(|spec| spec.default.is_none() && !spec.optional && !is_given(spec)) {
        table.fault("params", format!("the report needs the parameter `{}`", spec.name));
    }
    // What is missing was probably meant by what is unknown.
    if !table.is_sure(&["params"]) {
        return;
    }
    for (key, value) in given.into_iter().flatten() {
        let name = key.get_ref().as_ref();
        let Some(spec) = params.clone().find(|spec| spec.name == name) else {
            table.faults.add(key.span(), format!("the report has no parameter `{name}`"));
            continue;
        };
        if spec.sensitive {
            let message = format!("`{name}` is sensitive, and files are read by many; make this schedule by the API");
            table.faults.add(value.span(), message);
            continue;
        }
        let read =
            relative_value(spec, &json_of(value.get_ref()), NaiveDateTime::default(), Tz::UTC, &Holidays::default());
        let checked = read.and_then(|value| {
            let told = |faults: Vec<model::problem::FieldError>| {
                faults.into_iter().map(|fault| fault.detail).collect::<Vec<_>>().join("; it ")
            };
            check_value(spec, &value).map_err(told)
        });
        table.faults.keep(value.span(), checked.map_err(|detail| format!("the parameter `{name}` {detail}")));
    }
}
