//! The `[params.<name>]` tables of a catalogue file are checked.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;
use toml::Spanned;

use super::canonical::{canonical, compare};
use super::file::ParamFile;
use super::parse::{ParseError, whole};
use super::validate::check_value;
use super::{ParamSpec, ParamType, RESERVED};

/// Most parameters of one report; SQLite binds 32,766 values, lists included.
const MAX_PARAMS: usize = 100;

/// Checks parameters and puts them in the order of the file, each with its place.
pub(super) fn parse_params(
    params: BTreeMap<Spanned<String>, ParamFile>,
) -> Result<Vec<(Range<usize>, ParamSpec)>, ParseError> {
    let mut params: Vec<_> = params.into_iter().collect();
    params.sort_by_key(|(name, _)| name.span().start);
    if let Some((name, _)) = params.get(MAX_PARAMS) {
        return Err(ParseError::new(name.span(), format!("a report has at most {MAX_PARAMS} parameters")));
    }
    params
        .into_iter()
        .map(|(name, param)| {
            let place = name.span();
            parse_param(name, &param).map(|spec| (place, spec))
        })
        .collect()
}

fn parse_param(name: Spanned<String>, param: &ParamFile) -> Result<ParamSpec, ParseError> {
    let place = name.span();
    let name = name.into_inner();
    check_name(&name).map_err(|message| ParseError::new(place.clone(), message))?;
    let mut spec = ParamSpec {
        label: param.label.as_deref().map(str::trim).filter(|label| !label.is_empty()).unwrap_or(&name).to_owned(),
        name,
        kind: param.kind,
        list: param.list,
        description: param.description.trim().to_owned(),
        default: None,
        optional: param.optional,
        choices: choices(param, &place)?,
        min: None,
        max: None,
        max_length: max_length(param)?,
        max_items: max_items(param)?,
        sensitive: param.sensitive,
    };
    let (min, max) = range(param)?;
    spec.min = min;
    spec.max = max;
    if let Some(default) = &param.default {
        // Checked against everything else the definition says, so it comes last.
        let value = check_value(&spec, &json_of(default.get_ref())).map_err(|faults| {
            let details: Vec<String> = faults.into_iter().map(|fault| fault.detail).collect();
            ParseError::new(default.span(), format!("the default of `{}` {}", spec.name, details.join("; it ")))
        })?;
        spec.default = Some(value);
    }
    Ok(spec)
}

fn check_name(name: &str) -> Result<(), String> {
    if RESERVED.contains(&name) {
        return Err(format!("`:{name}` comes from the caller's credentials; it cannot be a parameter"));
    }
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.len() > 63 || !name.bytes().all(good) || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(format!(
            "`{name}` must be letters, digits and underscores, at most 63, and not start with a digit"
        ));
    }
    Ok(())
}

fn choices(param: &ParamFile, place: &Range<usize>) -> Result<Vec<String>, ParseError> {
    match (param.kind, &param.choices) {
        (ParamType::Choice, None) => Err(ParseError::new(place.clone(), "a choice needs `choices = [\"…\", \"…\"]`")),
        (ParamType::Choice, Some(choices)) => {
            let all = choices.get_ref();
            if all.is_empty() || all.iter().any(String::is_empty) {
                return Err(ParseError::new(choices.span(), "`choices` must name at least one, and none may be empty"));
            }
            if let Some(twice) = all.iter().enumerate().find(|(at, choice)| all[..*at].contains(choice)) {
                return Err(ParseError::new(choices.span(), format!("`{}` is named twice", twice.1)));
            }
            Ok(all.clone())
        }
        (_, Some(choices)) => Err(ParseError::new(choices.span(), "`choices` belongs to `type = \"choice\"` only")),
        (_, None) => Ok(Vec::new()),
    }
}

fn max_length(param: &ParamFile) -> Result<Option<u32>, ParseError> {
    match &param.max_length {
        Some(length) if param.kind != ParamType::Text => {
            Err(ParseError::new(length.span(), "`max_length` belongs to `type = \"text\"` only"))
        }
        length => Ok(whole("max_length", length.as_ref(), 1..=100_000)?.and_then(|length| u32::try_from(length).ok())),
    }
}

fn max_items(param: &ParamFile) -> Result<Option<u32>, ParseError> {
    match &param.max_items {
        Some(items) if !param.list => Err(ParseError::new(items.span(), "`max_items` belongs to `list = true` only")),
        items => Ok(whole("max_items", items.as_ref(), 1..=10_000)?.and_then(|items| u32::try_from(items).ok())),
    }
}

fn range(param: &ParamFile) -> Result<(Option<Value>, Option<Value>), ParseError> {
    let bound = |bound: &Option<Spanned<toml::Value>>, what: &str| -> Result<Option<Value>, ParseError> {
        let Some(value) = bound else { return Ok(None) };
        if !matches!(param.kind, ParamType::Integer | ParamType::Decimal | ParamType::Date | ParamType::Timestamp) {
            let message = format!("`{what}` belongs to integer, decimal, date and timestamp only");
            return Err(ParseError::new(value.span(), message));
        }
        canonical(param.kind, &json_of(value.get_ref()))
            .map(Some)
            .map_err(|detail| ParseError::new(value.span(), format!("`{what}` {detail}")))
    };
    let (min, max) = (bound(&param.min, "min")?, bound(&param.max, "max")?);
    if let (Some(low), Some(high), Some(place)) = (&min, &max, &param.max)
        && compare(param.kind, low, high) == Ordering::Greater
    {
        return Err(ParseError::new(place.span(), "`max` is less than `min`"));
    }
    Ok((min, max))
}

/// TOML has dates of its own; they become the strings that JSON has.
fn json_of(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => Value::from(*number),
        toml::Value::Boolean(truth) => Value::from(*truth),
        toml::Value::Datetime(time) => Value::from(time.to_string()),
        toml::Value::Array(items) => Value::Array(items.iter().map(json_of).collect()),
        toml::Value::Table(table) => {
            Value::Object(table.iter().map(|(key, value)| (key.clone(), json_of(value))).collect())
        }
    }
}
