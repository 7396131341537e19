//! The configuration as the rest of the code sees it: typed, complete, checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::encoding::{address, at_least, duration, lanes, log_filter, optional, paths, texts};
use super::{Brand, Broker, Database, Mail, Secret, Source, Storage};
use model::job::Lane;
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
    /// `[tenants.<name>]`, completed from `[mail]`.
    pub tenants: BTreeMap<String, Brand>,
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
    pub mode: Mode,
    pub data_dir: PathBuf,
    /// Without trailing slash; `None`: taken from the request.
    #[serde(with = "optional")]
    pub public_url: Option<String>,
    pub link_secret: Secret,
    #[serde(with = "duration")]
    pub shutdown_grace: Duration,
}

/// `[http]`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Http {
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    #[serde(deserialize_with = "at_least::<0, _, _>")]
    pub threads: usize,
    pub max_body: ByteSize,
    #[serde(deserialize_with = "texts")]
    pub cors_origins: Vec<String>,
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
    pub max_bytes: ByteSize,
    pub memory: ByteSize,
    #[serde(deserialize_with = "paths")]
    pub fonts: Vec<PathBuf>,
    #[serde(with = "duration")]
    pub progress_every: Duration,
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
}

/// `[catalogue]`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Catalogue {
    /// `None`: the embedded demo catalogue.
    #[serde(with = "optional")]
    pub folder: Option<PathBuf>,
    #[serde(with = "duration")]
    pub reload_every: Duration,
}

/// `[telemetry]`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Telemetry {
    #[serde(deserialize_with = "log_filter")]
    pub log: String,
    pub log_format: LogFormat,
    #[serde(with = "optional")]
    pub otlp_endpoint: Option<String>,
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
