//! Parameters written into the query as literals: `COPY` takes no bound ones.
//!
//! A value is a quoted string with its type behind it, in parentheses, whatever its type. Between the quotes stand digits,
//! letters beyond ASCII and escapes (`\x27`), and nothing else: no character that ends, opens or separates anything in SQL, whatever
//! it stands in. So a value stays a value even where this service and the server should disagree on where a string begins: what is
//! outside of a string would be a backslash, a number or a name between two strings, which is a syntax error. The connection's
//! encoding is always UTF-8.
//!
//! A report with a sensitive parameter is never written so: servers show the text of queries to others.

use std::fmt::Write as _;

use model::problem::{Problem, ProblemKind};
use report::{ListPlace, Placeholder};
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
    let sql = report.query.render(|out, Placeholder { name, place }| {
        let written = bindings
            .iter()
            .find(|binding| binding.name == name)
            .and_then(|binding| write_binding(out, binding, *place));
        if written.is_none() {
            unwritable = Some(name.clone());
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
fn write_binding(out: &mut String, binding: &Binding<'_>, place: ListPlace) -> Option<()> {
    let is_elements = binding.list && place != ListPlace::Value;
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
            out.push_str(if is_elements { "select pg_catalog.unnest" } else { "" });
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
            out.push_str(if text.chars().all(is_inert) { "'" } else { "E'" });
            for character in text.chars() {
                if is_inert(character) {
                    out.push(character);
                } else {
                    write!(out, "\\x{:02x}", u32::from(character)).ok()?;
                }
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

/// Tells whether a character stays as it is. A word of ASCII letters could be one of the language; others could not.
fn is_inert(character: char) -> bool {
    character.is_ascii_digit() || !character.is_ascii()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio_postgres::types::Type;

    use super::write_literal;

    fn literal(text: Option<&str>, kind: &Type) -> Option<String> {
        let mut out = String::new();
        write_literal(&mut out, text, kind).map(|()| out)
    }

    #[test]
    fn a_value_is_digits_letters_beyond_ascii_and_escapes() {
        assert_eq!(literal(Some("é's 5"), &Type::TEXT).as_deref(), Some(r"(E'é\x27\x73\x205'::pg_catalog.text)"));
        assert_eq!(literal(Some("42"), &Type::INT8).as_deref(), Some("('42'::pg_catalog.int8)"));
        assert_eq!(literal(None, &Type::INT8_ARRAY).as_deref(), Some("(null::pg_catalog._int8)"));
        assert_eq!(literal(Some("a\0b"), &Type::TEXT), None);
    }

    proptest! {
        #[test]
        fn no_value_has_a_character_that_means_something_in_sql(text in "[^\0]{0,40}") {
            let written = literal(Some(&text), &Type::TEXT).unwrap();
            let value = written.trim_start_matches("(E").trim_start_matches('(').strip_suffix("::pg_catalog.text)").unwrap();
            let value = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap();
            let mut rest = value;
            while let Some(first) = rest.chars().next() {
                let length = if first == '\\' {
                    prop_assert!(rest[1..].starts_with('x') && rest[2..4].bytes().all(|b| b.is_ascii_hexdigit()), "{}", value);
                    4
                } else {
                    prop_assert!(first.is_ascii_digit() || !first.is_ascii(), "{}", value);
                    first.len_utf8()
                };
                rest = &rest[length..];
            }
        }
    }
}

#[cfg(test)]
#[path = "literal_tests.rs"]
mod on_a_server;
