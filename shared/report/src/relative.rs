//! Parameters that are told from a moment: `{"relative": "start_of_month", "minus": "1 month"}` is the date it is then.

use chrono::{NaiveDateTime, SecondsFormat};
use model::locale::Tz;
use schedule::{Holidays, Relative, Resolved};
use serde_json::Value;

use super::{ParamSpec, ParamType};

/// Returns what a relative value of a parameter is when a zone's clock shows `nominal`, where `holidays` are no working days; any other value as it is.
///
/// # Errors
/// What is wrong with it, or that the parameter takes none such.
pub fn relative_value(
    spec: &ParamSpec,
    value: &Value,
    nominal: NaiveDateTime,
    zone: Tz,
    holidays: &Holidays,
) -> Result<Value, String> {
    let relative = match Relative::read(value) {
        Some(read) => read.map_err(|fault| fault.detail)?,
        None => return Ok(value.clone()),
    };
    if relative.is_list() != spec.list {
        let takes = if spec.list { "a list, such as {\"relative\": \"last_months\", \"count\": 3}" } else { "no list" };
        return Err(format!("takes {takes}"));
    }
    let resolved = relative.resolve(nominal, zone, holidays);
    match (resolved.ok_or("no calendar reaches so far")?, spec.kind) {
        (Resolved::Point { date, .. }, ParamType::Date) => Ok(Value::from(date.to_string())),
        (Resolved::Point { at, .. }, ParamType::Timestamp) => {
            Ok(Value::from(at.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
        }
        (Resolved::Months(months), ParamType::Date) => Ok(months.iter().map(ToString::to_string).collect()),
        (Resolved::Months(months), ParamType::Text) => {
            Ok(months.iter().map(|month| month.format("%Y-%m").to_string()).collect())
        }
        _ => Err("only dates, points in time and lists of months can be relative".to_owned()),
    }
}
