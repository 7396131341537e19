//! Checks of fields that several bodies have, each fault with its JSON pointer.

use model::artifact::Format;
use model::problem::{FieldError, pointer_part};
use model::refusal::OnRefusal;
use report::ReportDefinition;
use serde_json::{Map, Value};

pub(crate) fn wrong(pointer: impl Into<String>, detail: impl Into<String>) -> FieldError {
    FieldError { pointer: pointer.into(), detail: detail.into() }
}

/// Takes a field that may be left out. `null` leaves it out, too.
pub(crate) fn take_given(fields: &mut Map<String, Value>, name: &str) -> Option<Value> {
    fields.remove(name).filter(|given| !given.is_null())
}

pub(crate) fn check_object(
    given: Option<Value>,
    pointer: &str,
    errors: &mut Vec<FieldError>,
) -> Option<Map<String, Value>> {
    match given {
        None => Some(Map::new()),
        Some(Value::Object(object)) => Some(object),
        Some(_) => {
            errors.push(wrong(pointer, "must be an object"));
            None
        }
    }
}

pub(crate) fn check_array(given: Option<Value>, pointer: &str, errors: &mut Vec<FieldError>) -> Option<Vec<Value>> {
    match given {
        Some(Value::Array(items)) => Some(items),
        _ => {
            errors.push(wrong(pointer, "must be a list"));
            None
        }
    }
}

pub(crate) fn check_formats(
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

pub(super) fn check_on_refusal(given: Option<Value>, errors: &mut Vec<FieldError>) -> OnRefusal {
    let Some(given) = given else { return OnRefusal::default() };
    given.as_str().and_then(|name| name.parse().ok()).unwrap_or_else(|| {
        let names = OnRefusal::ALL.map(OnRefusal::as_str);
        errors.push(wrong("/on_refusal", format!("must be one of: {}", names.join(", "))));
        OnRefusal::default()
    })
}

fn format_expected(report: Option<&ReportDefinition>) -> String {
    let known = report.map_or(&Format::ALL[..], |report| &report.formats);
    let names: Vec<_> = known.iter().map(|format| format.as_str()).collect();
    format!("must be one of: {}", names.join(", "))
}

pub(crate) fn refuse_unknown(left: &Map<String, Value>, pointer: &str, known: &str, errors: &mut Vec<FieldError>) {
    for name in left.keys() {
        let name: String = name.chars().take(100).collect();
        let escaped = pointer_part(&name);
        errors.push(wrong(format!("{pointer}/{escaped}"), format!("is not a known field; there are {known}")));
    }
}
