//! Which value each placeholder of a query gets.

use std::borrow::Cow;

use model::problem::{Problem, ProblemKind};
use report::ParamType;
use serde_json::Value;

use crate::report::PreparedRequest;

/// The value of one placeholder.
pub(super) struct Binding<'a> {
    /// Without its colon.
    pub(super) name: &'a str,
    /// Of the value, or of each element of a list.
    pub(super) kind: ParamType,
    /// Whether `value` is a JSON array.
    pub(super) list: bool,
    /// Kept out of logs and messages.
    pub(super) sensitive: bool,
    /// Canonical; `Null` where an optional parameter was not given, and for a list of nothing.
    pub(super) value: Cow<'a, Value>,
}

/// Finds the value of each placeholder, in the order of [`report::Query::placeholders`].
///
/// # Errors
/// Names a placeholder that no parameter stands for.
pub(super) fn bind(request: &PreparedRequest) -> Result<Vec<Binding<'_>>, Problem> {
    let caller = &request.caller;
    request
        .report
        .query
        .placeholders()
        .iter()
        .map(|name| match name.as_str() {
            "tenant" => Ok(from_caller(name, &caller.tenant)),
            "principal" => Ok(from_caller(name, &caller.principal)),
            _ => from_values(request, name),
        })
        .collect()
}

fn from_caller<'a>(name: &'a str, value: &str) -> Binding<'a> {
    Binding { name, kind: ParamType::Text, list: false, sensitive: false, value: Cow::Owned(Value::from(value)) }
}

fn from_values<'a>(request: &'a PreparedRequest, name: &'a str) -> Result<Binding<'a>, Problem> {
    let Some(spec) = request.report.definition.placeholder(name) else {
        return Err(Problem::new(
            ProblemKind::QueryFailed,
            format!("the query uses :{name}, but the report has no parameter of that name; add [params.{name}]"),
        ));
    };
    let value = request.params.get(name).or_else(|| request.attributes.get(name));
    // An attribute may be a list of nothing, which no database but one has a way to write.
    let value = value.filter(|value| !(spec.list && value.as_array().is_some_and(Vec::is_empty)));
    let value = value.map_or(Cow::Owned(Value::Null), Cow::Borrowed);
    Ok(Binding { name, kind: spec.kind, list: spec.list, sensitive: spec.sensitive, value })
}

/// Replaces parameter values that a server repeats in its message: callers may see the message, and so may logs.
pub(super) fn hide_values(bindings: &[Binding<'_>], mut message: String) -> String {
    for binding in bindings {
        let mut hide = |value: &Value| {
            let text = match value {
                Value::Null => return,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            if text.is_empty() {
                return;
            }
            let shown = format!(":{}", binding.name);
            for quote in ['"', '\''] {
                message = message.replace(&format!("{quote}{text}{quote}"), &shown);
            }
            if binding.sensitive {
                message = message.replace(&text, &shown);
            }
        };
        match binding.value.as_ref() {
            Value::Array(values) => values.iter().for_each(&mut hide),
            value => hide(value),
        }
    }
    message
}
