//! Mail addresses: strict, because what passes here is written into a mail's header and sent to.

/// Tells whether `text` is a plain address: `local@domain`, ASCII, no quotes, comments, address literals or line breaks.
#[must_use]
pub fn is_mail_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    text.len() <= 254 && is_local(local) && is_domain(domain)
}

/// Tells whether mail may go there: `"*"`, `"@example.com"` or whole addresses.
#[must_use]
pub fn is_allowed(allow: &[String], address: &str) -> bool {
    let domain = address.rfind('@').and_then(|at| address.get(at..)).unwrap_or_default();
    allow.iter().any(|rule| match rule.as_str() {
        "*" => true,
        rule if rule.starts_with('@') => rule.eq_ignore_ascii_case(domain),
        rule => rule.eq_ignore_ascii_case(address),
    })
}

fn is_local(local: &str) -> bool {
    const SPECIAL: &[u8] = b"!#$%&'*+-/=?^_`{|}~";
    let atom = |atom: &str| !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || SPECIAL.contains(&b));
    local.len() <= 64 && local.split('.').all(atom)
}

fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let digits_only = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    domain.split('.').all(label) && !domain.rsplit('.').next().is_some_and(digits_only)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_addresses_pass() {
        for good in ["ana@example.com", "a.b+c@x-y.example", "ana@localhost", "o'hara@EXAMPLE.org", "a@b.c1"] {
            assert!(is_mail_address(good), "{good}");
        }
    }

    #[test]
    fn whatever_could_reach_a_header_or_another_recipient_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        for bad in [
            "",
            "@",
            "ana",
            "ana@",
            "@example.com",
            "ana@example.com\r\nBcc: eve@example.com",
            "ana@example.com\n",
            "a b@example.com",
            "ana@exa mple.com",
            "ana@example.com,eve@example.com",
            "<ana@example.com>",
            "a..b@example.com",
            ".a@example.com",
            "a.@example.com",
            "ana@-x.example",
            "ana@x-.example",
            "ana@example..com",
            "ana@[127.0.0.1]",
            "ana@127.0.0.1",
            "\"ana\"@example.com",
            "ana@ex\u{e4}mple.com",
            "\u{430}na@example.com",
            "a@b@example.com",
            "ana@example.com\0",
            &long,
        ] {
            assert!(!is_mail_address(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_allow_list_knows_everybody_domains_and_addresses() {
        let allow = |rules: &[&str], to| is_allowed(&rules.iter().map(ToString::to_string).collect::<Vec<_>>(), to);
        assert!(allow(&["*"], "ana@example.com"));
        assert!(allow(&["@Example.com"], "ana@example.COM"));
        assert!(allow(&["ana@example.com"], "Ana@example.com"));
        assert!(!allow(&["@example.com"], "ana@evil-example.com"));
        assert!(!allow(&["@example.com"], "ana@sub.example.com"));
        assert!(!allow(&["example.com"], "ana@example.com"));
        assert!(!allow(&[], "ana@example.com"));
    }
}
