//! Endpoints that are told when a report has ended: `[webhooks.<name>]`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

use super::encoding::{at_least, backoff, duration, flag, optional, texts};
use super::networks::is_public;
use super::paths::certificates;
use super::{Secret, SettingError};
use model::job::Caller;
use model::recipient::is_webhook_name;
use model::retry_schedule::RetrySchedule;
use model::webhook::WebhookSecret;

/// In a list of tenants: all of them.
pub const EVERY_TENANT: &str = "*";

/// Secrets that sign at once: the old one and the new one.
const MOST_SECRETS: usize = 2;

/// `[webhooks.<name>]`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Webhook {
    /// `https://…`, or `http://…` where `allow_http` is set; never empty once loaded. Its path may hold a password.
    #[serde(default, serialize_with = "hide_path")]
    pub url: Secret,
    /// Each signs.
    #[serde(default, deserialize_with = "secrets")]
    pub secrets: Vec<Secret>,
    /// Whose jobs may tell it; [`EVERY_TENANT`] for all.
    #[serde(default, deserialize_with = "texts")]
    pub tenants: Vec<String>,
    /// Whether it may be told without TLS.
    #[serde(default, deserialize_with = "flag")]
    pub allow_http: bool,
    /// Whether it may be in a network of one's own, or on this machine.
    #[serde(default, deserialize_with = "flag")]
    pub allow_private: bool,
    /// Trusted beside the platform's.
    #[serde(default, serialize_with = "optional::serialize", deserialize_with = "certificates")]
    pub ca_file: Option<PathBuf>,
    /// Within this time it has answered.
    #[serde(default = "usual_timeout", serialize_with = "duration::serialize", deserialize_with = "short")]
    pub timeout: Duration,
    /// Requests at once, in one notifier.
    #[serde(default = "usual_concurrency", deserialize_with = "at_least::<1, _, _>")]
    pub concurrency: u16,
    /// The last one is repeated.
    #[serde(default = "usual_delays", with = "backoff")]
    pub retry_delays: RetrySchedule,
    #[serde(default = "usual_attempts", deserialize_with = "at_least::<1, _, _>")]
    pub max_attempts: i32,
}

impl Webhook {
    /// Names an endpoint that every tenant may tell, with one secret.
    #[must_use]
    pub fn at(url: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            url: Secret::new(url),
            secrets: vec![Secret::new(secret)],
            tenants: vec![EVERY_TENANT.to_owned()],
            allow_http: false,
            allow_private: false,
            ca_file: None,
            timeout: usual_timeout(),
            concurrency: usual_concurrency(),
            retry_delays: usual_delays(),
            max_attempts: usual_attempts(),
        }
    }

    /// Tells whether a setting is a list.
    pub(super) fn is_list(setting: &str) -> bool {
        ["secrets", "tenants", "retry_delays"].contains(&setting)
    }

    /// Tells whether jobs of a tenant may tell it.
    #[must_use]
    pub fn is_for(&self, tenant: &str) -> bool {
        self.tenants.iter().any(|listed| listed == EVERY_TENANT || listed == tenant)
    }

    /// Says what is wrong with settings that are good each for itself.
    pub(super) fn check_together(&self, name: &str) -> Vec<SettingError> {
        let mut errors = Vec::new();
        let mut wrong =
            |key: &str, message: String| errors.push(SettingError::new(format!("webhooks.{name}{key}"), message));
        if !is_webhook_name(name) {
            let message = "is no name of a webhook; write 1 to 60 lower-case letters, digits, - and _";
            wrong("", message.to_owned());
        }
        if let Err(message) = self.check_url() {
            wrong(".url", message);
        }
        if self.secrets.is_empty() {
            let message = "is needed: what the endpoint knows requests by, whsec_ and 24 to 64 random bytes in base64";
            wrong(".secrets", message.to_owned());
        }
        if self.tenants.is_empty() {
            wrong(".tenants", "is needed: the tenants whose jobs may tell it, or [\"*\"] for all".to_owned());
        }
        for tenant in self.tenants.iter().filter(|tenant| *tenant != EVERY_TENANT) {
            if let Err(expected) = Caller::check_name(tenant) {
                wrong(".tenants", format!("`{tenant}` is not a tenant's name: {expected}"));
            }
        }
        errors
    }

    /// Says what is wrong with the address, without what may be a password in it.
    fn check_url(&self) -> Result<(), String> {
        let text = self.url.expose();
        if text.is_empty() {
            return Err("is needed: where requests go, https://…".to_owned());
        }
        let url: Url = text.parse().map_err(|error| format!("is not a URL: {error}"))?;
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => return Err(
                "is http://: links to files would be read on the way; set allow_http = true in a network of your own"
                    .to_owned(),
            ),
            scheme => {
                return Err(format!(
                    "starts with `{scheme}`; accepted are https://, and http:// with allow_http = true"
                ));
            }
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "has a user or password in it; requests are signed, and that is what the endpoint checks".to_owned()
            );
        }
        if url.fragment().is_some() {
            return Err("has a `#` in it, and what follows that is never sent".to_owned());
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) | None => None,
        };
        match address.filter(|address| !self.allow_private && !is_public(*address)) {
            Some(address) => Err(format!(
                "leads to {address}, which is no address of the public internet; set allow_private = true if that is meant"
            )),
            None => Ok(()),
        }
    }

    /// Says what is allowed and may not be meant.
    pub(super) fn warn(&self, name: &str) -> Option<SettingError> {
        let plain = self.allow_http && self.url.expose().starts_with("http://");
        let message = "sends links to files unencrypted; whoever reads them on the way has the files";
        plain.then(|| SettingError::new(format!("webhooks.{name}.allow_http"), message))
    }
}

