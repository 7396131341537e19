//! Who else can read a configuration that holds secrets.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use url::Url;

use super::SettingError;

/// For whoever has an account on the machine.
const READABLE_BY_OTHERS: u32 = 0o004;

/// Warns of a file with secrets that everybody on the machine can read.
pub(super) fn warn_of_readers(file: &Path, text: &str) -> Option<SettingError> {
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    let secret = first_secret("", &toml::Value::Table(text.parse().ok()?))?;
    (mode & READABLE_BY_OTHERS != 0).then(|| {
        let message =
            format!("holds a secret ({secret}) and can be read by everybody on this machine; run chmod o-r on it");
        SettingError::new(file.display().to_string(), message)
    })
}

/// Names the first setting that is a secret or holds a password.
fn first_secret(key: &str, value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::Table(settings) => settings.iter().find_map(|(name, value)| {
            first_secret(&if key.is_empty() { name.clone() } else { format!("{key}.{name}") }, value)
        }),
        toml::Value::String(text) => {
            let named = ["secret", "secret_access_key", "seal_keys", "secrets"].iter().any(|end| key.ends_with(end));
            (named && !text.is_empty() || has_password(text)).then(|| key.to_owned())
        }
        toml::Value::Array(items)
            if ["seal_keys", "link_secret", "secrets"].iter().any(|end| key.ends_with(end)) && !items.is_empty() =>
        {
            Some(key.to_owned())
        }
        _ => None,
    }
}

fn has_password(text: &str) -> bool {
    text.parse::<Url>().is_ok_and(|url| {
        url.password().is_some()
            || url.query_pairs().any(|(name, value)| name.contains("password") && !value.is_empty())
    })
}
