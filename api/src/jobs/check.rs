//! The body of a submit is checked: everything that is wrong is told at once, each with its JSON pointer.

use std::sync::Arc;
use std::time::Duration;

use model::artifact::Format;
use model::delivery::{Channel, Notify};
use model::job::Params;
use model::locale::{Language, time_zone};
use model::problem::{FieldError, Problem, ProblemKind};
use report::{ReportDefinition, validate_params};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::address::{is_allowed, is_mail_address};
use crate::gateway::Gateway;
use crate::problem::Fault;
use crate::reports::no_such_report;

/// Most recipients of one job.
const MAX_NOTIFY: usize = 20;

/// What a submit says. Written down for the document of the API; [`check`] reads it, so that every fault is found.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[schema(as = Submit)]
#[serde(deny_unknown_fields)]
pub struct SubmitBody {
    /// Name of a report of the catalogue.
    report: String,
    /// Parameters; `GET /v1/reports/{name}` has their JSON Schema.
    #[schema(value_type = Object)]
    params: Option<Params>,
    /// Formats to make, from one run; the report's first format when absent.
    #[schema(value_type = Option<Vec<String>>)]
    formats: Option<Vec<Format>>,
    /// Who is told when the job ends.
    notify: Option<Vec<NotifyBody>>,
    /// Whether an identical job may be the answer; as the report says when absent.
    reuse: Option<ReuseBody>,
}

/// Whether an identical job may be the answer.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[schema(as = Reuse)]
#[serde(deny_unknown_fields)]
pub struct ReuseBody {
    /// Seconds since it finished, at most. 0: a run of its own.
    #[schema(minimum = 0, maximum = 31_536_000)]
    max_age: u64,
}

/// A wish to be told.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[schema(as = Notify)]
#[serde(deny_unknown_fields)]
pub struct NotifyBody {
    /// `email`.
    channel: String,
    /// A mail address.
    to: String,
    /// The reader's language: `en`, `de`, `fr`, `es`, `zh`, or a tag such as `de-AT`; that of `Accept-Language` when absent.
    language: Option<String>,
    /// The reader's time zone: an IANA name such as `Europe/Berlin`; the tenant's when absent.
    time_zone: Option<String>,
}

/// A submit that may be written.
#[derive(Debug)]
pub struct Wanted {
    /// The report.
    pub report: Arc<ReportDefinition>,
    /// Checked and canonical.
    pub params: Params,
    /// At least one, distinct.
    pub formats: Vec<Format>,
    /// Distinct.
    pub notify: Vec<Notify>,
    /// How long ago an identical job may have finished to be the answer. Zero: a run of its own, though the report reuses.
    pub max_age: Option<Duration>,
    /// The finished job from whose Parquet file it is made, in place of the source, and the key of that file.
    pub made_from: Option<(Uuid, String)>,
}

impl Wanted {
    /// Has recipients written to in the language of whoever submits, where none was asked for.
    pub fn prefer_language(&mut self, accept_language: Option<&str>) {
        let Some(language) = accept_language.and_then(Language::accepted) else { return };
        for notify in self.notify.iter_mut().filter(|notify| notify.language.is_none()) {
            notify.language = Some(language.to_string());
        }
    }
}

