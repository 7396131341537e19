//! Values are put into a text.

/// Puts values in the places of `{name}`. What is put in is never looked at again, so that a value cannot name another.
#[must_use]
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len() + 40);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            filled.push('{');
            rest = after;
            continue;
        };
        filled.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
        rest = behind;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn what_is_put_in_is_not_read_again() {
        assert_eq!(fill("{a}, {b}{c}!", &[("a", "{b}"), ("b", "2")]), "{b}, 2!");
        assert_eq!(fill("{", &[]), "{");
    }
}
