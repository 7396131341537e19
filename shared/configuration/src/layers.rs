//! Lays file and environment over the defaults, refusing keys that the defaults do not have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use config::{File, FileFormat, Map};
use serde_json::Value;

use super::fields::{fields, tenant_fields};
use super::load::DEFAULTS;
use super::{AccessRole, Calendar, Issuer, Quotas, SettingError, Source, TenantSource, Webhook};

/// Lays file and variables over the defaults. `None` when they do not even parse.
pub(super) fn merge(
    text: &str,
    file: Option<&Path>,
    settings: BTreeMap<String, String>,
    errors: &mut Vec<SettingError>,
) -> Option<Value> {
    let known = keys(DEFAULTS).unwrap_or_default();
    let name = file.map(|path| path.display().to_string()).unwrap_or_default();
    match keys(text) {
        Ok(found) => errors.extend(found.iter().filter_map(|key| unknown(key, &known, &name))),
        Err(messages) => errors.extend(messages.into_iter().map(|message| SettingError::new(&name, message))),
    }
    errors.extend(settings.keys().filter_map(|key| unknown(key, &known, "the environment")));
    let variables: Map<String, String> = settings.into_iter().collect();
    let built = config::Config::builder()
        .add_source(File::from_str(DEFAULTS, FileFormat::Toml))
        .add_source(File::from_str(text, FileFormat::Toml))
        .add_source(config::Environment::default().separator(".").source(Some(variables)))
        .build()
        .and_then(config::Config::try_deserialize);
    match built {
        Ok(settings) => Some(settings),
        Err(error) => {
            if errors.is_empty() {
                errors.push(SettingError::new(&name, error.to_string()));
            }
            None
        }
    }
}

/// Lists `section.key` of every setting in a TOML text.
///
/// # Errors
/// Everything by which it is no TOML.
fn keys(text: &str) -> Result<BTreeSet<String>, Vec<String>> {
    let told = |mut error: toml::de::Error| {
        error.set_input(Some(text));
        format!("not valid TOML: {}", error.to_string().trim_end().replace('\n', "\n    "))
    };
    let (_, errors) = toml::de::DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.into_iter().map(told).collect());
    }
    let table: toml::Table = text.parse().map_err(|error| vec![told(error)])?;
    let mut found = BTreeSet::new();
    collect("", &table, &mut found);
    Ok(found)
}

fn collect(prefix: &str, table: &toml::Table, found: &mut BTreeSet<String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) if !inner.is_empty() => collect(&key, inner, found),
            toml::Value::Table(_) => {}
            _ => {
                found.insert(key);
            }
        }
    }
}

/// Says that `key` is not a setting, and which one is nearest.
fn unknown(key: &str, known: &BTreeSet<String>, place: &str) -> Option<SettingError> {
    if known.contains(key) {
        return None;
    }
    let families = [
        ("sources.", fields::<Source>().to_vec(), "a source"),
        ("tenants.", tenant_fields(), "a tenant"),
        ("roles.", fields::<AccessRole>().to_vec(), "a role"),
        ("calendars.", fields::<Calendar>().to_vec(), "a calendar"),
        ("oidc.", fields::<Issuer>().to_vec(), "a provider"),
        ("webhooks.", fields::<Webhook>().to_vec(), "a webhook"),
    ];
    for (prefix, settings, member) in families {
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        let (name, setting) = rest.rsplit_once('.').unwrap_or_default();
        let of_quotas = prefix == "tenants." && name.ends_with(".quotas");
        let (settings, member) = if of_quotas && !settings.contains(&setting) {
            (fields::<Quotas>().to_vec(), "[tenants.<name>.quotas]")
        } else if prefix == "sources." && rest.contains(".tenants.") {
            (fields::<TenantSource>().to_vec(), "a tenant of a source")
        } else {
            (settings, member)
        };
        let (last, first) = settings.split_last()?;
        return (!settings.contains(&setting)).then(|| {
            let all = if first.is_empty() { (*last).to_owned() } else { format!("{} and {last}", first.join(", ")) };
            SettingError::new(key, format!("unknown setting in {place}; {member} has {all}"))
        });
    }
    let near = known.iter().map(|candidate| (strsim::levenshtein(key, candidate), candidate));
    let nearest = near.filter(|(distance, _)| *distance <= 4).min_by_key(|(distance, _)| *distance);
    let hint = nearest
        .map_or_else(|| "the defaults list every one".to_owned(), |(_, nearest)| format!("did you mean `{nearest}`?"));
    Some(SettingError::new(key, format!("unknown setting in {place}; {hint}")))
}
