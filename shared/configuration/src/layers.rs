//! Lays file and environment over the defaults, refusing keys that the defaults do not have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use config::{File, FileFormat, Map};

use super::load::DEFAULTS;
use super::read::Fault;

/// Settings of one source, below `sources.<name>`.
const SOURCE_KEYS: [&str; 2] = ["url", "max_connections"];

/// Settings of one tenant, below `tenants.<name>`.
const TENANT_KEYS: [&str; 5] = ["brand", "color", "logo", "language", "time_zone"];

/// Lays file and variables over the defaults. `None` when they do not even parse.
pub(super) fn lay(
    text: &str,
    file: Option<&Path>,
    settings: BTreeMap<String, String>,
    faults: &mut Vec<Fault>,
) -> Option<config::Config> {
    let known = keys(DEFAULTS).unwrap_or_default();
    let name = file.map(|path| path.display().to_string()).unwrap_or_default();
    match keys(text) {
        Ok(found) => faults.extend(found.iter().filter_map(|key| unknown(key, &known, &name))),
        Err(message) => faults.push(Fault::new(&name, message)),
    }
    faults.extend(settings.keys().filter_map(|key| unknown(key, &known, "the environment")));
    let variables: Map<String, String> = settings.into_iter().collect();
    let built = config::Config::builder()
        .add_source(File::from_str(DEFAULTS, FileFormat::Toml))
        .add_source(File::from_str(text, FileFormat::Toml))
        .add_source(config::Environment::default().separator(".").source(Some(variables)))
        .build();
    match built {
        Ok(config) => Some(config),
        Err(error) => {
            if faults.is_empty() {
                faults.push(Fault::new(&name, error.to_string()));
            }
            None
        }
    }
}

/// Lists `section.key` of every setting in a TOML text.
fn keys(text: &str) -> Result<BTreeSet<String>, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        format!("not valid TOML: {}", error.to_string().trim_end().replace('\n', "\n    "))
    })?;
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
fn unknown(key: &str, known: &BTreeSet<String>, place: &str) -> Option<Fault> {
    if known.contains(key) {
        return None;
    }
    let families = [("sources.", &SOURCE_KEYS[..], "a source"), ("tenants.", &TENANT_KEYS[..], "a tenant")];
    for (prefix, settings, member) in families {
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        let setting = rest.rsplit_once('.').map_or("", |(_, setting)| setting);
        let (last, first) = settings.split_last()?;
        return (!settings.contains(&setting)).then(|| {
            Fault::new(key, format!("unknown setting in {place}; {member} has {} and {last}", first.join(", ")))
        });
    }
    let nearest =
        known.iter().min_by_key(|candidate| distance(key, candidate)).filter(|candidate| distance(key, candidate) <= 4);
    let hint = nearest
        .map_or_else(|| "the defaults list every one".to_owned(), |nearest| format!("did you mean `{nearest}`?"));
    Some(Fault::new(key, format!("unknown setting in {place}; {hint}")))
}

/// Edit distance, to find the setting somebody meant.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, to) in b.chars().enumerate() {
            let (left, above) = (row.get(j).copied().unwrap_or(0), row.get(j + 1).copied().unwrap_or(0));
            let best = (diagonal + usize::from(from != to)).min(left + 1).min(above + 1);
            if let Some(cell) = row.get_mut(j + 1) {
                *cell = best;
            }
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or(0)
}
