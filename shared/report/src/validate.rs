//! The parameters of a request against those of the report: everything that is wrong, at once.

use std::cmp::Ordering;

use serde_json::Value;

use super::canonical::{canonical, compare};
use super::{ParamSpec, ParamType, RESERVED, ReportDefinition};
use model::job::Params;
use model::problem::{FieldError, pointer_part};

/// Longest text in characters where the definition names no limit.
pub(super) const MAX_LENGTH: u32 = 1000;
/// Longest list where the definition names no limit.
pub(super) const MAX_ITEMS: u32 = 1000;
/// A list tells at most this many of its elements' faults.
const MAX_FAULTS_OF_LIST: usize = 20;

/// Checks given parameters, fills in defaults and brings every value into its canonical form.
///
/// The result has every parameter of the report: an optional one without value is `null`.
///
/// # Errors
/// Every fault, each with the JSON pointer `/params/<name>` (and `/<index>` in lists).
pub fn validate_params(def: &ReportDefinition, given: &Params) -> Result<Params, Vec<FieldError>> {
    let mut valid = Params::new();
    let mut errors = Vec::new();
    for spec in &def.params {
        match given.get(&spec.name) {
            None => match absent_value(spec) {
                Some(value) => drop(valid.insert(spec.name.clone(), value)),
                None => errors.push(fault(&spec.name, None, format!("is required: {}", expectation(spec)))),
            },
            Some(Value::Null) if spec.optional => drop(valid.insert(spec.name.clone(), Value::Null)),
            Some(value) => match check_value(spec, value) {
                Ok(value) => drop(valid.insert(spec.name.clone(), value)),
                Err(faults) => errors.extend(faults),
            },
        }
    }
    errors.extend(given.keys().filter(|name| def.params.iter().all(|spec| spec.name != **name)).map(|name| {
        let detail = unknown_detail(def, name);
        fault(name, None, detail)
    }));
    if errors.is_empty() { Ok(valid) } else { Err(errors) }
}

/// Checks one value, a list or not, and returns its canonical form.
pub(super) fn check_value(spec: &ParamSpec, value: &Value) -> Result<Value, Vec<FieldError>> {
    if !spec.list {
        return check_element(spec, value).map_err(|detail| vec![fault(&spec.name, None, detail)]);
    }
    let Value::Array(items) = value else {
        return Err(vec![fault(&spec.name, None, format!("must be a list: {}", expectation(spec)))]);
    };
    let most = spec.max_items.unwrap_or(MAX_ITEMS) as usize;
    if items.is_empty() || items.len() > most {
        return Err(vec![fault(&spec.name, None, format!("must have between 1 and {most} elements"))]);
    }
    let mut valid = Vec::with_capacity(items.len());
    let mut errors = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match check_element(spec, item) {
            Ok(item) => valid.push(item),
            Err(detail) if errors.len() < MAX_FAULTS_OF_LIST => errors.push(fault(&spec.name, Some(index), detail)),
            Err(_) => break,
        }
    }
    if errors.is_empty() { Ok(Value::Array(valid)) } else { Err(errors) }
}

fn check_element(spec: &ParamSpec, value: &Value) -> Result<Value, String> {
    let value = canonical(spec.kind, value)?;
    match (spec.kind, value.as_str()) {
        (ParamType::Text, Some(text)) => {
            let most = spec.max_length.unwrap_or(MAX_LENGTH) as usize;
            if text.chars().count() > most {
                return Err(format!("must have at most {most} characters"));
            }
        }
        (ParamType::Choice, Some(text)) if !spec.choices.iter().any(|choice| choice == text) => {
            return Err(format!("must be {}", one_of(&spec.choices)));
        }
        _ => {}
    }
    check_range(spec, &value)?;
    Ok(value)
}

fn check_range(spec: &ParamSpec, value: &Value) -> Result<(), String> {
    if let Some(min) = &spec.min
        && compare(spec.kind, value, min) == Ordering::Less
    {
        return Err(format!("must not be less than {}", plain(min)));
    }
    if let Some(max) = &spec.max
        && compare(spec.kind, value, max) == Ordering::Greater
    {
        return Err(format!("must not be more than {}", plain(max)));
    }
    Ok(())
}

fn absent_value(spec: &ParamSpec) -> Option<Value> {
    spec.default.clone().or_else(|| spec.optional.then_some(Value::Null))
}

/// Says what a value may be, for people.
pub(super) fn expectation(spec: &ParamSpec) -> String {
    let one = match spec.kind {
        ParamType::Text => "a text".to_owned(),
        ParamType::Integer => "a whole number".to_owned(),
        ParamType::Decimal => "a decimal number like 12.50".to_owned(),
        ParamType::Boolean => "true or false".to_owned(),
        ParamType::Date => "a date like \"2024-01-31\"".to_owned(),
        ParamType::Timestamp => "a time like \"2024-01-31T08:30:00Z\"".to_owned(),
        ParamType::Choice => one_of(&spec.choices),
    };
    if spec.list { format!("a list, each element {one}") } else { one }
}

fn one_of(choices: &[String]) -> String {
    let quoted: Vec<String> = choices.iter().map(|choice| format!("\"{choice}\"")).collect();
    format!("one of {}", quoted.join(", "))
}

fn unknown_detail(def: &ReportDefinition, name: &str) -> String {
    if RESERVED.contains(&name) {
        return "comes from the caller's credentials and cannot be given".to_owned();
    }
    match nearest(name, def.params.iter().map(|spec| spec.name.as_str())) {
        Some(near) => format!("is not a parameter of this report; did you mean `{near}`?"),
        None if def.params.is_empty() => "is not a parameter of this report, which has none".to_owned(),
        None => {
            let names: Vec<String> = def.params.iter().map(|spec| format!("`{}`", spec.name)).collect();
            format!("is not a parameter of this report, which has {}", names.join(", "))
        }
    }
}

/// Returns the known name that `name` was probably meant to be.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn fault(name: &str, index: Option<usize>, detail: String) -> FieldError {
    let name = pointer_part(name);
    let pointer = index.map_or_else(|| format!("/params/{name}"), |index| format!("/params/{name}/{index}"));
    FieldError { pointer, detail }
}
