//! `waitless config`: what is in force, as TOML, secrets hidden.

use std::process::ExitCode;
use std::time::Duration;

use configuration::{Brand, Config, LogFormat, Logo, Mode, Role, Secret};
use serde_json::{Value, json};
use url::Url;

use super::{Outcome, load};
use crate::cli::ConfigArgs;
use crate::screen;

pub(crate) fn config(args: &ConfigArgs) -> Outcome {
    let text = write(&load(Role::AllInOne, &args.configured)?);
    if args.output.json {
        // What is written can be read again; a test holds it.
        screen::json(&toml::from_str::<Value>(&text)?)?;
    } else {
        screen::line(text);
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes settings in the order of the defaults.
fn write(config: &Config) -> String {
    let mut text = String::new();
    for (section, settings) in sections(config) {
        text.push_str(&format!("[{section}]\n"));
        for (key, value) in settings {
            text.push_str(&format!("{key} = {value}\n"));
        }
        text.push('\n');
    }
    text.push_str("[sources]\n");
    for (name, source) in &config.sources {
        let url = hidden_password(&source.url);
        text.push_str(&format!("{name} = {{ url = {url}, max_connections = {} }}\n", source.max_connections));
    }
    text.push_str("\n[tenants]\n");
    for (name, tenant) in &config.tenants {
        let settings: Vec<String> = brand(tenant).iter().map(|(key, value)| format!("{key} = {value}")).collect();
        text.push_str(&format!("{} = {{ {} }}\n", json!(name), settings.join(", ")));
    }
    text
}

type Settings = Vec<(&'static str, Value)>;

fn sections(config: &Config) -> Vec<(&'static str, Settings)> {
    vec![
        ("service", service(config)),
        ("http", http(config)),
        ("database", database(config)),
        ("broker", broker(config)),
        ("storage", storage(config)),
        ("mail", mail(config)),
        ("worker", worker(config)),
        (
            "notifier",
            vec![
                ("concurrency", json!(config.notifier.concurrency)),
                ("max_attempts", json!(config.notifier.max_attempts)),
            ],
        ),
        ("sweeper", sweeper(config)),
        (
            "catalogue",
            vec![
                ("folder", json!(config.catalogue.folder.as_deref().unwrap_or("".as_ref()))),
                ("reload_every", time(config.catalogue.reload_every)),
            ],
        ),
        ("telemetry", telemetry(config)),
    ]
}

fn service(config: &Config) -> Settings {
    let service = &config.service;
    vec![
        (
            "mode",
            json!(match service.mode {
                Mode::Embedded => "embedded",
                Mode::Production => "production",
            }),
        ),
        ("data_dir", json!(service.data_dir)),
        ("public_url", json!(service.public_url.as_deref().unwrap_or_default())),
        ("link_secret", hidden(&service.link_secret)),
        ("shutdown_grace", time(service.shutdown_grace)),
    ]
}

fn http(config: &Config) -> Settings {
    let http = &config.http;
    vec![
        ("listen", json!(http.listen)),
        ("threads", json!(http.threads)),
        ("max_body", json!(http.max_body.to_string())),
        ("cors_origins", json!(http.cors_origins)),
        ("max_unfinished_jobs", json!(http.max_unfinished_jobs)),
        ("submits_per_second", json!(http.submits_per_second)),
        ("max_watchers_per_principal", json!(http.max_watchers_per_principal)),
        ("max_watchers", json!(http.max_watchers)),
        ("ping_every", time(http.ping_every)),
        ("max_wait", time(http.max_wait)),
        ("max_page", json!(http.max_page)),
    ]
}

fn database(config: &Config) -> Settings {
    let database = &config.database;
    vec![
        ("url", hidden_password(&database.url)),
        ("pool", json!(database.pool)),
        ("acquire_timeout", time(database.acquire_timeout)),
        ("statement_timeout", time(database.statement_timeout)),
        ("ca_file", json!(database.ca_file.as_deref().unwrap_or("".as_ref()))),
        ("migrate", json!(database.migrate)),
    ]
}

fn broker(config: &Config) -> Settings {
    let broker = &config.broker;
    vec![
        ("url", hidden_password(&broker.url)),
        ("ca_file", json!(broker.ca_file.as_deref().unwrap_or("".as_ref()))),
        ("heartbeat", time(broker.heartbeat)),
        ("timeout", time(broker.timeout)),
        ("retry_delays", broker.retry_delays.delays().iter().copied().map(time).collect()),
        ("delivery_limit", json!(broker.delivery_limit)),
        ("hand_off_after", time(broker.hand_off_after)),
    ]
}

fn storage(config: &Config) -> Settings {
    let storage = &config.storage;
    vec![
        ("url", json!(storage.url)),
        ("endpoint", json!(storage.endpoint.as_deref().unwrap_or_default())),
        ("region", json!(storage.region.as_deref().unwrap_or_default())),
        ("access_key_id", json!(storage.access_key_id.as_deref().unwrap_or_default())),
        ("secret_access_key", storage.secret_access_key.as_ref().map_or(json!(""), hidden)),
        ("sign_for", time(storage.sign_for)),
        ("proxy_downloads", json!(storage.proxy_downloads)),
        ("part_size", json!(storage.part_size.to_string())),
        ("upload_concurrency", json!(storage.upload_concurrency)),
        ("timeout", time(storage.timeout)),
    ]
}

fn mail(config: &Config) -> Settings {
    let mail = &config.mail;
    let mut settings = vec![
        ("url", hidden_password(&mail.url)),
        ("ca_file", json!(mail.ca_file.as_deref().unwrap_or("".as_ref()))),
        ("from", json!(mail.from)),
        ("allow", json!(mail.allow)),
        ("timeout", time(mail.timeout)),
        ("late_after", mail.late_after.map_or_else(|| json!("0"), time)),
    ];
    settings.extend(brand(&mail.brand));
    settings
}

fn brand(brand: &Brand) -> Settings {
    vec![
        ("brand", json!(brand.name)),
        ("color", json!(brand.color.to_string())),
        ("logo", json!(brand.logo.as_ref().map(Logo::written).unwrap_or_default())),
        ("language", json!(brand.language.as_str())),
        ("time_zone", json!(brand.time_zone.name())),
    ]
}

fn worker(config: &Config) -> Settings {
    let worker = &config.worker;
    vec![
        ("lanes", worker.lanes.iter().map(|lane| json!(lane.as_str())).collect()),
        ("concurrency", json!(worker.concurrency)),
        ("heartbeat", time(worker.heartbeat)),
        ("max_timeout", time(worker.max_timeout)),
        ("max_rows", json!(worker.max_rows)),
        ("max_bytes", json!(worker.max_bytes.to_string())),
        ("memory", json!(worker.memory.to_string())),
        ("fonts", json!(worker.fonts)),
        ("progress_every", time(worker.progress_every)),
    ]
}

fn sweeper(config: &Config) -> Settings {
    let sweeper = &config.sweeper;
    vec![
        ("every", time(sweeper.every)),
        ("grace", time(sweeper.grace)),
        ("ring_rate", json!(sweeper.ring_rate)),
        ("orphan_grace", time(sweeper.orphan_grace)),
        ("idempotency_retention", time(sweeper.idempotency_retention)),
        ("click_retention", time(sweeper.click_retention)),
    ]
}

fn telemetry(config: &Config) -> Settings {
    let telemetry = &config.telemetry;
    vec![
        ("log", json!(telemetry.log)),
        (
            "log_format",
            json!(match telemetry.log_format {
                LogFormat::Text => "text",
                LogFormat::Json => "json",
            }),
        ),
        ("otlp_endpoint", json!(telemetry.otlp_endpoint.as_deref().unwrap_or_default())),
        ("service_name", json!(telemetry.service_name)),
    ]
}

fn time(duration: Duration) -> Value {
    json!(humantime::format_duration(duration).to_string().replace(' ', ""))
}

fn hidden(secret: &Secret) -> Value {
    json!(if secret.expose().is_empty() { "" } else { "(hidden)" })
}

/// Shows where a URL leads and hides its password. What cannot be read is hidden as a whole.
fn hidden_password(url: &Secret) -> Value {
    let text = url.expose();
    match text.parse::<Url>() {
        Ok(mut parsed) if parsed.password().is_some() => match parsed.set_password(Some("hidden")) {
            Ok(()) => json!(parsed.to_string()),
            Err(()) => json!("(hidden)"),
        },
        Ok(_) => json!(text),
        Err(_) => json!("(hidden)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_the_defaults_is_printed_and_can_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("waitless.toml");
        let read_again = |variables: &[(&str, &str)]| {
            let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let config = Config::from_layers(None, variables).unwrap();
            std::fs::write(&file, write(&config)).unwrap();
            let again = Config::from_layers(Some(&file), std::iter::empty()).unwrap();
            assert_eq!(format!("{config:?}"), format!("{again:?}"));
            config
        };
        read_again(&[("WAITLESS_MAIL__LATE_AFTER", "0")]);
        let config = read_again(&[]);
        let known = configuration::DEFAULTS.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key);
        for key in known.filter(|key| !key.starts_with('#')) {
            assert!(write(&config).contains(&format!("\n{key} = ")), "{key}");
        }
    }

    #[test]
    fn passwords_are_hidden() {
        let variables = [
            ("WAITLESS_DATABASE__URL", "postgres://user:hunter2@db/waitless"),
            ("WAITLESS_SERVICE__LINK_SECRET", "hunter2hunter2hunter2hunter2hunter2"),
            ("WAITLESS_MAIL__URL", "smtp://user:hunter2@mail"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let text = write(&Config::from_layers(None, variables.into_iter()).unwrap());
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("postgres://user:hidden@db/waitless"), "{text}");
    }
}
