//! Turns environment variables into settings.

use std::collections::BTreeMap;

use super::SettingError;

/// Names that begin with `WAITLESS_` and are not settings: read by the command line, the tests and the benchmarks.
const NOT_SETTINGS: [&str; 3] = ["WAITLESS_CONFIG", "WAITLESS_URL", "WAITLESS_KEY"];
const NOT_SETTINGS_PREFIXES: [&str; 2] = ["WAITLESS_TEST_", "WAITLESS_BENCH_"];

/// Picks the settings out of `variables`: `section.key` to value. Secrets named by `…_FILE` are read.
pub(super) fn settings(
    variables: impl Iterator<Item = (String, String)>,
    errors: &mut Vec<SettingError>,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix("WAITLESS_") else { continue };
        if NOT_SETTINGS.contains(&name.as_str()) || NOT_SETTINGS_PREFIXES.iter().any(|p| name.starts_with(p)) {
            continue;
        }
        if !rest.contains("__") {
            let likely = rest.replacen('_', "__", 1);
            errors.push(SettingError::new(
                &name,
                format!(
                    "is not a setting; sections and keys are parted by two underscores: did you mean WAITLESS_{likely}?"
                ),
            ));
            continue;
        }
        // Settings of their own, not files that values stand in.
        let is_own = rest.ends_with("__CA_FILE") || rest.ends_with("__FILE");
        match rest.strip_suffix("_FILE").filter(|_| !is_own) {
            Some(setting) => match std::fs::read_to_string(&value) {
                Ok(text) => {
                    found.insert(key_of(setting), text.trim_end_matches(['\n', '\r']).to_owned());
                }
                Err(error) => {
                    errors.push(SettingError::new(&name, format!("the file `{value}` cannot be read: {error}")));
                }
            },
            None => {
                found.insert(key_of(rest), value);
            }
        }
    }
    found
}

/// `DATABASE__URL` → `database.url`.
fn key_of(name: &str) -> String {
    name.to_lowercase().replace("__", ".")
}
