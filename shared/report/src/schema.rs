//! The parameters of a report as JSON Schema, for forms, clients and tools.

use serde_json::{Map, Value, json};

use super::validate::{MAX_ITEMS, MAX_LENGTH};
use super::{ParamSpec, ParamType, ReportDefinition};

/// Describes the parameters of a report as JSON Schema 2020-12.
///
/// What the schema language cannot say (the range of dates, times and decimals) stands in `x-minimum` and `x-maximum`.
#[must_use]
pub fn params_schema(def: &ReportDefinition) -> Value {
    let properties: Map<String, Value> = def.params.iter().map(|spec| (spec.name.clone(), property(spec))).collect();
    let required: Vec<&str> = def
        .params
        .iter()
        .filter(|spec| spec.default.is_none() && !spec.optional)
        .map(|spec| spec.name.as_str())
        .collect();
    let order: Vec<&str> = def.params.iter().map(|spec| spec.name.as_str()).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
        "x-order": order,
    })
}

fn property(spec: &ParamSpec) -> Value {
    let mut schema = element(spec);
    if spec.list {
        schema = object(json!({
            "type": "array", "items": schema, "minItems": 1, "maxItems": spec.max_items.unwrap_or(MAX_ITEMS),
        }));
    }
    if spec.optional {
        schema = object(json!({ "anyOf": [schema, { "type": "null" }] }));
    }
    schema.insert("title".to_owned(), json!(spec.label));
    if !spec.description.is_empty() {
        schema.insert("description".to_owned(), json!(spec.description));
    }
    match &spec.default {
        Some(default) if !spec.sensitive => drop(schema.insert("default".to_owned(), default.clone())),
        _ => {}
    }
    if spec.sensitive {
        schema.insert("writeOnly".to_owned(), json!(true));
    }
    Value::Object(schema)
}

fn element(spec: &ParamSpec) -> Map<String, Value> {
    let mut schema = object(match spec.kind {
        ParamType::Text => json!({ "type": "string", "maxLength": spec.max_length.unwrap_or(MAX_LENGTH) }),
        ParamType::Integer => json!({ "type": "integer" }),
        ParamType::Decimal => json!({
            "anyOf": [{ "type": "number" }, { "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$" }],
        }),
        ParamType::Boolean => json!({ "type": "boolean" }),
        ParamType::Date => json!({ "type": "string", "format": "date" }),
        ParamType::Timestamp => json!({ "type": "string", "format": "date-time" }),
        ParamType::Choice => json!({ "type": "string", "enum": spec.choices }),
    });
    let (min, max) = match spec.kind {
        ParamType::Integer => ("minimum", "maximum"),
        _ => ("x-minimum", "x-maximum"),
    };
    for (key, bound) in [(min, &spec.min), (max, &spec.max)] {
        if let Some(bound) = bound {
            schema.insert(key.to_owned(), bound.clone());
        }
    }
    schema
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
