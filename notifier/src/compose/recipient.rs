//! Whom a mail may go to.

use lettre::Address;

use super::ComposeError;

/// Reads the address and looks it up in `mail.allow`. The gateway did both; the list may have changed since, and a row is only a row.
pub(super) fn check(recipient: &str, allow: &[String]) -> Result<Address, ComposeError> {
    if recipient.chars().any(char::is_control) {
        return Err(ComposeError::NotAnAddress);
    }
    let address: Address = recipient.parse().map_err(|_| ComposeError::NotAnAddress)?;
    let allowed = allow.iter().map(|rule| rule.trim()).any(|rule| match rule.strip_prefix('@') {
        Some(domain) => address.domain().eq_ignore_ascii_case(domain),
        None => rule == "*" || rule.eq_ignore_ascii_case(recipient),
    });
    if allowed { Ok(address) } else { Err(ComposeError::NotAllowed) }
}

#[cfg(test)]
mod tests {
    use super::check;

    fn is_allowed(recipient: &str, allow: &[&str]) -> bool {
        check(recipient, &allow.iter().map(|rule| (*rule).to_owned()).collect::<Vec<_>>()).is_ok()
    }

    #[test]
    fn a_rule_is_a_star_a_domain_or_an_address() {
        assert!(is_allowed("ana@example.com", &["*"]));
        assert!(is_allowed("ana@Example.com", &["@example.com"]));
        assert!(is_allowed("Ana@example.com", &["ana@example.com"]));
        assert!(!is_allowed("ana@example.com", &["bob@example.com", "@example.org"]));
        assert!(!is_allowed("ana@evil-example.com", &["@example.com"]));
        assert!(!is_allowed("ana@sub.example.com", &["@example.com"]));
        assert!(!is_allowed("ana@example.com", &[]));
    }

    #[test]
    fn an_address_with_a_line_break_is_refused() {
        for bad in ["ana@example.com\r\nBcc: eve@example.com", "ana\n@example.com", "ana", "", "Ana <ana@example.com>"]
        {
            assert!(!is_allowed(bad, &["*"]), "{bad:?}");
        }
    }
}