/// Checks the body of a submit.
///
/// # Errors
/// `invalid-body` when it is no object, `report-not-found`, `validation-failed`.
pub fn check(gateway: &Gateway, body: Value) -> Result<Wanted, Fault> {
    let Value::Object(mut fields) = body else {
        return Err(Fault::new(
            ProblemKind::InvalidBody,
            "The body must be a JSON object such as {\"report\": \"…\"}.",
        ));
    };
    let mut errors = Vec::new();
    let report = check_report(gateway, fields.remove("report"), &mut errors);
    let unknown_report = errors.is_empty() && report.is_none();
    let given = check_object(fields.remove("params"), "/params", &mut errors);
    let params = match (&report, given) {
        (Some(report), Some(given)) => validate_params(report, &given).map_err(|faults| errors.extend(faults)).ok(),
        _ => None,
    };
    let formats = check_formats(report.as_deref(), fields.remove("formats"), &mut errors);
    let notify = check_notify(&gateway.mail_allow, fields.remove("notify"), &mut errors);
    let max_age = check_reuse(report.as_deref(), fields.remove("reuse"), &mut errors);
    refuse_unknown(&fields, "", "report, params, formats, notify and reuse", &mut errors);
    if unknown_report {
        errors.insert(0, wrong("/report", "is not in the catalogue"));
        return Err(Fault::with_fields(ProblemKind::ReportNotFound, no_such_report().detail(), errors));
    }
    match (report, params, formats, notify) {
        (Some(report), Some(params), Some(formats), Some(notify)) if errors.is_empty() => {
            Ok(Wanted { report, params, formats, notify, max_age, made_from: None })
        }
        _ => Err(Problem::invalid(errors).into()),
    }
}

pub(super) fn wrong(pointer: impl Into<String>, detail: impl Into<String>) -> FieldError {
    FieldError { pointer: pointer.into(), detail: detail.into() }
}

/// Returns none either with an error, or because the catalogue has no such report.
fn check_report(
    gateway: &Gateway,
    given: Option<Value>,
    errors: &mut Vec<FieldError>,
) -> Option<Arc<ReportDefinition>> {
    match given {
        Some(Value::String(name)) => return gateway.catalogue.report(&name),
        None => errors.push(wrong("/report", "is required: the name of a report")),
        Some(_) => errors.push(wrong("/report", "must be a string: the name of a report")),
    }
    None
}

fn check_object(given: Option<Value>, pointer: &str, errors: &mut Vec<FieldError>) -> Option<Map<String, Value>> {
    match given {
        None => Some(Map::new()),
        Some(Value::Object(object)) => Some(object),
        Some(_) => {
            errors.push(wrong(pointer, "must be an object"));
            None
        }
    }
}

fn check_array(given: Option<Value>, pointer: &str, errors: &mut Vec<FieldError>) -> Option<Vec<Value>> {
    match given {
        Some(Value::Array(items)) => Some(items),
        _ => {
            errors.push(wrong(pointer, "must be a list"));
            None
        }
    }
}

pub(super) fn check_formats(
    report: Option<&ReportDefinition>,
    given: Option<Value>,
    errors: &mut Vec<FieldError>,
) -> Option<Vec<Format>> {
    let Some(given) = given else {
        return report.and_then(|report| report.formats.first()).map(|first| vec![*first]);
    };
    let items = check_array(Some(given), "/formats", errors)?;
    if items.is_empty() {
        errors.push(wrong("/formats", "must name at least one format, or be left out"));
    }
    if items.len() > Format::ALL.len() {
        errors.push(wrong("/formats", "has more elements than there are formats"));
        return None;
    }
    let mut formats = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let format = item.as_str().and_then(|name| name.parse::<Format>().ok());
        match format {
            Some(format) if formats.contains(&format) => {
                errors.push(wrong(format!("/formats/{index}"), "is there twice"));
            }
            Some(format) if report.is_none_or(|report| report.formats.contains(&format)) => formats.push(format),
            _ => errors.push(wrong(format!("/formats/{index}"), format_expected(report))),
        }
    }
    Some(formats)
}

fn format_expected(report: Option<&ReportDefinition>) -> String {
    let known = report.map_or(&Format::ALL[..], |report| &report.formats);
    let names: Vec<_> = known.iter().map(|format| format.as_str()).collect();
    format!("must be one of: {}", names.join(", "))
}

pub(super) fn check_notify(
    allow: &[String],
    given: Option<Value>,
    errors: &mut Vec<FieldError>,
) -> Option<Vec<Notify>> {
    let Some(given) = given else { return Some(Vec::new()) };
    let items = check_array(Some(given), "/notify", errors)?;
    if items.len() > MAX_NOTIFY {
        errors.push(wrong("/notify", format!("may have at most {MAX_NOTIFY} elements")));
        return None;
    }
    let mut notify: Vec<Notify> = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let pointer = format!("/notify/{index}");
        let Some(one) = check_recipient(allow, item, &pointer, errors) else { continue };
        if notify.iter().any(|other| other.channel == one.channel && other.to.eq_ignore_ascii_case(&one.to)) {
            errors.push(wrong(format!("{pointer}/to"), "is there twice"));
        } else {
            notify.push(one);
        }
    }
    Some(notify)
}

