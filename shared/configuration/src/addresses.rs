//! Addresses among the settings: of the service and its neighbours on the web, and of mail.

use model::recipient::check_recipient;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::encoding::texts;

/// Reads the address that browsers know the service by, if there is one. It ends without a slash, so that paths can be added.
pub(super) fn public_url<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    read_base(from, "https://reports.example.com")
}

/// Reads the address of a server that is spoken to over HTTP, if there is one.
pub(super) fn endpoint<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    read_base(from, "http://127.0.0.1:9000")
}

fn read_base<'de, D: Deserializer<'de>>(from: D, example: &str) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() {
        return Ok(None);
    }
    check_base(&text)
        .map(|()| Some(text.trim_end_matches('/').to_owned()))
        .map_err(|why| D::Error::custom(format!("{why}; write for example \"{example}\"")))
}

/// Says what is wrong with an address that paths are added to. What may be a password is not repeated.
fn check_base(text: &str) -> Result<(), String> {
    let shown = if text.contains('@') { "this".to_owned() } else { format!("`{text}`") };
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    if !scheme.is_some_and(|scheme| matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https")) {
        return Err(format!("{shown} does not begin with http:// or https://"));
    }
    let url = Url::parse(text).map_err(|error| format!("{shown} is not an address: {error}"))?;
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("{shown} has a space or a line break in it"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user or a password, which have no place in it".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{shown} has a `?` or `#` in it, and paths are added at its end"));
    }
    Ok(())
}

/// Reads origins as browsers send them, or `*`.
pub(super) fn origins<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let origins = texts(from)?;
    for origin in &origins {
        let same = |url: Url| url.origin().ascii_serialization() == *origin;
        if origin != "*" && !Url::parse(origin).is_ok_and(same) {
            let message =
                "is not an origin as browsers send it; write for example \"https://app.example.com\", without a path";
            return Err(D::Error::custom(format!("`{origin}` {message}")));
        }
    }
    Ok(origins)
}

/// Reads whom mails come from.
pub(super) fn sender<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let (name, address) = match text.trim().strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((name, address)) => (name.trim(), address),
        None => ("", text.trim()),
    };
    let quoted = name.len() > 1 && name.starts_with('"') && name.ends_with('"');
    let good =
        |c: char| !c.is_control() && (quoted || !matches!(c, '<' | '>' | '@' | ',' | ';' | ':' | '"' | '(' | ')'));
    if name.chars().all(good) && is_address(address) {
        return Ok(text);
    }
    Err(D::Error::custom(format!("`{text}` is not an address; write for example \"Reports <reports@example.com>\"")))
}

/// Reads to whom mail may go.
pub(super) fn recipients<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let rules = texts(from)?;
    let good = |rule: &str| match rule.strip_prefix('@') {
        Some(domain) => is_address(&format!("a@{domain}")),
        None => rule == "*" || is_address(rule),
    };
    match rules.iter().find(|rule| !good(rule.trim())) {
        None => Ok(rules),
        Some(rule) => {
            let message = "is neither \"*\", nor a domain such as \"@example.com\", nor an address";
            Err(D::Error::custom(format!("`{rule}` {message}")))
        }
    }
}

fn is_address(text: &str) -> bool {
    check_recipient(text, &["*".to_owned()]).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_an_address_that_paths_can_be_added_to() {
        for good in
            ["http://minio:9000", "https://example.com/reports/", "HTTP://[::1]:9000", "https://xn--bcher-kva.example"]
        {
            assert_eq!(check_base(good), Ok(()), "{good}");
        }
        for bad in [
            "minio:9000",
            "example.com",
            "ftp://h",
            "https://",
            "https://h:99999",
            "https://h/?a=1",
            "https://h/#a",
            "https://h/a b",
            "https://u:hunter2@h",
        ] {
            let why = check_base(bad).unwrap_err();
            assert!(!why.contains("hunter2"), "{bad}: {why}");
        }
    }
}
