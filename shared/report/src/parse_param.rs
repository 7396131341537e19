//! The `[params.<name>]` tables of a catalogue file are checked.

use std::cmp::Ordering;
use std::ops::Range;

use serde_json::Value;
use toml::de::DeValue;

use model::problem::FieldError;

use super::canonical::{canonical, compare};
use super::table_reader::{TableKeys, TableReader};
use super::validate::check_value;
use super::{ParamSpec, ParamType, RESERVED};

/// Most parameters of one report; SQLite binds 32,766 values, lists included.
const MAX_PARAMS: usize = 100;

const KEYS: TableKeys = TableKeys {
    needed: &["type"],
    optional: &[
        "list",
        "label",
        "description",
        "default",
        "optional",
        "choices",
        "min",
        "max",
        "max_length",
        "max_items",
        "sensitive",
    ],
};

/// Reads the parameters in the order of the file, each with the place of its name. One that has faults stands there too, so that
/// the query may use it.
pub(super) fn parse_params(file: &mut TableReader<'_>) -> Vec<(Range<usize>, ParamSpec)> {
    let mut params = Vec::new();
    for (index, (name, place, value)) in file.members("params").into_iter().enumerate() {
        if index == MAX_PARAMS {
            file.faults.add(place.clone(), format!("a report has at most {MAX_PARAMS} parameters"));
        }
        let is_named = file.faults.keep(place.clone(), check_name(name)).is_some();
        let spec = file.inner(&format!("[params.{name}]"), "params", value, &KEYS, |table| parse_param(name, table));
        if is_named {
            params.push((place, spec.unwrap_or_else(|| nothing_known_of(name))));
        }
    }
    params
}

pub(super) fn nothing_known_of(name: &str) -> ParamSpec {
    ParamSpec {
        name: name.to_owned(),
        kind: ParamType::Text,
        list: false,
        label: name.to_owned(),
        description: String::new(),
        default: None,
        optional: false,
        choices: Vec::new(),
        min: None,
        max: None,
        max_length: None,
        max_items: None,
        sensitive: false,
    }
}

fn parse_param(name: &str, table: &mut TableReader<'_>) -> ParamSpec {
    let mut spec = nothing_known_of(name);
    spec.kind = table.word("type", &ParamType::ALL).unwrap_or(spec.kind);
    spec.list = table.truth("list").unwrap_or_default();
    spec.label = table.plain_text("label").filter(|label| !label.is_empty()).unwrap_or(spec.label);
    spec.description = table.plain_text("description").unwrap_or_default();
    spec.optional = table.truth("optional").unwrap_or_default();
    spec.sensitive = table.truth("sensitive").unwrap_or_default();
    spec.choices = choices(spec.kind, table);
    belongs_to(spec.kind == ParamType::Text, "type = \"text\"", "type", "max_length", table);
    spec.max_length = table.whole("max_length", 1..=100_000).and_then(|length| u32::try_from(length).ok());
    belongs_to(spec.list, "list = true", "list", "max_items", table);
    spec.max_items = table.whole("max_items", 1..=10_000).and_then(|items| u32::try_from(items).ok());
    spec.min = bound(spec.kind, "min", table);
    spec.max = bound(spec.kind, "max", table);
    if let (Some(low), Some(high)) = (&spec.min, &spec.max)
        && compare(spec.kind, low, high) == Ordering::Greater
    {
        table.fault("max", "`max` is less than `min`");
    }
    spec.default = default(&spec, table);
    spec
}

fn check_name(name: &str) -> Result<(), String> {
    if RESERVED.contains(&name) {
        return Err(format!("`:{name}` comes from the caller's credentials; it cannot be a parameter"));
    }
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts_well = name.starts_with(|first: char| !first.is_ascii_digit());
    if name.len() > 63 || !name.bytes().all(good) || !starts_well {
        return Err(format!(
            "`{name}` must be letters, digits and underscores, at most 63, and not start with a digit"
        ));
    }
    Ok(())
}

/// Notes a key that says nothing for want of another.
fn belongs_to(does: bool, to: &str, decider: &'static str, key: &'static str, table: &mut TableReader<'_>) {
    if !does && table.value(key).is_some() && table.is_sure(&[decider]) {
        table.fault(key, format!("`{key}` belongs to `{to}` only"));
    }
}

fn choices(kind: ParamType, table: &mut TableReader<'_>) -> Vec<String> {
    let is_choice = kind == ParamType::Choice;
    belongs_to(is_choice, "type = \"choice\"", "type", "choices", table);
    if is_choice && table.value("choices").is_none() && table.is_sure(&["choices"]) {
        table.fault("choices", "a choice needs `choices = [\"…\", \"…\"]`");
    }
    let choices = table.texts("choices", None, |before: &[String], choice| match choice {
        "" => Err("none of `choices` may be empty".to_owned()),
        choice if before.iter().any(|other| other == choice) => Err(format!("`{choice}` is named twice")),
        choice => Ok(choice.to_owned()),
    });
    choices.unwrap_or_default()
}

fn bound(kind: ParamType, key: &'static str, table: &mut TableReader<'_>) -> Option<Value> {
    let value = table.no_table(key).filter(|_| table.is_sure(&["type"]))?;
    if !matches!(kind, ParamType::Integer | ParamType::Decimal | ParamType::Date | ParamType::Timestamp) {
        table.fault(key, format!("`{key}` belongs to integer, decimal, date and timestamp only"));
        return None;
    }
    let bound = canonical(kind, &json_of(value.get_ref()));
    bound.map_err(|detail| table.fault(key, format!("`{key}` {detail}"))).ok()
}

/// Reads the default, which is held against everything else that is said of the parameter.
fn default(spec: &ParamSpec, table: &mut TableReader<'_>) -> Option<Value> {
    let value = table.no_table("default")?;
    let deciders = ["type", "list", "choices", "min", "max", "max_length", "max_items"];
    if !table.is_sure(&deciders) {
        return None;
    }
    let checked = check_value(spec, &json_of(value.get_ref()));
    let told = |faults: Vec<FieldError>| {
        let details: Vec<String> = faults.into_iter().map(|fault| fault.detail).collect();
        table.fault("default", format!("the default of `{}` {}", spec.name, details.join("; it ")));
    };
    checked.map_err(told).ok()
}

/// TOML has dates of its own; they become the strings that JSON has.
pub(super) fn json_of(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(truth) => Value::from(*truth),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json_of(item.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(key, value)| (key.get_ref().to_string(), json_of(value.get_ref()))).collect()
        }
    }
}
