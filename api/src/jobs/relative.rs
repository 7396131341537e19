//! Parameters that are told from a moment: `{"relative": "start_of_month", "minus": "1 month"}` is the date it is then.

use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, Utc};
use model::job::Params;
use model::locale::Tz;
use model::problem::{FieldError, pointer_part};
use report::{ReportDefinition, relative_value};
use schedule::Holidays;
use serde_json::Value;

use super::check_fields::wrong;

/// What a clock on the wall shows, and where it hangs.
#[derive(Debug, Clone)]
pub(crate) struct WallClock {
    /// What it shows.
    pub(crate) nominal: NaiveDateTime,
    /// Where.
    pub(crate) zone: Tz,
    /// On which nobody works there.
    pub(crate) holidays: Arc<Holidays>,
}

impl WallClock {
    /// Looks at the clock of a zone, where weekends are off and nothing else.
    pub(crate) fn at(time: DateTime<Utc>, zone: Tz) -> Self {
        Self { nominal: time.with_timezone(&zone).naive_local(), zone, holidays: Arc::default() }
    }
}

/// Tells whether a parameter is told from a moment.
pub(crate) fn is_relative(value: &Value) -> bool {
    value.get("relative").is_some()
}

/// Puts what is told from a moment in place.
pub(crate) fn resolve(report: &ReportDefinition, given: &mut Params, clock: &WallClock, errors: &mut Vec<FieldError>) {
    for (name, value) in given.iter_mut().filter(|(_, value)| is_relative(value)) {
        let pointer = format!("/params/{}", pointer_part(name));
        let Some(spec) = report.params.iter().find(|spec| spec.name == *name) else { continue };
        match relative_value(spec, value, clock.nominal, clock.zone, &clock.holidays) {
            Ok(resolved) => *value = resolved,
            Err(detail) => {
                errors.push(wrong(pointer, detail));
                // It is told of once, and here.
                *value = spec.default.clone().unwrap_or(Value::Null);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use report::parse_definition;
    use serde_json::json;

    use super::*;

    fn resolved(given: &Value) -> (Value, Vec<FieldError>) {
        let text = "title = \"Sales\"\nsource = \"demo\"\nformats = [\"csv\"]\nsql = \"select :day, :at, :months, :names, :top\"\n\
                    [params.day]\ntype = \"date\"\n[params.at]\ntype = \"timestamp\"\n[params.top]\ntype = \"integer\"\n\
                    [params.months]\ntype = \"date\"\nlist = true\n[params.names]\ntype = \"text\"\nlist = true\n";
        let report = parse_definition("sales", text).unwrap();
        let mut params = given.as_object().unwrap().clone();
        let mut errors = Vec::new();
        let clock = WallClock {
            nominal: "2026-03-08T07:30:00".parse().unwrap(),
            zone: Tz::Europe__Berlin,
            holidays: Arc::default(),
        };
        resolve(&report, &mut params, &clock, &mut errors);
        (Value::Object(params), errors)
    }

    #[test]
    fn dates_points_in_time_and_months_are_told_from_the_clock_of_the_zone() {
        let (params, errors) = resolved(&json!({
            "day": {"relative": "start_of_month", "minus": "1 month"},
            "at": {"relative": "today"},
            "months": {"relative": "last_months", "count": 2},
            "names": {"relative": "last_months", "count": 2},
            "top": 3,
        }));
        assert_eq!(errors, []);
        assert_eq!(params["day"], "2026-02-01");
        assert_eq!(params["at"], "2026-03-07T23:00:00Z");
        assert_eq!(params["months"], json!(["2026-01-01", "2026-02-01"]));
        assert_eq!((&params["names"], &params["top"]), (&json!(["2026-01", "2026-02"]), &json!(3)));
    }

    #[test]
    fn what_cannot_be_relative_says_so_at_its_place() {
        let (_, errors) = resolved(&json!({
            "top": {"relative": "today"}, "day": {"relative": "last_months", "count": 2}, "at": {"relative": "todya"},
        }));
        let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/params/at", "/params/day", "/params/top"]);
        assert!(errors[0].detail.contains("today"), "{}", errors[0].detail);
    }
}
