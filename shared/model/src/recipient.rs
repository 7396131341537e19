//! Whom a mail or a webhook may go to. Strict, because what passes here is written into a mail's header and sent to.

use std::borrow::Cow;

/// Why nothing goes to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// It is no plain address.
    #[error("this is not a mail address")]
    NotAnAddress,
    /// What stands before the `@` has characters beyond ASCII.
    #[error("what stands before the @ has characters beyond ASCII")]
    LocalPartBeyondAscii,
    /// `mail.allow` does not hold it.
    #[error("mail.allow does not let mail go there")]
    NotAllowed,
    /// It is no name of a webhook.
    #[error("this is not the name of a webhook")]
    NotAName,
    /// There is no webhook of this name for whoever asks.
    #[error("webhooks.<name>.tenants does not let anything go there")]
    NoSuchWebhook,
}

/// What the rule begins with that lets a webhook be told.
const WEBHOOK: &str = "webhook:";

/// Writes the rule that lets the webhook of this name be told.
#[must_use]
pub fn webhook_rule(name: &str) -> String {
    format!("{WEBHOOK}{name}")
}

/// Tells whether `rule` lets a webhook be told.
#[must_use]
pub fn is_webhook_rule(rule: &str) -> bool {
    rule.strip_prefix(WEBHOOK).is_some_and(is_webhook_name)
}

/// Tells whether a webhook may have this name: 1 to 60 lower-case letters, digits, `-` and `_`.
#[must_use]
pub fn is_webhook_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (1..=60).contains(&name.len()) && name.bytes().all(good)
}

/// Reads the name of a webhook and looks it up among rules, which are `*` or `webhook:<name>`.
///
/// # Errors
/// When `name` is no name, or no rule lets it be told.
pub fn check_webhook(name: &str, allow: &[String]) -> Result<(), RecipientError> {
    if !is_webhook_name(name) {
        return Err(RecipientError::NotAName);
    }
    let allowed = allow.iter().any(|rule| rule == "*" || rule.strip_prefix(WEBHOOK) == Some(name));
    if allowed { Ok(()) } else { Err(RecipientError::NoSuchWebhook) }
}

/// Writes the name of a webhook as it travels.
///
/// # Errors
/// When it is no name.
pub fn write_webhook(name: &str) -> Result<String, RecipientError> {
    if is_webhook_name(name) { Ok(name.to_owned()) } else { Err(RecipientError::NotAName) }
}

/// Writes an address as every mail server takes it: an international domain in its ASCII form, `bücher.example` as
/// `xn--bcher-kva.example`. There is no such form of what stands before the `@`.
///
/// # Errors
/// When there is no domain, or one that cannot be written so; when the part before it has characters beyond ASCII.
pub fn write_recipient(text: &str) -> Result<String, RecipientError> {
    let (local, domain) = text.rsplit_once('@').ok_or(RecipientError::NotAnAddress)?;
    if !local.is_ascii() {
        let rest: String = local.chars().filter(char::is_ascii).collect();
        let otherwise_good = rest.split('.').all(|atom| atom.is_empty() || is_local(atom));
        return Err(if otherwise_good { RecipientError::LocalPartBeyondAscii } else { RecipientError::NotAnAddress });
    }
    Ok(format!("{local}@{}", write_domain(domain).ok_or(RecipientError::NotAnAddress)?))
}

fn write_domain(domain: &str) -> Option<Cow<'_, str>> {
    if domain.is_ascii() {
        return Some(Cow::Borrowed(domain));
    }
    idna::domain_to_ascii_strict(domain).ok().map(Cow::Owned)
}

/// Reads a recipient and looks it up in `mail.allow`, whose rules are `*`, `@example.com` or whole addresses. Upper and lower case
/// are the same there, and a domain stands for itself and not for those below it.
///
/// # Errors
/// When `text` is anything but a plain address, `local@domain` in ASCII without quotes, comments, address literals or line breaks;
/// or when no rule lets mail go there.
pub fn check_recipient(text: &str, allow: &[String]) -> Result<(), RecipientError> {
    let (local, domain) = text.rsplit_once('@').ok_or(RecipientError::NotAnAddress)?;
    if text.len() > 254 || !is_local(local) || !is_domain(domain) {
        return Err(RecipientError::NotAnAddress);
    }
    let allowed = allow.iter().map(|rule| rule.trim()).any(|rule| match rule.strip_prefix('@') {
        Some(whole_domain) => write_domain(whole_domain).is_some_and(|rule| rule.eq_ignore_ascii_case(domain)),
        None => rule == "*" || write_recipient(rule).is_ok_and(|rule| rule.eq_ignore_ascii_case(text)),
    });
    if allowed { Ok(()) } else { Err(RecipientError::NotAllowed) }
}

