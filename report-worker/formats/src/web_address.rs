//! Addresses that may be followed from a file: of the web, and of nothing else.

/// Most characters of an address that spreadsheets take.
const LONGEST: usize = 2_000;

/// Returns the address that a text is, as it stands in files: characters that an address cannot have are written as bytes. `None`: the
/// text is no address of `http` or `https`, or one that hides where it leads.
pub(super) fn web_address(text: &str) -> Option<String> {
    let rest = ["https://", "http://"].into_iter().find_map(|scheme| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // No names and passwords before the host, which deceive; no brackets, which readers understand differently.
    let good = |char: char| char.is_ascii_alphanumeric() || "-.:_".contains(char);
    if !host.starts_with(|char: char| char.is_ascii_alphanumeric())
        || !host.chars().all(good)
        || text.contains(char::is_control)
    {
        return None;
    }
    let (start, path) = text.split_at(text.len() - rest.len() + host.len());
    let mut address = start.to_owned();
    let mut fragment = false;
    for (at, char) in path.char_indices() {
        let escaped =
            char == '%' && path.as_bytes().get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        let plain = char.is_ascii_alphanumeric() || "-._~/?!$&'()*+,;=:@".contains(char);
        if plain || escaped || (char == '#' && !fragment) {
            fragment |= char == '#';
            address.push(char);
        } else {
            for byte in char.encode_utf8(&mut [0; 4]).bytes() {
                address.push('%');
                address.push_str(&hex::encode_upper([byte]));
            }
        }
    }
    (address.len() <= LONGEST).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::web_address;

    #[test]
    fn addresses_of_the_web_are_links() {
        for (text, address) in [
            ("https://example.com", "https://example.com"),
            ("HTTP://Example.com:8080/a?b=c&d#e", "HTTP://Example.com:8080/a?b=c&d#e"),
            ("https://example.com/a b/ä?q=\"<x>\"", "https://example.com/a%20b/%C3%A4?q=%22%3Cx%3E%22"),
            ("https://example.com/100%/%41#a#b", "https://example.com/100%25/%41#a%23b"),
            ("http://10.0.0.1/", "http://10.0.0.1/"),
        ] {
            assert_eq!(web_address(text).as_deref(), Some(address), "{text}");
        }
    }

    #[test]
    fn nothing_else_is() {
        let long = format!("https://example.com/{}", "a".repeat(2000));
        for text in [
            "",
            "example.com",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "mailto:a@b.c",
            "ftp://a",
            "https://",
            "https:///a",
            "http:/a",
            "https://a@b/",
            "https://a:b@c/",
            "https://[::1]/",
            "https://ä.de/",
            " https://a",
            "https://a\n",
            "https://a/\u{0}",
            "\\\\server\\share",
            "https://-a",
            long.as_str(),
            "see https://example.com",
            "https://a b/",
            "ähttp",
        ] {
            assert_eq!(web_address(text), None, "{text}");
        }
    }
}
