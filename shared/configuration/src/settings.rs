//! The configuration as the rest of the code sees it: typed, complete, checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::addresses::{endpoint, origins, public_url};
use super::brand::zone;
use super::encoding::{
    address, at_least, choice, duration, duration_or_none, flag, lanes, line, link_secrets, log_filter, networks,
    optional, seal_keys, size, word,
};
use super::paths::{folder, path, paths};
use super::{
    AccessRole, Broker, Calendar, ConfigError, Database, Issuer, Mail, Network, Quotas, Secret, Secrets, SettingError,
    Source, Storage, Tenant, Webhook,
};
use model::job::Lane;
use model::locale::Tz;
use model::seal::SealKeys;
use model::units::ByteSize;

/// Every setting. `default.toml` says what each means; the fields stand in its order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    /// `[service]`
    pub service: Service,
    /// `[http]`
    pub http: Http,
    /// `[database]`
    pub database: Database,
    /// `[broker]`
    pub broker: Broker,
    /// `[storage]`
    pub storage: Storage,
    /// `[mail]`
    pub mail: Mail,
    /// `[worker]`
    pub worker: Worker,
    /// `[notifier]`
    pub notifier: Notifier,
    /// `[sweeper]`
    pub sweeper: Sweeper,
    /// `[catalogue]`
    pub catalogue: Catalogue,
    /// `[telemetry]`
    pub telemetry: Telemetry,
    /// `[sources.<name>]`
    pub sources: BTreeMap<String, Source>,
    /// `[quotas]`
    pub quotas: Quotas,
    /// `[roles.<name>]`
    pub roles: BTreeMap<String, AccessRole>,
    /// `[calendars.<name>]`
    pub calendars: BTreeMap<String, Calendar>,
    /// `[tenants.<name>]`, completed from `[mail]` and `[quotas]`.
    pub tenants: BTreeMap<String, Tenant>,
    /// `[oidc.<name>]`
    pub oidc: BTreeMap<String, Issuer>,
    /// `[webhooks.<name>]`
    pub webhooks: BTreeMap<String, Webhook>,
    /// What is allowed and may not be meant; told in the log when a process starts.
    #[serde(skip)]
    pub warnings: Vec<SettingError>,
}

/// Whether embedded backends are welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All in one process.
    Embedded,
    /// Real backends only.
    Production,
}

/// `[service]`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Service {
    #[serde(deserialize_with = "choice")]
    pub mode: Mode,
    #[serde(deserialize_with = "path")]
    pub data_dir: PathBuf,
    /// Without trailing slash; `None`: taken from the request.
    #[serde(serialize_with = "optional::serialize", deserialize_with = "public_url")]
    pub public_url: Option<String>,
    #[serde(deserialize_with = "link_secrets")]
    pub link_secret: Secrets,
    #[serde(deserialize_with = "seal_keys")]
    pub seal_keys: Vec<Secret>,
    #[serde(with = "duration")]
    pub shutdown_grace: Duration,
    /// Whose days usage is counted by.
    #[serde(with = "zone")]
    pub time_zone: Tz,
}

impl Service {
    /// Returns what seals sensitive values and opens them: `seal_keys`, then the link secrets, whose first one seals where there are none.
    ///
    /// # Errors
    /// When there is no secret at all.
    pub fn derive_seal_keys(&self) -> Result<SealKeys, ConfigError> {
        let secrets = self.seal_keys.iter().map(Secret::expose).chain(self.link_secret.all());
        SealKeys::new(secrets).ok_or_else(|| {
            let message = "is empty, and so is service.link_secret: sensitive values would not be sealed";
            ConfigError(vec![SettingError::new("service.seal_keys", message)])
        })
    }
}

