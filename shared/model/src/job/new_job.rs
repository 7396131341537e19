//! A job before it is written.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Caller, Job, JobState, Lane, Params};
use crate::artifact::Format;
use crate::attributes::SealedAttributes;
use crate::audit::{Actor, AuditAct, NewAuditEntry};
use crate::delivery::Notify;
use crate::forecast::Forecast;
use crate::progress::Progress;
use crate::refusal::OnRefusal;
use crate::reuse::{Reuse, Sharing};

/// A job about to be submitted. Everything in it was validated by the gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// A fresh UUIDv7.
    pub id: Uuid,
    /// Who submits it.
    pub caller: Caller,
    /// Name of the report.
    pub report: String,
    /// Version of the definition, saved before by `Store::save_report_version`.
    pub report_version: String,
    /// From the definition.
    pub lane: Lane,
    /// Canonical parameters.
    pub params: Params,
    /// What the credentials of whoever submits it say of them.
    pub attributes: SealedAttributes,
    /// At least one.
    pub formats: Vec<Format>,
    /// What becomes of it when one of them cannot hold the rows.
    pub on_refusal: OnRefusal,
    /// Who is told.
    pub notify: Vec<Notify>,
    /// From the definition.
    pub max_attempts: i32,
    /// From the definition, in milliseconds.
    pub timeout_ms: i64,
    /// From the definition, in milliseconds.
    pub retention_ms: i64,
    /// From the request, or made by the gateway.
    pub traceparent: Option<String>,
    /// What the caller is told about its arrival.
    pub forecast: Option<Forecast>,
    /// Present when the request had an `Idempotency-Key`.
    pub idempotency: Option<Idempotency>,
    /// The value of its report's key: `<report>:<hash>`. Of those that are equal only so many run at once.
    pub limit_key: Option<String>,
    /// Present when an identical job may answer it.
    pub reuse: Option<Reuse>,
    /// For whom it is written down in the audit log, in the same transaction. `None`: it is not.
    pub by: Option<Actor>,
}

impl NewJob {
    /// Returns what the audit log is to say of its submit.
    #[must_use]
    pub fn audit_entry(&self) -> Option<NewAuditEntry> {
        let by = self.by.as_ref()?;
        let entry = NewAuditEntry::new(&self.caller.tenant, AuditAct::JobSubmitted, format!("job:{}", self.id), by);
        let entry = entry.with(self.report.as_str());
        // Made again from a link, it is submitted in the name of somebody else than whoever did it.
        let own = by.principal.as_deref() == Some(self.caller.principal.as_str());
        Some(if own { entry } else { entry.about(&self.caller.principal) })
    }

    /// Returns the job this becomes when it is written, which waits for a worker. `sharing` says whose run it has.
    #[must_use]
    pub fn into_job(self, created_at: DateTime<Utc>, sharing: Sharing) -> Job {
        Job {
            id: self.id,
            caller: self.caller,
            report: self.report,
            report_version: self.report_version,
            lane: self.lane,
            params: self.params,
            attributes: self.attributes,
            formats: self.formats,
            on_refusal: self.on_refusal,
            notify: self.notify,
            state: JobState::Pending,
            attempt: 0,
            errors: 0,
            crashes: 0,
            interruptions: 0,
            max_attempts: self.max_attempts,
            timeout_ms: self.timeout_ms,
            retention_ms: self.retention_ms,
            worker_id: None,
            progress: Progress::default(),
            seq: 1,
            created_at,
            started_at: None,
            finished_at: None,
            next_attempt_at: None,
            error: None,
            traceparent: self.traceparent,
            forecast: self.forecast,
            artifacts: Vec::new(),
            refused: Vec::new(),
            set_aside: None,
            sharing,
        }
    }

    /// Returns after how many milliseconds its recipients are to be told that it is late: at the end of the range that its
    /// submitter is told. `None`: there are none, or nothing was told.
    #[must_use]
    pub fn late_after_ms(&self) -> Option<i64> {
        let eta = self.forecast.and_then(|forecast| forecast.eta).filter(|_| !self.notify.is_empty())?;
        Some(i64::try_from(eta.p90).unwrap_or(LATEST_MS).min(LATEST_MS))
    }
}

/// Nobody waits for ten years; and a database cannot count for ever.
const LATEST_MS: i64 = 10 * 365 * 24 * 60 * 60 * 1000;

/// What makes two requests the same: equal keys of one tenant and principal, and equal bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The header's value, 1 to 255 characters.
    pub key: String,
    /// SHA-256 of the canonical request body; under a key where the body holds sensitive values.
    pub body_hash: [u8; 32],
    /// What an equal request may have been kept with besides: no key, or one from before.
    pub other_hashes: Vec<[u8; 32]>,
}

impl Idempotency {
    /// Takes the hash of a body that anybody may try to guess.
    #[must_use]
    pub const fn new(key: String, body_hash: [u8; 32]) -> Self {
        Self { key, body_hash, other_hashes: Vec::new() }
    }

    /// Tells whether the request that was kept with this hash had the same body.
    #[must_use]
    pub fn is_of(&self, kept: &[u8]) -> bool {
        std::iter::once(&self.body_hash).chain(&self.other_hashes).any(|hash| hash == kept)
    }
}
