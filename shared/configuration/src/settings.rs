//! The configuration as the rest of the code sees it: typed, complete, checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use model::job::Lane;
use model::retry_schedule::RetrySchedule;
use model::units::ByteSize;

use super::{Brand, Secret};

/// Every setting. `default.toml` says what each means; the fields stand in its order.
#[derive(Debug, Clone)]
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
    /// `[tenants.<name>]`, completed from `[mail]`.
    pub tenants: BTreeMap<String, Brand>,
}

/// Whether embedded backends are welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All in one process.
    Embedded,
    /// Real backends only.
    Production,
}

/// What a process does, and so which settings production demands of it. What it demands of all is only checked in that mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything in one process.
    AllInOne,
    /// Answers requests. Links in its answers are made of `service.public_url`.
    Gateway,
    /// Runs reports.
    ReportWorker,
    /// Sends mail.
    Notifier,
    /// Works on the database and ends: migrations, API keys.
    DatabaseOnly,
}

impl Role {
    /// Tells whether a process of this role makes, keeps or removes files, rings doorbells and signs links. All services do: a
    /// sweeper runs in each.
    pub(super) const fn serves(self) -> bool {
        !matches!(self, Self::DatabaseOnly)
    }

    /// Tells whether it sends mail.
    pub(super) const fn sends_mail(self) -> bool {
        matches!(self, Self::AllInOne | Self::Notifier)
    }

    /// Tells whether it shows links to people.
    pub(super) const fn shows_links(self) -> bool {
        matches!(self, Self::AllInOne | Self::Gateway | Self::Notifier)
    }
}

/// `[service]`
#[derive(Debug, Clone)]
pub struct Service {
    pub mode: Mode,
    pub data_dir: PathBuf,
    /// Without trailing slash; `None`: taken from the request.
    pub public_url: Option<String>,
    pub link_secret: Secret,
    pub shutdown_grace: Duration,
}

/// `[http]`
#[derive(Debug, Clone)]
pub struct Http {
    pub listen: SocketAddr,
    pub threads: usize,
    pub max_body: ByteSize,
    pub cors_origins: Vec<String>,
    pub max_unfinished_jobs: u32,
    pub submits_per_second: u32,
    pub max_watchers_per_principal: usize,
    pub max_watchers: usize,
    pub ping_every: Duration,
    pub max_page: u32,
    pub max_wait: Duration,
}

/// `[database]`
#[derive(Debug, Clone)]
pub struct Database {
    /// `sqlite:<path>` or `postgres://…`; never empty once loaded.
    pub url: Secret,
    pub pool: usize,
    pub acquire_timeout: Duration,
    pub statement_timeout: Duration,
    pub ca_file: Option<PathBuf>,
    pub migrate: bool,
}

/// `[broker]`
#[derive(Debug, Clone)]
pub struct Broker {
    pub url: Secret,
    /// Trusted beside the platform's.
    pub ca_file: Option<PathBuf>,
    pub heartbeat: Duration,
    pub timeout: Duration,
    pub retry_delays: RetrySchedule,
    pub delivery_limit: u32,
    pub hand_off_after: Duration,
}

/// `[storage]`
#[derive(Debug, Clone)]
pub struct Storage {
    /// `file:<folder>`, `s3://…`, `gs://…`, `az://…`; never empty once loaded.
    pub url: String,
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<Secret>,
    pub sign_for: Duration,
    pub proxy_downloads: bool,
    pub part_size: ByteSize,
    pub upload_concurrency: usize,
    pub timeout: Duration,
}

/// `[mail]`
#[derive(Debug, Clone)]
pub struct Mail {
    /// `file:<folder>`, `smtp://…`, `smtps://…`, `smtp+plain://…`; never empty once loaded.
    pub url: Secret,
    /// Trusted beside the platform's.
    pub ca_file: Option<PathBuf>,
    pub from: String,
    pub allow: Vec<String>,
    pub timeout: Duration,
    /// `None`: nobody is told that a report is late.
    pub late_after: Option<Duration>,
    /// Of tenants that have none of their own.
    pub brand: Brand,
}

/// `[worker]`
#[derive(Debug, Clone)]
pub struct Worker {
    pub lanes: Vec<Lane>,
    pub concurrency: u16,
    pub heartbeat: Duration,
    pub max_timeout: Duration,
    pub max_rows: u64,
    pub max_bytes: ByteSize,
    pub memory: ByteSize,
    pub fonts: Vec<PathBuf>,
    pub progress_every: Duration,
}

/// `[notifier]`
#[derive(Debug, Clone)]
pub struct Notifier {
    pub concurrency: u16,
    pub max_attempts: i32,
}

/// `[sweeper]`
#[derive(Debug, Clone)]
pub struct Sweeper {
    pub every: Duration,
    pub grace: Duration,
    pub ring_rate: u32,
    pub orphan_grace: Duration,
    pub idempotency_retention: Duration,
    pub click_retention: Duration,
}

/// `[catalogue]`
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// `None`: the embedded demo catalogue.
    pub folder: Option<PathBuf>,
    pub reload_every: Duration,
}

/// `[telemetry]`
#[derive(Debug, Clone)]
pub struct Telemetry {
    pub log: String,
    pub log_format: LogFormat,
    pub otlp_endpoint: Option<String>,
    pub service_name: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// `[sources.<name>]`
#[derive(Debug, Clone)]
pub struct Source {
    /// `postgres://…`, `mysql://…`, `mariadb://…` or `sqlite:<path>`.
    pub url: Secret,
    /// Jobs that may read from it at once, in one worker; 0: no limit.
    pub max_connections: usize,
}