/// Tells whether `rule` can let mail go anywhere: an address, or a domain after `@`.
#[must_use]
pub fn is_rule(rule: &str) -> bool {
    match rule.strip_prefix('@') {
        Some(domain) => write_domain(domain).is_some_and(|domain| is_domain(&domain)),
        None => write_recipient(rule).is_ok_and(|address| check_recipient(&address, &["*".to_owned()]).is_ok()),
    }
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

    fn check(rules: &[&str], to: &str) -> Result<(), RecipientError> {
        check_recipient(to, &rules.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_webhook_is_told_where_a_rule_names_it() {
        let allow = ["@example.com", "webhook:erp", "webhook:wms_2"].map(str::to_owned);
        assert_eq!((check_webhook("erp", &allow), check_webhook("wms_2", &allow)), (Ok(()), Ok(())));
        assert_eq!(check_webhook("crm", &allow), Err(RecipientError::NoSuchWebhook));
        assert_eq!(check_webhook("erp", &[]), Err(RecipientError::NoSuchWebhook));
        for bad in ["", "ERP", "e r p", "erp\n", "ana@example.com", "webhook:erp", "*"] {
            assert_eq!(check_webhook(bad, &allow), Err(RecipientError::NotAName), "{bad:?}");
            assert!(!is_webhook_rule(&webhook_rule(bad)), "{bad:?}");
        }
        assert!(is_webhook_rule("webhook:erp") && !is_webhook_rule("erp") && !is_rule("webhook:erp"));
    }

    #[test]
    fn plain_addresses_pass() {
        for good in ["ana@example.com", "a.b+c@x-y.example", "ana@localhost", "o'hara@EXAMPLE.org", "a@b.c1"] {
            assert_eq!(check(&["*"], good), Ok(()), "{good}");
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
            assert_eq!(check(&["*"], bad), Err(RecipientError::NotAnAddress), "{bad:?}");
        }
    }

    #[test]
    fn an_international_domain_is_written_in_ascii_and_found_in_the_allow_list_in_either_form() {
        for (given, written) in [
            ("ana@b\u{fc}cher.example", "ana@xn--bcher-kva.example"),
            ("Ana@B\u{dc}CHER.example", "Ana@xn--bcher-kva.example"),
            ("ana@\u{4f8b}\u{5b50}.\u{6d4b}\u{8bd5}", "ana@xn--fsqu00a.xn--0zwm56d"),
            ("Ana@Example.COM", "Ana@Example.COM"),
        ] {
            assert_eq!(write_recipient(given).as_deref(), Ok(written), "{given}");
            assert_eq!(check(&["*"], written), Ok(()), "{given}");
        }
        for rule in ["@b\u{fc}cher.example", "@xn--bcher-kva.example", "ana@B\u{fc}cher.example"] {
            assert_eq!(check(&[rule], "ana@xn--bcher-kva.example"), Ok(()), "{rule}");
        }
        for (wrong, why) in [
            ("\u{e4}na@example.com", RecipientError::LocalPartBeyondAscii),
            ("ana@b\u{fc} cher.example", RecipientError::NotAnAddress),
            ("ana@b\u{fc}cher.example\r\nBcc: eve@example.com", RecipientError::NotAnAddress),
            ("ana@\u{fc}.ex_ample", RecipientError::NotAnAddress),
            ("ana", RecipientError::NotAnAddress),
        ] {
            assert_eq!(write_recipient(wrong), Err(why), "{wrong:?}");
        }
    }

    #[test]
    fn the_allow_list_knows_everybody_domains_and_addresses() {
        for (rules, to) in [
            (&["*"][..], "ana@example.com"),
            (&["@Example.com"], "ana@example.COM"),
            (&["ana@example.com"], "Ana@example.com"),
            (&["bob@example.org", " @example.com "], "ana@example.com"),
        ] {
            assert_eq!(check(rules, to), Ok(()), "{rules:?}");
        }
        for (rules, to) in [
            (&["@example.com"][..], "ana@evil-example.com"),
            (&["@example.com"], "ana@sub.example.com"),
            (&["example.com"], "ana@example.com"),
            (&["bob@example.com", "@example.org"], "ana@example.com"),
            (&["@", ""], "ana@example.com"),
            (&[], "ana@example.com"),
        ] {
            assert_eq!(check(rules, to), Err(RecipientError::NotAllowed), "{rules:?}");
        }
    }
}
