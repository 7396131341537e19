//! The canonical form of a parameter's value: equal values are equal JSON.

use std::cmp::Ordering;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::Value;

use super::ParamType;

/// Most digits of a decimal, as in the widest decimal type of Arrow and the databases.
const MAX_DIGITS: usize = 38;

/// Brings one value (not a list) into its canonical form.
///
/// # Errors
/// Says what the value must be; never repeats the value, which may be sensitive.
pub(super) fn canonical(kind: ParamType, value: &Value) -> Result<Value, String> {
    match kind {
        ParamType::Text => text(value),
        ParamType::Choice => value.as_str().map(Value::from).ok_or_else(|| wrong("a text", value)),
        ParamType::Boolean => value.as_bool().map(Value::from).ok_or_else(|| wrong("true or false", value)),
        ParamType::Integer => integer(value),
        ParamType::Decimal => decimal(value),
        ParamType::Date => date(value),
        ParamType::Timestamp => timestamp(value),
    }
}

/// Compares two canonical values of one ordered type.
pub(super) fn compare(kind: ParamType, left: &Value, right: &Value) -> Ordering {
    match kind {
        ParamType::Integer => left.as_i64().cmp(&right.as_i64()),
        ParamType::Decimal => compare_decimals(left.as_str().unwrap_or_default(), right.as_str().unwrap_or_default()),
        ParamType::Timestamp => instant(left).cmp(&instant(right)),
        _ => left.as_str().cmp(&right.as_str()),
    }
}

fn wrong(expected: &str, value: &Value) -> String {
    let given = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    format!("must be {expected}, not {given}")
}

fn text(value: &Value) -> Result<Value, String> {
    let text = value.as_str().ok_or_else(|| wrong("a text", value))?;
    if text.contains('\0') {
        return Err("must not contain the NUL character".to_owned());
    }
    Ok(Value::from(text))
}

fn integer(value: &Value) -> Result<Value, String> {
    let number = value.as_number().ok_or_else(|| wrong("a whole number", value))?;
    if let Some(whole) = number.as_i64() {
        return Ok(Value::from(whole));
    }
    // JSON knows no integers: 5.0 is the number 5. Beyond 2^53 a fraction may have been lost on the way.
    let exact = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0);
    match exact {
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within 53 bits")]
        Some(float) => Ok(Value::from(float as i64)),
        None => Err("must be a whole number between -9223372036854775808 and 9223372036854775807".to_owned()),
    }
}

fn decimal(value: &Value) -> Result<Value, String> {
    let given = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => decimal_of_float(number)?,
        Value::Number(number) => number.to_string(),
        other => return Err(wrong("a decimal number", other)),
    };
    canonical_decimal(&given).map(Value::from)
}

/// A JSON number with a fraction has gone through a double, which keeps 15 digits for certain.
fn decimal_of_float(number: &serde_json::Number) -> Result<String, String> {
    let text = number.as_f64().map(|float| float.to_string()).unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if digits.trim_matches('0').len() > 15 {
        return Err("has more digits than a JSON number keeps; write it as a string".to_owned());
    }
    Ok(text)
}

fn canonical_decimal(given: &str) -> Result<String, String> {
    let (negative, digits) = given.strip_prefix('-').map_or((false, given), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return Err("must be a decimal number like 12.50, as a number or a string".to_owned());
    }
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    if whole.len() + fraction.len() > MAX_DIGITS {
        return Err(format!("must have at most {MAX_DIGITS} digits"));
    }
    let zero = whole.is_empty() && fraction.is_empty();
    let sign = if negative && !zero { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    Ok(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

fn compare_decimals(left: &str, right: &str) -> Ordering {
    let negative = |text: &str| text.starts_with('-');
    match (negative(left), negative(right)) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (true, true) => compare_magnitudes(&right[1..], &left[1..]),
        (false, false) => compare_magnitudes(left, right),
    }
}

/// Canonical magnitudes: no leading zeros before the point and no trailing ones after it, so lengths and bytes decide.
fn compare_magnitudes(left: &str, right: &str) -> Ordering {
    let parts = |text: &str| -> (usize, String, String) {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        (whole.len(), whole.to_owned(), fraction.to_owned())
    };
    parts(left).cmp(&parts(right))
}

fn date(value: &Value) -> Result<Value, String> {
    let text = value.as_str().ok_or_else(|| wrong("a date like \"2024-01-31\"", value))?;
    let shaped =
        text.len() == 10 && text.bytes().enumerate().all(|(at, byte)| (at == 4 || at == 7) != byte.is_ascii_digit());
    let real = shaped.then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten();
    match real {
        Some(date) if date >= NaiveDate::MIN && !text.starts_with("0000") => Ok(Value::from(text)),
        _ => Err("must be a date of the calendar like \"2024-01-31\"".to_owned()),
    }
}

fn timestamp(value: &Value) -> Result<Value, String> {
    const EXPECTED: &str = "a time with offset like \"2024-01-31T08:30:00Z\" or \"2024-01-31T09:30:00+01:00\"";
    let text = value.as_str().ok_or_else(|| wrong(EXPECTED, value))?;
    let parsed = DateTime::parse_from_rfc3339(text).map_err(|_| format!("must be {EXPECTED}"))?;
    // Microseconds are what databases keep; and a leap second becomes the second after it, as there.
    let utc = DateTime::<Utc>::from_timestamp_micros(parsed.timestamp_micros());
    utc.filter(|utc| (1..=9999).contains(&chrono::Datelike::year(utc)))
        .map(|utc| Value::from(utc.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
        .ok_or_else(|| "must be a time of the years 1 to 9999".to_owned())
}

fn instant(value: &Value) -> Option<DateTime<Utc>> {
    value.as_str().and_then(|text| text.parse().ok())
}
