//! Parameters written into the query as literals: `COPY` takes no bound ones.
//!
//! Nothing is pasted: every value becomes a quoted string with its type behind it, in parentheses, whatever its type. A string
//! with a backslash is written as `E'…'` with each backslash doubled, one without as `'…'`, so that the text reads the same
//! whatever `standard_conforming_strings` says; the connection's encoding is always UTF-8, so that no quote hides in a longer
//! character. A report with a sensitive parameter is never written so: servers show the text of queries to others.

use model::problem::{Problem, ProblemKind};
use serde_json::Value;
use tokio_postgres::types::Type;

use super::params;
use crate::bind::Binding;
use crate::report::PreparedReport;

/// Writes the query with its parameters as literals. `None`: a parameter is sensitive and must be bound.
///
/// # Errors
/// Names a parameter that no literal can hold (a NUL character).
pub(super) fn render(report: &PreparedReport, bindings: &[Binding<'_>]) -> Result<Option<String>, Problem> {
    if bindings.iter().any(|binding| binding.sensitive) {
        return Ok(None);
    }
    let mut unwritable = None;
    let sql = report.query.render(|out, name| {
        let Some(binding) = bindings.iter().find(|binding| binding.name == name) else {
            unwritable = Some(name.to_owned());
            return;
        };
        if write_binding(out, binding).is_none() {
            unwritable = Some(name.to_owned());
        }
    });
    match unwritable {
        None => Ok(Some(sql)),
        Some(name) => {
            let why = format!("the value of :{name} holds a NUL character, which PostgreSQL has no text for");
            Err(Problem::new(ProblemKind::QueryFailed, why))
        }
    }
}

/// Writes a value. A list is an array, and in `in (:list)` its elements, for which servers plan best.
fn write_binding(out: &mut String, binding: &Binding<'_>) -> Option<()> {
    let is_elements = binding.list && params::ends_with_in(out);
    match binding.value.as_ref() {
        Value::Array(items) if is_elements => {
            let kind = params::type_of(binding.kind, false);
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_literal(out, params::text_of(item).as_deref(), &kind)?;
            }
        }
        value => {
            // No list at all has no elements, which only a query can say.
            out.push_str(if is_elements { "select unnest" } else { "" });
            let kind = params::type_of(binding.kind, binding.list);
            write_literal(out, params::text_of(value).as_deref(), &kind)?;
        }
    }
    Some(())
}

/// Writes `('…'::pg_catalog.type)`. `None` where the text holds NUL.
fn write_literal(out: &mut String, text: Option<&str>, kind: &Type) -> Option<()> {
    out.push('(');
    match text {
        None => out.push_str("null"),
        Some(text) if text.contains('\0') => return None,
        Some(text) => {
            out.push_str(if text.contains('\\') { "E'" } else { "'" });
            for character in text.chars() {
                if matches!(character, '\'' | '\\') {
                    out.push(character);
                }
                out.push(character);
            }
            out.push('\'');
        }
    }
    out.push_str("::pg_catalog.");
    // The names of arrays begin with an underscore; every name here is a plain word.
    out.push_str(kind.name());
    out.push(')');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::write_literal;
    use tokio_postgres::types::Type;

    fn literal(text: Option<&str>, kind: &Type) -> Option<String> {
        let mut out = String::new();
        write_literal(&mut out, text, kind).map(|()| out)
    }

    #[test]
    fn quotes_and_backslashes_are_doubled() {
        assert_eq!(literal(Some("it's"), &Type::TEXT).as_deref(), Some("('it''s'::pg_catalog.text)"));
        assert_eq!(literal(Some(r"\'"), &Type::TEXT).as_deref(), Some(r"(E'\\'''::pg_catalog.text)"));
        assert_eq!(literal(None, &Type::INT8_ARRAY).as_deref(), Some("(null::pg_catalog._int8)"));
        assert_eq!(literal(Some("a\0b"), &Type::TEXT), None);
    }
}
