//! Turns the layers, one over the other, into typed settings. Every setting that cannot be read is told, not the first only.

use serde::Deserialize as _;
use serde_json::Value;

use super::fields::{MAX_RUNNING, WEIGHT, fields, tenant_fields};
use super::load::DEFAULTS;
use super::{AccessRole, Brand, Calendar, Config, Issuer, Quotas, SettingError, Source, TenantSource, Webhook};

/// `[section, key]`, or `[family, name, key]` of a source, a role or a tenant, or what a source has for a tenant and a tenant has of quotas.
type SettingPath<'a> = Vec<&'a str>;

/// Reads every setting. Those that are wrong are noted and keep their default, so that what depends on others can be checked all
/// the same; the caller must not use the result when there are errors. `defaults` are the settings of `default.toml` alone.
///
/// # Errors
/// When the defaults cannot be read themselves.
pub(super) fn deserialize(
    mut settings: Value,
    mut defaults: Value,
    errors: &mut Vec<SettingError>,
) -> Result<Config, SettingError> {
    spell_scalars(&mut settings);
    spell_scalars(&mut defaults);
    let mut complete = settings.clone();
    complete_tenants(&mut complete);
    let error = match Config::deserialize(&complete) {
        Ok(config) => return Ok(config),
        Err(error) => error,
    };
    let mut good = defaults.clone();
    for path in known_paths(&settings, &defaults) {
        if let Some(message) =
            wrong_shape(value_at(&settings, &path), usual(&defaults, &path, value_at(&settings, &path).is_array()))
        {
            errors.push(SettingError::new(path.join("."), message));
            continue;
        }
        let mut tried = good.clone();
        set(&mut tried, &path, &settings);
        match Config::deserialize(&tried) {
            Ok(_) => good = tried,
            Err(error) => errors.push(SettingError::new(path.join("."), error.to_string())),
        }
    }
    if errors.is_empty() {
        errors.push(SettingError::new("the settings together", error.to_string()));
    }
    Config::deserialize(&good).map_err(|error| SettingError::new("default.toml", error.to_string()))
}

fn value_at<'a>(settings: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(settings, |value, name| &value[*name])
}

/// Returns a value of the kind that a setting has. Members of families have no defaults of their own.
fn usual<'a>(defaults: &'a Value, path: &[&str], is_list: bool) -> &'a Value {
    static LIST: Value = Value::Array(Vec::new());
    match path {
        ["oidc", _, setting] if Issuer::is_list(setting) => &LIST,
        ["webhooks", _, setting] if Webhook::is_list(setting) => &LIST,
        // One, or several while one takes the place of another.
        ["service", "link_secret"] if is_list => &LIST,
        // Everything that a role has is a list, and there is no role by default.
        ["roles", ..] | ["calendars", _, "dates"] => &LIST,
        _ => value_at(defaults, path),
    }
}

/// Says that a setting has one value and not several, or that it is a list.
fn wrong_shape(given: &Value, default: &Value) -> Option<&'static str> {
    match (given, default) {
        (Value::Array(items), Value::Array(_)) if items.iter().all(Value::is_string) => None,
        (Value::Array(_) | Value::Object(_), Value::Array(_)) => {
            Some("is a list; write for example [\"one\", \"other\"]")
        }
        (Value::Array(_), _) => Some("has one value, and not a list of them"),
        (Value::Object(_), _) => Some("has one value, and not settings of its own"),
        _ => None,
    }
}

/// Makes every number and boolean a text, as in a variable.
fn spell_scalars(value: &mut Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(spell_scalars),
        Value::Array(items) => items.iter_mut().for_each(spell_scalars),
        Value::Bool(_) | Value::Number(_) => *value = Value::String(value.to_string()),
        Value::String(_) | Value::Null => {}
    }
}

/// Gives each tenant what it leaves to everybody's brand in `[mail]`, and to everybody's `[quotas]`, the weight that all have, and no limit of runs at once.
fn complete_tenants(settings: &mut Value) {
    let (everybody, quotas) = (settings["mail"].clone(), settings["quotas"].clone());
    let Some(tenants) = settings["tenants"].as_object_mut() else { return };
    for tenant in tenants.values_mut().filter_map(Value::as_object_mut) {
        for setting in fields::<Brand>() {
            tenant.entry(*setting).or_insert_with(|| everybody[*setting].clone());
        }
        tenant.entry(WEIGHT).or_insert_with(|| Value::from("1"));
        tenant.entry(MAX_RUNNING).or_insert_with(|| Value::from("0"));
        let own = tenant.entry("quotas").or_insert_with(|| Value::Object(serde_json::Map::new()));
        let Some(own) = own.as_object_mut() else { continue };
        for setting in fields::<Quotas>() {
            own.entry(*setting).or_insert_with(|| quotas[*setting].clone());
        }
    }
}

/// Lists the settings that are given and known, in the order of the defaults. Unknown ones were told where the layers were laid.
fn known_paths<'a>(settings: &'a Value, defaults: &'a Value) -> Vec<SettingPath<'a>> {
    let sections = defaults.as_object().into_iter().flatten();
    let mut paths: Vec<SettingPath<'a>> = sections
        .flat_map(|(section, known)| {
            known.as_object().into_iter().flatten().map(move |(key, _)| vec![section.as_str(), key])
        })
        .filter(|path| settings[path[0]].get(path[1]).is_some())
        .collect();
    paths.sort_by_key(|path| place_in_defaults(path[0], path[1]));
    let families = [
        ("sources", fields::<Source>().to_vec()),
        ("roles", fields::<AccessRole>().to_vec()),
        ("calendars", fields::<Calendar>().to_vec()),
        ("tenants", tenant_fields()),
        ("oidc", fields::<Issuer>().to_vec()),
        ("webhooks", fields::<Webhook>().to_vec()),
    ];
    for (family, keys) in families {
        for (name, member) in settings[family].as_object().into_iter().flatten() {
            let has_own = |key: &str| family == "sources" && key == "tenants" && member[key].is_object();
            let plain = keys.iter().filter(|key| member.get(key).is_some() && !has_own(key));
            paths.extend(plain.map(|key| vec![family, name, *key]));
            if has_own("tenants") {
                for (tenant, own) in member["tenants"].as_object().into_iter().flatten() {
                    let own = fields::<TenantSource>().iter().filter(|key| own.get(key).is_some());
                    paths.extend(own.map(|key| vec![family, name.as_str(), "tenants", tenant.as_str(), *key]));
                }
            }
        }
    }
    for (name, member) in settings["tenants"].as_object().into_iter().flatten() {
        let given = fields::<Quotas>().iter().filter(|key| member["quotas"].get(key).is_some());
        paths.extend(given.map(|key| vec!["tenants", name, "quotas", *key]));
    }
    paths
}

fn place_in_defaults(section: &str, key: &str) -> Option<usize> {
    let start = DEFAULTS.find(&format!("\n[{section}]\n"))?;
    DEFAULTS.get(start..)?.find(&format!("\n{key} = ")).map(|place| start + place)
}

/// Copies one setting.
fn set(to: &mut Value, path: &[&str], from: &Value) {
    let (mut to_here, mut from_here) = (&mut *to, from);
    for name in path {
        to_here = &mut to_here[name];
        from_here = &from_here[name];
    }
    *to_here = from_here.clone();
    complete_tenants(to);
}
