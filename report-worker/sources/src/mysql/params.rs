//! Parameters as MySQL takes them: bound, one `?` each.

use std::fmt::Write as _;

use chrono::{DateTime, Datelike as _, NaiveDateTime, Timelike as _};
use model::problem::{Problem, ProblemKind};
use mysql_async::Value as Bound;
use mysql_common::named_params::ParsedNamedParams;
use report::{ListPlace, ParamType};
use serde_json::Value;

use crate::bind::Binding;
use crate::report::PreparedReport;

/// What has no rows, for a list that was not given: `in (null)` would be neither true nor false.
const NO_ELEMENTS: &str = "select null from dual where false";

/// Writes the query as it is prepared without values. Every placeholder counts as one: the number of a list's values does not
/// change the columns.
///
/// # Errors
/// When the driver would change the text.
pub(super) fn place_nothing(report: &PreparedReport) -> Result<String, Problem> {
    let sql = report.query.render(|out, _| out.push('?'));
    check_driver_reading(&sql)?;
    Ok(sql)
}

/// The driver looks for `:name` on its own, with less care for where strings end, and writes `?` in its place.
fn check_driver_reading(sql: &str) -> Result<(), Problem> {
    if ParsedNamedParams::parse(sql.as_bytes()).is_ok_and(|reading| reading.params().is_empty()) {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::QueryFailed,
        "the driver of MySQL takes a colon before a name, in a string or a comment of the query, for a parameter; \
         put a space before that string, or write the colon as char(58)",
    ))
}

/// Writes `?` in place of the placeholders, one for each element of a list, and returns the values in their order.
///
/// # Errors
/// When the driver would change the text.
pub(super) fn place_values(report: &PreparedReport, bindings: &[Binding<'_>]) -> Result<(String, Vec<Bound>), Problem> {
    let mut values = Vec::new();
    let sql = report.query.render(|out, placeholder| {
        let Some(binding) = bindings.iter().find(|binding| binding.name == placeholder.name) else { return };
        match binding.value.as_ref() {
            Value::Null if binding.list && placeholder.place == ListPlace::Alone => out.push_str(NO_ELEMENTS),
            Value::Array(items) if binding.list => {
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    place_one(out, &mut values, item, binding.kind);
                }
            }
            item => place_one(out, &mut values, item, binding.kind),
        }
    });
    check_driver_reading(&sql)?;
    Ok((sql, values))
}

fn place_one(out: &mut String, values: &mut Vec<Bound>, value: &Value, kind: ParamType) {
    if let (ParamType::Decimal, Value::String(digits)) = (kind, value) {
        // A bound text would be compared as binary floating point.
        let (whole, fraction) =
            digits.trim_start_matches('-').split_once('.').unwrap_or((digits.trim_start_matches('-'), ""));
        let scale = fraction.len().min(38);
        let _ = write!(out, "cast(? as decimal({}, {scale}))", (whole.len() + scale).clamp(1, 65));
    } else if kind == ParamType::Date {
        // The driver binds days as times at midnight.
        out.push_str("cast(? as date)");
    } else {
        out.push('?');
    }
    values.push(bound(value, kind));
}

fn bound(value: &Value, kind: ParamType) -> Bound {
    match (value, kind) {
        (Value::Null, _) => Bound::NULL,
        (Value::Bool(flag), _) => Bound::Int(i64::from(*flag)),
        (Value::Number(number), _) => number.as_i64().map_or_else(|| text(&number.to_string()), Bound::Int),
        (Value::String(point), ParamType::Timestamp) => DateTime::parse_from_rfc3339(point)
            .ok()
            .and_then(|point| time(point.naive_utc()))
            .unwrap_or_else(|| text(point)),
        (Value::String(value), _) => text(value),
        (other, _) => text(&other.to_string()),
    }
}

fn text(value: &str) -> Bound {
    Bound::Bytes(value.as_bytes().to_vec())
}

/// Sessions are in UTC. Years are four digits here.
fn time(time: NaiveDateTime) -> Option<Bound> {
    let number = |value: u32| u8::try_from(value).ok();
    Some(Bound::Date(
        u16::try_from(time.year()).ok()?,
        number(time.month())?,
        number(time.day())?,
        number(time.hour())?,
        number(time.minute())?,
        number(time.second())?,
        time.and_utc().timestamp_subsec_micros(),
    ))
}

#[cfg(test)]
mod tests {
    use super::place_one;
    use mysql_async::Value as Bound;
    use report::ParamType;
    use serde_json::json;

    #[test]
    fn a_decimal_keeps_every_digit() {
        for (digits, placed) in [
            ("12345.678", "cast(? as decimal(8, 3))"),
            ("-0.5", "cast(? as decimal(2, 1))"),
            ("7", "cast(? as decimal(1, 0))"),
        ] {
            let (mut sql, mut values) = (String::new(), Vec::new());
            place_one(&mut sql, &mut values, &json!(digits), ParamType::Decimal);
            assert_eq!((sql.as_str(), &values[0]), (placed, &Bound::Bytes(digits.as_bytes().to_vec())));
        }
    }

    #[test]
    fn a_point_in_time_is_bound_in_utc() {
        let (mut sql, mut values) = (String::new(), Vec::new());
        place_one(&mut sql, &mut values, &json!("2024-03-01T00:30:00.000007+01:00"), ParamType::Timestamp);
        assert_eq!(values, [Bound::Date(2024, 2, 29, 23, 30, 0, 7)]);
    }
}
