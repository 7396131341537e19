//! Settings of what the services work with: databases, broker, storage, mail, sources.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::encoding::{at_least, backoff, duration, duration_or_never, flag, hide_passwords, optional, parsed, texts};
use super::{Brand, Secret};
use model::retry_schedule::RetrySchedule;
use model::units::ByteSize;

/// `[database]`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Database {
    /// `sqlite:<path>` or `postgres://…`; never empty once loaded.
    #[serde(serialize_with = "hide_passwords")]
    pub url: Secret,
    #[serde(deserialize_with = "at_least::<2, _, _>")]
    pub pool: usize,
    #[serde(with = "duration")]
    pub acquire_timeout: Duration,
    #[serde(with = "duration")]
    pub statement_timeout: Duration,
    #[serde(with = "optional")]
    pub ca_file: Option<PathBuf>,
    #[serde(deserialize_with = "flag")]
    pub migrate: bool,
}

/// `[broker]`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Broker {
    /// `in-process:`, `amqp://…` or `amqps://…`.
    #[serde(serialize_with = "hide_passwords")]
    pub url: Secret,
    /// Trusted beside the platform's.
    #[serde(with = "optional")]
    pub ca_file: Option<PathBuf>,
    #[serde(with = "duration")]
    pub heartbeat: Duration,
    #[serde(with = "duration")]
    pub timeout: Duration,
    #[serde(with = "backoff")]
    pub retry_delays: RetrySchedule,
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub delivery_limit: u32,
    #[serde(with = "duration")]
    pub hand_off_after: Duration,
}

/// `[storage]`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Storage {
    /// `file:<folder>`, `s3://…`, `gs://…`, `az://…`; never empty once loaded.
    pub url: String,
    #[serde(with = "optional")]
    pub endpoint: Option<String>,
    #[serde(with = "optional")]
    pub region: Option<String>,
    #[serde(with = "optional")]
    pub access_key_id: Option<String>,
    #[serde(with = "optional")]
    pub secret_access_key: Option<Secret>,
    #[serde(with = "duration")]
    pub sign_for: Duration,
    #[serde(deserialize_with = "flag")]
    pub proxy_downloads: bool,
    #[serde(deserialize_with = "part_size")]
    pub part_size: ByteSize,
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub upload_concurrency: usize,
    #[serde(with = "duration")]
    pub timeout: Duration,
}

fn part_size<'de, D: Deserializer<'de>>(from: D) -> Result<ByteSize, D::Error> {
    let size: ByteSize = parsed(from)?;
    if size.0 < 5 << 20 {
        return Err(D::Error::custom(format!("{size} is too small; object stores take parts of at least 5MiB")));
    }
    Ok(size)
}

/// `[mail]`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mail {
    /// `file:<folder>`, `smtp://…`, `smtps://…`, `smtp+plain://…`; never empty once loaded.
    #[serde(serialize_with = "hide_passwords")]
    pub url: Secret,
    /// Trusted beside the platform's.
    #[serde(with = "optional")]
    pub ca_file: Option<PathBuf>,
    pub from: String,
    #[serde(deserialize_with = "texts")]
    pub allow: Vec<String>,
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// `None`: nobody is told that a report is late.
    #[serde(with = "duration_or_never")]
    pub late_after: Option<Duration>,
    /// Of tenants that have none of their own.
    #[serde(flatten)]
    pub brand: Brand,
}

/// `[sources.<name>]`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Source {
    /// What it leads to, the source's own kind of backend judges; never empty once loaded.
    #[serde(default, serialize_with = "hide_passwords")]
    pub url: Secret,
    /// Jobs that may read from it at once, in one worker; 0: no limit.
    #[serde(default, deserialize_with = "at_least::<0, _, _>")]
    pub max_connections: usize,
}
