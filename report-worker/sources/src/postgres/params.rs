//! Parameters as PostgreSQL takes them: typed, bound in text form, so that no digit passes through a float.

use std::error::Error;
use std::fmt::Write as _;

use bytes::BytesMut;
use report::{ListPlace, ParamType, Placeholder};
use serde_json::Value;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use crate::bind::Binding;
use crate::report::PreparedReport;

/// A value in the server's text form; `None` is null. `Debug` hides it, because the driver logs what it binds.
pub(super) struct TextParam(Option<String>);

impl std::fmt::Debug for TextParam {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl ToSql for TextParam {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.0 {
            None => Ok(IsNull::Yes),
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// Writes `($1)`, `($2)` and so on in place of the placeholders, in parentheses as the literals of [`super::literal`] are.
///
/// A list is an array. In `in (:list)` it is its elements, so that one query works on every kind of source; where others stand
/// beside it, it is as many elements as `bindings` have, or one where nothing is bound yet.
pub(super) fn number_placeholders(report: &PreparedReport, bindings: Option<&[Binding<'_>]>) -> String {
    let names = report.query.placeholders();
    report.query.render(|out, Placeholder { name, place }| {
        let number = names.iter().position(|known| known == name).map_or(0, |index| index + 1);
        let is_list = report.definition.placeholder(name).is_some_and(|spec| spec.list);
        let _ = match place {
            ListPlace::Alone if is_list => write!(out, "select pg_catalog.unnest(${number})"),
            ListPlace::Beside if is_list => {
                let binding = bindings.into_iter().flatten().find(|binding| binding.name == name);
                let elements = binding.and_then(|binding| binding.value.as_array()).map_or(1, Vec::len);
                write_elements(out, number, elements)
            }
            _ => write!(out, "(${number})"),
        };
    })
}

fn write_elements(out: &mut String, number: usize, elements: usize) -> std::fmt::Result {
    for index in 1..=elements {
        let between = if index == 1 { "" } else { ", " };
        write!(out, "{between}(${number})[{index}]")?;
    }
    Ok(())
}

/// Returns the type of each placeholder. A parameter's type is declared to the server, never guessed by it.
pub(super) fn param_types(report: &PreparedReport) -> Vec<Type> {
    let of = |name: &String| {
        let spec = report.definition.placeholder(name);
        spec.map_or(Type::TEXT, |spec| type_of(spec.kind, spec.list))
    };
    report.query.placeholders().iter().map(of).collect()
}

/// Returns the type of a parameter.
pub(super) const fn type_of(kind: ParamType, list: bool) -> Type {
    match (kind, list) {
        (ParamType::Text | ParamType::Choice, false) => Type::TEXT,
        (ParamType::Text | ParamType::Choice, true) => Type::TEXT_ARRAY,
        (ParamType::Integer, false) => Type::INT8,
        (ParamType::Integer, true) => Type::INT8_ARRAY,
        (ParamType::Decimal, false) => Type::NUMERIC,
        (ParamType::Decimal, true) => Type::NUMERIC_ARRAY,
        (ParamType::Boolean, false) => Type::BOOL,
        (ParamType::Boolean, true) => Type::BOOL_ARRAY,
        (ParamType::Date, false) => Type::DATE,
        (ParamType::Date, true) => Type::DATE_ARRAY,
        (ParamType::Timestamp, false) => Type::TIMESTAMPTZ,
        (ParamType::Timestamp, true) => Type::TIMESTAMPTZ_ARRAY,
    }
}

/// Takes a text.
pub(super) fn text_param(text: &str) -> TextParam {
    TextParam(Some(text.to_owned()))
}

/// Takes texts as an array.
pub(super) fn texts_param(texts: &[String]) -> TextParam {
    TextParam(Some(array_of(&texts.iter().map(|text| Value::from(text.as_str())).collect::<Vec<_>>())))
}

/// Writes the values in the order of the placeholders.
pub(super) fn param_values(bindings: &[Binding<'_>]) -> Vec<TextParam> {
    bindings.iter().map(|binding| TextParam(text_of(binding.value.as_ref()))).collect()
}

/// Writes a value in the server's text form; `None` is null.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(array_of(items)),
        other => Some(other.to_string()),
    }
}

/// Writes an array literal with every element quoted, so that `NULL`, braces and commas are text.
fn array_of(items: &[Value]) -> String {
    let mut out = String::from("{");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match text_of(item) {
            None => out.push_str("NULL"),
            Some(text) => {
                out.push('"');
                for character in text.chars() {
                    if matches!(character, '"' | '\\') {
                        out.push('\\');
                    }
                    out.push(character);
                }
                out.push('"');
            }
        }
    }
    out.push('}');
    out
}