/// Longest age that may be asked for: a year.
pub(super) const MAX_AGE: u64 = 365 * 86_400;

/// Returns what was asked for, else what the report says. Zero is only worth a thought where the report reuses.
fn check_reuse(
    report: Option<&ReportDefinition>,
    given: Option<Value>,
    errors: &mut Vec<FieldError>,
) -> Option<Duration> {
    let default = report.and_then(|report| report.reuse);
    let mut fields = match given {
        None => return default,
        Some(Value::Object(fields)) => fields,
        Some(_) => {
            errors.push(wrong("/reuse", "must be an object with max_age"));
            return None;
        }
    };
    let asked = fields.remove("max_age").and_then(|seconds| seconds.as_u64()).filter(|seconds| *seconds <= MAX_AGE);
    if asked.is_none() {
        errors.push(wrong("/reuse/max_age", format!("must be a whole number of seconds from 0 to {MAX_AGE}")));
    }
    refuse_unknown(&fields, "/reuse", "max_age", errors);
    asked.map(Duration::from_secs).filter(|age| default.is_some() || !age.is_zero())
}

fn check_recipient(allow: &[String], item: Value, pointer: &str, errors: &mut Vec<FieldError>) -> Option<Notify> {
    let Value::Object(mut fields) = item else {
        errors.push(wrong(pointer, "must be an object with channel and to"));
        return None;
    };
    let channel = fields.remove("channel").and_then(|name| name.as_str().and_then(|name| name.parse::<Channel>().ok()));
    if channel.is_none() {
        errors.push(wrong(format!("{pointer}/channel"), "must be \"email\""));
    }
    let to = match fields.remove("to") {
        Some(Value::String(to)) if is_mail_address(&to) => {
            if !is_allowed(allow, &to) {
                errors.push(wrong(format!("{pointer}/to"), "is not an address this service may send mail to"));
            }
            Some(to)
        }
        _ => {
            errors.push(wrong(format!("{pointer}/to"), "must be one mail address, such as \"ana@example.com\""));
            None
        }
    };
    let language = check_named(fields.remove("language"), format!("{pointer}/language"), errors, |tag| {
        Language::of_tag(tag).map(|language| language.to_string()).ok_or("must be one of: en, de, fr, es, zh")
    });
    let time_zone = check_named(fields.remove("time_zone"), format!("{pointer}/time_zone"), errors, |name| {
        let known = time_zone(name).map(|zone| zone.name().to_owned());
        known.ok_or("must be an IANA time zone, such as \"Europe/Berlin\"")
    });
    refuse_unknown(&fields, pointer, "channel, to, language and time_zone", errors);
    Some(Notify { channel: channel?, to: to?, language, time_zone })
}

/// Checks a name that may be left out.
fn check_named(
    given: Option<Value>,
    pointer: String,
    errors: &mut Vec<FieldError>,
    read: impl Fn(&str) -> Result<String, &'static str>,
) -> Option<String> {
    let given = given.filter(|given| !given.is_null())?;
    read(given.as_str().unwrap_or_default()).map_err(|detail| errors.push(wrong(pointer, detail))).ok()
}

/// Most unknown fields of one object that are told one by one.
const MAX_UNKNOWN: usize = 20;

pub(super) fn refuse_unknown(left: &Map<String, Value>, pointer: &str, known: &str, errors: &mut Vec<FieldError>) {
    for name in left.keys().take(MAX_UNKNOWN) {
        let name: String = name.chars().take(100).collect();
        let escaped = name.replace('~', "~0").replace('/', "~1");
        errors.push(wrong(format!("{pointer}/{escaped}"), format!("is not a known field; there are {known}")));
    }
}