/// `[http]`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Http {
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    #[serde(deserialize_with = "at_least::<0, _, _>")]
    pub threads: usize,
    #[serde(deserialize_with = "size")]
    pub max_body: ByteSize,
    #[serde(deserialize_with = "origins")]
    pub cors_origins: Vec<String>,
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<Network>,
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_unfinished_jobs: u32,
    #[serde(deserialize_with = "at_least::<0, _, _>")]
    pub submits_per_second: u32,
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_watchers_per_principal: usize,
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_watchers: usize,
    #[serde(with = "duration")]
    pub ping_every: Duration,
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_page: u32,
    #[serde(with = "duration")]
    pub max_wait: Duration,
    /// `None`: at once.
    #[serde(with = "duration_or_none")]
    pub close_after: Option<Duration>,
    #[serde(deserialize_with = "flag")]
    pub status_page: bool,
}

/// `[worker]`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Worker {
    #[serde(deserialize_with = "lanes")]
    pub lanes: Vec<Lane>,
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub concurrency: u16,
    #[serde(with = "duration")]
    pub heartbeat: Duration,
    #[serde(with = "duration")]
    pub max_timeout: Duration,
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_rows: u64,
    #[serde(deserialize_with = "size")]
    pub max_bytes: ByteSize,
    #[serde(deserialize_with = "size")]
    pub memory: ByteSize,
    #[serde(deserialize_with = "paths")]
    pub fonts: Vec<PathBuf>,
    #[serde(with = "duration")]
    pub progress_every: Duration,
    /// `None`: never.
    #[serde(with = "duration_or_none")]
    pub end_when_idle: Option<Duration>,
    /// `None`: nobody is told what this worker's pod costs.
    #[serde(serialize_with = "optional::serialize", deserialize_with = "word")]
    pub pod: Option<String>,
    #[serde(with = "duration")]
    pub pod_cost_every: Duration,
    #[serde(serialize_with = "optional::serialize", deserialize_with = "endpoint")]
    pub kubernetes_url: Option<String>,
    #[serde(deserialize_with = "path")]
    pub kubernetes_account: PathBuf,
}

/// `[notifier]`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Notifier {
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub concurrency: u16,
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_attempts: i32,
}

/// `[sweeper]`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sweeper {
    #[serde(with = "duration")]
    pub every: Duration,
    #[serde(with = "duration")]
    pub grace: Duration,
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub ring_rate: u32,
    #[serde(with = "duration")]
    pub orphan_grace: Duration,
    #[serde(with = "duration")]
    pub idempotency_retention: Duration,
    #[serde(with = "duration")]
    pub click_retention: Duration,
    #[serde(with = "duration")]
    pub usage_retention: Duration,
    /// `None`: for ever.
    #[serde(with = "duration_or_none")]
    pub job_retention: Option<Duration>,
    /// `None`: for ever.
    #[serde(with = "duration_or_none")]
    pub audit_retention: Option<Duration>,
}

/// `[catalogue]`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Catalogue {
    /// `None`: the embedded demo catalogue.
    #[serde(serialize_with = "optional::serialize", deserialize_with = "folder")]
    pub folder: Option<PathBuf>,
    #[serde(with = "duration")]
    pub reload_every: Duration,
}

