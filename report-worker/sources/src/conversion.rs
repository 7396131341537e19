//! How an author makes of a column what can be written.

/// Writes what to put into the query in place of a column, for example `hex(t) as t`. Of a name that is no plain word the
/// expression is not known.
pub(crate) fn by_function(function: &str, name: &str) -> String {
    wrapped(name, |column| format!("{function}({column})"))
}

/// Writes what to put into the query in place of a column, as `wrap` writes the expression.
pub(crate) fn wrapped(name: &str, wrap: impl FnOnce(&str) -> String) -> String {
    let is_word = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    if is_word { format!("{} as {name}", wrap(name)) } else { format!("{} as a_name", wrap("…")) }
}

#[cfg(test)]
mod tests {
    use super::by_function;

    #[test]
    fn what_is_no_word_is_not_taken_for_an_expression() {
        assert_eq!(by_function("hex", "t"), "hex(t) as t");
        assert_eq!(by_function("hex", "lower(t)"), "hex(…) as a_name");
        assert_eq!(by_function("hex", "2024"), "hex(…) as a_name");
    }
}
