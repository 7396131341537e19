//! Settings of what the services work with: databases, broker, storage, mail, sources.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::addresses::{endpoint, recipients, sender};
use super::encoding::{at_least, backoff, duration, duration_or_none, flag, hide_passwords, optional, parsed, word};
use super::paths::certificates;
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
    #[serde(serialize_with = "optional::serialize", deserialize_with = "certificates")]
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
    #[serde(serialize_with = "optional::serialize", deserialize_with = "certificates")]
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
    #[serde(serialize_with = "optional::serialize", deserialize_with = "endpoint")]
    pub endpoint: Option<String>,
    #[serde(serialize_with = "optional::serialize", deserialize_with = "word")]
    pub region: Option<String>,
    #[serde(serialize_with = "optional::serialize", deserialize_with = "word")]
    pub access_key_id: Option<String>,
    #[serde(with = "optional")]
    pub secret_access_key: Option<Secret>,
    #[serde(serialize_with = "duration::serialize", deserialize_with = "signature_time")]
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

/// Longer than this no store signs for.
const LONGEST_SIGNATURE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

fn signature_time<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let time = duration::deserialize(from)?;
    if time > LONGEST_SIGNATURE {
        return Err(D::Error::custom("is too long; object stores sign for at most 7d"));
    }
    Ok(time)
}

fn part_size<'de, D: Deserializer<'de>>(from: D) -> Result<ByteSize, D::Error> {
    let size: ByteSize = parsed(from)?;
    if size.0 < 5 << 20 {
        return Err(D::Error::custom(format!("{size} is too small; object stores take parts of at least 5MiB")));
    }
    if size.0 > 5 << 30 {
        return Err(D::Error::custom(format!("{size} is too large; object stores take parts of at most 5GiB")));
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
    #[serde(serialize_with = "optional::serialize", deserialize_with = "certificates")]
    pub ca_file: Option<PathBuf>,
    #[serde(deserialize_with = "sender")]
    pub from: String,
    /// Nobody when empty, once loaded.
    #[serde(deserialize_with = "recipients")]
    pub allow: Vec<String>,
    #[serde(deserialize_with = "at_least::<0, _, _>")]
    pub recipients_per_day: u32,
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// `None`: nobody is told that a report is late.
    #[serde(with = "duration_or_none")]
    pub late_after: Option<Duration>,
    /// Of tenants that have none of their own.
    #[serde(flatten)]
    pub brand: Brand,
}