/// `[telemetry]`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Telemetry {
    /// `None`: metrics are shown where probes are, and by a gateway nowhere.
    #[serde(with = "optional")]
    pub listen: Option<SocketAddr>,
    #[serde(deserialize_with = "log_filter")]
    pub log: String,
    #[serde(deserialize_with = "choice")]
    pub log_format: LogFormat,
    /// `None`: every line is written.
    #[serde(with = "duration_or_none")]
    pub log_repeats: Option<Duration>,
    #[serde(deserialize_with = "flag")]
    pub profiling: bool,
    #[serde(serialize_with = "optional::serialize", deserialize_with = "endpoint")]
    pub otlp_endpoint: Option<String>,
    #[serde(deserialize_with = "line")]
    pub service_name: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::super::DEFAULTS;
    use super::*;

    fn load(variables: &[(&str, &str)]) -> Config {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::from_layers(None, variables).unwrap()
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("waitless.toml");
        let others = [
            ("WAITLESS_MAIL__LATE_AFTER", "0"),
            ("WAITLESS_MAIL__LOGO", "https://cdn.example.com/logo.png"),
            ("WAITLESS_WORKER__FONTS", "/usr,/etc"),
            ("WAITLESS_SOURCES__ERP__URL", "sqlite:erp.db"),
            ("WAITLESS_SOURCES__ERP__MAX_CONNECTIONS", "3"),
            ("WAITLESS_TENANTS__ACME__COLOR", "#7a1fa2"),
            ("WAITLESS_TENANTS__ACME__QUOTAS__JOBS_PER_DAY", "7"),
            ("WAITLESS_ROLES__ANALYST__SCOPES", "read,write"),
            ("WAITLESS_ROLES__ANALYST__REPORTS", "sales-*,orders"),
            ("WAITLESS_OIDC__STAFF__ISSUER", "https://login.example.com"),
            ("WAITLESS_OIDC__STAFF__AUDIENCE", "reports"),
            ("WAITLESS_OIDC__STAFF__TENANT", "acme"),
            ("WAITLESS_OIDC__STAFF__GROUPS_CLAIM", "groups"),
            ("WAITLESS_OIDC__STAFF__GROUP_SCOPES", "cn=staff = read write, boss = admin"),
            ("WAITLESS_OIDC__STAFF__ATTRIBUTES", "region = /address/region"),
        ];
        for variables in [&[][..], &others] {
            let config = load(variables);
            std::fs::write(&file, toml::to_string(&config).unwrap()).unwrap();
            let again = Config::from_layers(Some(&file), std::iter::empty()).unwrap();
            assert_eq!(format!("{config:?}"), format!("{again:?}"));
        }
    }

    #[test]
    fn the_defaults_and_the_types_have_the_same_settings_in_the_same_order() {
        let printed = toml::to_string(&load(&[])).unwrap();
        let names = |text: &str| {
            let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
            lines.map(|line| line.split(" = ").next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        // A list may take several lines.
        let of_lists = |name: &String| name.starts_with([' ', ']']);
        let printed: Vec<_> = names(&printed).into_iter().filter(|name| !of_lists(name)).collect();
        assert_eq!(printed, names(DEFAULTS));
    }

    #[test]
    fn passwords_are_not_printed() {
        let config = load(&[
            ("WAITLESS_DATABASE__URL", "postgres://user:hunter2@db/waitless"),
            ("WAITLESS_BROKER__URL", "amqp://user:hunter2@broker"),
            ("WAITLESS_STORAGE__SECRET_ACCESS_KEY", "hunter2"),
            ("WAITLESS_SERVICE__LINK_SECRET", "hunter2hunter2hunter2hunter2hunter2"),
            ("WAITLESS_SERVICE__SEAL_KEYS", "hunter2hunter2hunter2hunter2hunter2"),
            ("WAITLESS_MAIL__URL", "smtp://user:hunter2@mail"),
            ("WAITLESS_OIDC__STAFF__ISSUER", "https://login.example.com"),
            ("WAITLESS_OIDC__STAFF__AUDIENCE", "reports"),
            ("WAITLESS_OIDC__STAFF__TENANT", "acme"),
            ("WAITLESS_OIDC__STAFF__SCOPES", "read"),
            ("WAITLESS_OIDC__STAFF__CLIENT_ID", "waitless"),
            ("WAITLESS_OIDC__STAFF__CLIENT_SECRET", "hunter2"),
            ("WAITLESS_SOURCES__ERP__URL", "mysql://user:hunter2@erp/shop"),
            ("WAITLESS_WEBHOOKS__ERP__URL", "https://erp.example.com/hooks/hunter2?key=hunter2"),
            ("WAITLESS_WEBHOOKS__ERP__TENANTS", "acme"),
            ("WAITLESS_WEBHOOKS__ERP__SECRETS", "whsec_hunter2hunter2hunter2hunter2aaaa"),
            ("WAITLESS_SOURCES__CRM__URL", "postgres://crm/shop?user=user&password=hunter2"),
        ]);
        for text in [toml::to_string(&config).unwrap(), serde_json::to_string(&config).unwrap()] {
            assert!(!text.contains("hunter2"), "{text}");
            assert!(text.contains("postgres://user:hidden@db/waitless") && text.contains("(hidden)"), "{text}");
        }
    }
}
