//! Parameters as SQLite takes them: bound by their number. It compares by storage class, so numbers are bound as numbers; days and
//! times are text, and compared as times.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use report::{ListPlace, ParamType};
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, Value as SqlValue};
use serde_json::Value;

use super::check_comparisons::Particular;
use super::moment::{COLLATION, native};
use crate::bind::Binding;
use crate::report::PreparedReport;

/// A value bound to a placeholder.
pub(super) struct Bound(SqlValue);

impl ToSql for Bound {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed((&self.0).into()))
    }
}

/// A query as SQLite takes it.
pub(super) struct PlacedQuery {
    pub(super) sql: String,
    /// In the order of their numbers.
    pub(super) values: Vec<Bound>,
    /// Those that not every column can be compared with, by number.
    pub(super) particular: BTreeMap<usize, Particular>,
}

/// Writes numbered placeholders into the query. A list has no type here, so its values are written out one by one.
pub(super) fn place_values(report: &PreparedReport, bindings: &[Binding<'_>]) -> PlacedQuery {
    let mut values = Vec::new();
    let mut places = Vec::new();
    for binding in bindings {
        let first = values.len() + 1;
        match binding.value.as_ref() {
            Value::Array(items) if binding.list => values.extend(items.iter().map(|item| bound(item, binding.kind))),
            item => values.push(bound(item, binding.kind)),
        }
        let (name, kind, list) = (binding.name, binding.kind, binding.list);
        let is_missing = list && binding.value.is_null();
        places.push(PlacedParam { name, numbers: first..=values.len(), kind, list, is_missing });
    }
    place(report, &places, values)
}

/// Writes placeholders without values. Each counts as one: the number of a list's values does not change the columns.
pub(super) fn place_nothing(report: &PreparedReport) -> PlacedQuery {
    let numbered = report.query.placeholders().iter().zip(1..).map(|(name, number)| {
        let spec = report.definition.placeholder(name);
        let (kind, list) = spec.map_or((ParamType::Text, false), |spec| (spec.kind, spec.list));
        PlacedParam { name, numbers: number..=number, kind, list, is_missing: false }
    });
    place(report, &numbered.collect::<Vec<_>>(), Vec::new())
}

struct PlacedParam<'a> {
    name: &'a str,
    numbers: RangeInclusive<usize>,
    kind: ParamType,
    list: bool,
    /// A list that was not given.
    is_missing: bool,
}

fn place(report: &PreparedReport, places: &[PlacedParam<'_>], values: Vec<Bound>) -> PlacedQuery {
    let sql = report.query.render(|out, placeholder| {
        if let Some(place) = places.iter().find(|place| place.name == placeholder.name) {
            place.write(out, placeholder.place);
        }
    });
    let particular =
        places.iter().flat_map(|place| place.numbers.clone().filter_map(|n| Some((n, place.particular()?))));
    let particular = particular.collect();
    PlacedQuery { sql, values, particular }
}

impl PlacedParam<'_> {
    const fn is_time(&self) -> bool {
        matches!(self.kind, ParamType::Date | ParamType::Timestamp)
    }

    fn particular(&self) -> Option<Particular> {
        match self.kind {
            ParamType::Date | ParamType::Timestamp => Some(Particular::Time(self.name.to_owned())),
            ParamType::Decimal => Some(Particular::Decimal(self.name.to_owned())),
            ParamType::Text | ParamType::Choice | ParamType::Integer | ParamType::Boolean => None,
        }
    }

    fn write(&self, out: &mut String, place: ListPlace) {
        let separated = |out: &mut String, before: &str, after: &str| {
            for (index, number) in self.numbers.clone().enumerate() {
                let _ = write!(out, "{}{before}?{number}{after}", if index == 0 { "" } else { ", " });
            }
        };
        if self.is_missing && place == ListPlace::Alone {
            // No elements, which `in (null)` is not.
            separated(out, "select ", " where false");
        } else if !self.is_time() {
            separated(out, "", "");
        } else if self.list && place == ListPlace::Alone {
            // `in` compares as its left side does, unless it has a query to its right.
            let _ = write!(out, "select column1 collate {COLLATION} from (values ");
            separated(out, "(", ")");
            out.push(')');
        } else {
            separated(out, "(", &format!(" collate {COLLATION})"));
        }
    }
}

fn bound(value: &Value, kind: ParamType) -> Bound {
    Bound(match (value, kind) {
        (Value::Null, _) => SqlValue::Null,
        (Value::Bool(flag), _) => SqlValue::Integer(i64::from(*flag)),
        (Value::Number(number), _) => {
            number.as_i64().map_or_else(|| SqlValue::Text(number.to_string()), SqlValue::Integer)
        }
        (Value::String(text), ParamType::Decimal) => decimal(text),
        (Value::String(text), ParamType::Timestamp) => SqlValue::Text(native(text)),
        (Value::String(text), _) => SqlValue::Text(text.clone()),
        (other, _) => SqlValue::Text(other.to_string()),
    })
}

/// SQLite has 64-bit integers and binary floating point and nothing else.
fn decimal(text: &str) -> SqlValue {
    if let Ok(whole) = text.parse() {
        return SqlValue::Integer(whole);
    }
    text.parse().map_or_else(|_| SqlValue::Text(text.to_owned()), SqlValue::Real)
}