/// Shows the server that requests go to, and hides what may be a password in the rest.
fn hide_path<S: Serializer>(url: &Secret, to: S) -> Result<S::Ok, S::Error> {
    match url.expose().parse::<Url>() {
        Ok(url) if url.has_host() => to.collect_str(&format_args!("{}/(hidden)", url.origin().ascii_serialization())),
        _ if url.expose().is_empty() => to.serialize_str(""),
        _ => to.serialize_str("(hidden)"),
    }
}

/// Reads secrets, each another one. A file that holds them may have one a line.
fn secrets<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Secret>, D::Error> {
    let mut found: Vec<Secret> = Vec::new();
    for text in texts(from)?.iter().flat_map(|text| text.lines()).map(str::trim).filter(|text| !text.is_empty()) {
        let nth = found.len() + 1;
        WebhookSecret::read(text).map_err(|wrong| D::Error::custom(format!("secret {nth} {wrong}")))?;
        if found.iter().any(|other| other.expose() == text) {
            return Err(D::Error::custom(format!("secret {nth} is there twice")));
        }
        found.push(Secret::new(text));
    }
    if found.len() > MOST_SECRETS {
        return Err(D::Error::custom(
            "are too many: the old one and the new one, while one takes the place of the other",
        ));
    }
    Ok(found)
}

/// A lease lasts longer than any request.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

fn short<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let timeout = duration::deserialize(from)?;
    if timeout > LONGEST_TIMEOUT {
        return Err(D::Error::custom(
            "is too long; an endpoint takes what it is told, answers, and works afterwards: at most 1m",
        ));
    }
    Ok(timeout)
}

const fn usual_timeout() -> Duration {
    Duration::from_secs(15)
}

const fn usual_concurrency() -> u16 {
    4
}

const fn usual_attempts() -> i32 {
    10
}

/// With ten tries, three days less half an hour.
fn usual_delays() -> RetrySchedule {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    let delays = [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR];
    RetrySchedule::new(delays.map(Duration::from_secs).to_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn two_secrets_may_stand_on_lines_of_a_file_and_none_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets");
        let (old, new) =
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2VjcmV0cyBhcmUgcm90YXRlZCBub3cgYW5kIHRoZW4=");
        std::fs::write(&path, format!("{new}\n{old}\n")).unwrap();
        let load = |file: &str| {
            let variables = [
                ("WAITLESS_WEBHOOKS__ERP__URL", "https://erp.example.com/hooks"),
                ("WAITLESS_WEBHOOKS__ERP__TENANTS", "acme, globex"),
                ("WAITLESS_WEBHOOKS__ERP__SECRETS_FILE", file),
            ];
            Config::from_layers(None, variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())))
        };
        let config = load(path.to_str().unwrap()).unwrap();
        let erp = &config.webhooks["erp"];
        assert_eq!(erp.secrets.iter().map(Secret::expose).collect::<Vec<_>>(), [new, old]);
        assert!(erp.is_for("acme") && erp.is_for("globex") && !erp.is_for("initech"));
        let shown = format!("{config:?}{}", toml::to_string(&config).unwrap());
        assert!(
            !shown.contains(old) && !shown.contains(new) && shown.contains("https://erp.example.com/(hidden)"),
            "{shown}"
        );
        std::fs::write(&path, format!("{new}\n{old}\nwhsec_{}", "A".repeat(40))).unwrap();
        let refused = load(path.to_str().unwrap()).unwrap_err().to_string();
        assert!(refused.contains("webhooks.erp.secrets: are too many"), "{refused}");
    }

    #[test]
    fn what_is_not_taken_at_all_is_given_up_within_three_days() {
        let webhook = Webhook::at("https://erp.example.com", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let retries = 1..u32::try_from(webhook.max_attempts).unwrap();
        let whole: Duration = retries.map(|errors| webhook.retry_delays.after(errors, 0.0).due_after).sum();
        let day = Duration::from_secs(24 * 60 * 60);
        assert!(whole <= 3 * day && whole > 2 * day, "{whole:?}");
    }
}
