//! Problems: one closed set of everything that can go wrong and that a caller may see (RFC 9457).

mod field_error;
mod reached_limit;

use serde::{Deserialize, Serialize};

pub use field_error::{FieldError, MAX_ERRORS, pointer_part};
pub use reached_limit::{LimitOwner, ReachedLimit};

use field_error::shorten;

/// The stable part of a problem: its `type`, title and HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// The body is not JSON of the expected shape.
    InvalidBody,
    /// The body is larger than `http.max_body`.
    BodyTooLarge,
    /// The body is not `application/json`, or is encoded.
    UnsupportedMediaType,
    /// The request did not arrive in time.
    RequestTimedOut,
    /// A path or query parameter is malformed.
    InvalidQuery,
    /// Fields of the body or parameters of the report are wrong; `errors` says which.
    ValidationFailed,
    /// The header is empty, too long or not visible ASCII.
    InvalidIdempotencyKey,
    /// The same key came with another body.
    IdempotencyKeyReused,
    /// `Last-Event-ID` is not one of ours.
    InvalidEventId,
    /// The address takes nothing but the handshake of a WebSocket.
    UpgradeRequired,
    /// No credentials, or unknown ones.
    Unauthorized,
    /// The key has expired.
    KeyExpired,
    /// The token's time is over.
    TokenExpired,
    /// The key lacks a scope.
    Forbidden,
    /// No such route.
    NotFound,
    /// The route has no such method.
    MethodNotAllowed,
    /// No such job, or another tenant's.
    JobNotFound,
    /// No such report in the catalogue.
    ReportNotFound,
    /// The job has no artifact of this format, or not yet.
    ArtifactNotFound,
    /// The artifact's retention is over.
    ArtifactExpired,
    /// A further format was asked for of a job that kept no complete Parquet file.
    ParquetMissing,
    /// The kept Parquet file of a job is not what its receipt says, or cannot be read.
    ParquetDamaged,
    /// No rows of the job can be shown, yet or any more.
    PreviewNotFound,
    /// No such link: mistyped, altered or never made.
    LinkNotFound,
    /// The link's time is over.
    LinkExpired,
    /// Somebody revoked the link.
    LinkRevoked,
    /// No such schedule, or somebody else's.
    ScheduleNotFound,
    /// The schedule was changed since the client read it.
    ScheduleChanged,
    /// The job's state does not allow this.
    WrongState,
    /// Too many unfinished jobs, requests or watchers of one tenant.
    TooManyRequests,
    /// A quota is used up for today.
    QuotaExhausted,
    /// More is asked for at once than a quota ever allows.
    QuotaExceeded,
    /// `Range` cannot be satisfied.
    RangeNotSatisfiable,
    /// Database or storage cannot be reached.
    Unavailable,
    /// A fault of ours.
    Internal,
    /// The source refused the query: syntax, missing table, division by zero.
    QueryFailed,
    /// The source cannot be reached or broke off.
    SourceUnavailable,
    /// The worker's configuration does not name the report's source.
    SourceUnknown,
    /// A column's type cannot be written to the format.
    UnsupportedColumn,
    /// The report took longer than its `timeout`.
    TimedOut,
    /// The report has more rows than its `max_rows`.
    TooManyRows,
    /// The file is larger than the report's `max_bytes`.
    TooManyBytes,
    /// Object storage refused or broke off.
    StorageUnavailable,
    /// The attempt panicked.
    AttemptPanicked,
    /// Too many workers were lost while they ran the job.
    WorkersLost,
    /// The definition the job was submitted with is gone or unreadable.
    ReportVersionMissing,
    /// A sensitive value of the job was sealed with a key that is gone, or is not what was sealed.
    SealedValue,
    /// A message on a queue that nobody can read.
    UnreadableMessage,
}

impl ProblemKind {
    /// Returns `(slug, title, HTTP status)`; `type` is `https://waitless.dev/problems/<slug>`.
    #[must_use]
    pub const fn describe(self) -> (&'static str, &'static str, u16) {
        match self {
            Self::InvalidBody => ("invalid-body", "The request body cannot be read", 400),
            Self::BodyTooLarge => ("body-too-large", "The request body is too large", 413),
            Self::UnsupportedMediaType => ("unsupported-media-type", "The request body must be application/json", 415),
            Self::RequestTimedOut => ("request-timed-out", "The request did not arrive in time", 408),
            Self::InvalidQuery => ("invalid-query", "A path or query parameter is malformed", 400),
            Self::ValidationFailed => ("validation-failed", "Some fields are not valid", 422),
            Self::InvalidIdempotencyKey => ("invalid-idempotency-key", "The Idempotency-Key is not valid", 400),
            Self::IdempotencyKeyReused => {
                ("idempotency-key-reused", "The Idempotency-Key came with another body before", 422)
            }
            Self::InvalidEventId => ("invalid-event-id", "The Last-Event-ID is not valid", 400),
            Self::UpgradeRequired => ("upgrade-required", "This address speaks WebSocket", 426),
            Self::Unauthorized => ("unauthorized", "Credentials are missing or unknown", 401),
            Self::KeyExpired => ("key-expired", "The API key has expired", 401),
            Self::TokenExpired => ("token-expired", "The token has expired", 401),
            Self::Forbidden => ("forbidden", "The API key lacks a scope", 403),
            Self::NotFound => ("not-found", "There is nothing at this address", 404),
            Self::MethodNotAllowed => ("method-not-allowed", "This address does not take this method", 405),
            Self::JobNotFound => ("job-not-found", "There is no such job", 404),
            Self::ReportNotFound => ("report-not-found", "There is no such report", 404),
            Self::ArtifactNotFound => ("artifact-not-found", "The job has no such file", 404),
            Self::PreviewNotFound => ("preview-not-found", "No rows of the job can be shown", 404),
            Self::ArtifactExpired => ("artifact-expired", "The file is no longer kept", 410),
            Self::ParquetMissing => ("parquet-missing", "The job keeps no complete Parquet file", 409),
            Self::ParquetDamaged => ("parquet-damaged", "The job's Parquet file cannot be read", 500),
            Self::LinkNotFound => ("link-not-found", "There is no such link", 404),
            Self::LinkExpired => ("link-expired", "The link has expired", 410),
            Self::LinkRevoked => ("link-revoked", "The link was revoked", 410),
            Self::ScheduleNotFound => ("schedule-not-found", "There is no such schedule", 404),
            Self::ScheduleChanged => ("schedule-changed", "The schedule has changed", 412),
            Self::WrongState => ("wrong-state", "The job's state does not allow this", 409),
            Self::TooManyRequests => ("too-many-requests", "Too much at once", 429),
            Self::QuotaExhausted => ("quota-exhausted", "A quota is used up for today", 429),
            Self::QuotaExceeded => ("quota-exceeded", "This is more than a quota allows", 403),
            Self::RangeNotSatisfiable => ("range-not-satisfiable", "The file is shorter than the requested range", 416),
            Self::Unavailable => ("unavailable", "The service cannot do this right now", 503),
            Self::Internal => ("internal", "The service made a mistake", 500),
            Self::QueryFailed => ("query-failed", "The source refused the query", 500),
            Self::SourceUnavailable => ("source-unavailable", "The source cannot be reached", 502),
            Self::SourceUnknown => ("source-unknown", "The source is not configured", 500),
            Self::UnsupportedColumn => ("unsupported-column", "A column cannot be written to this format", 500),
            Self::TimedOut => ("timed-out", "The report took too long", 504),
            Self::TooManyRows => ("too-many-rows", "The report has too many rows", 422),
            Self::TooManyBytes => ("too-many-bytes", "The file is too large", 422),
            Self::StorageUnavailable => ("storage-unavailable", "The file cannot be stored", 502),
            Self::AttemptPanicked => ("attempt-panicked", "The report crashed", 500),
            Self::WorkersLost => ("workers-lost", "The workers running the report were lost", 500),
            Self::ReportVersionMissing => ("report-version-missing", "The report's definition is gone", 500),
            Self::SealedValue => ("sealed-value", "A sensitive value cannot be opened", 500),
            Self::UnreadableMessage => ("unreadable-message", "A message cannot be read", 500),
        }
    }

    /// Tells whether a writer that ends with it says that its format cannot hold these rows. Nothing else is wrong then: not with
    /// the rows, nor with the other formats, nor with this service.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::UnsupportedColumn | Self::TooManyBytes)
    }

    /// Tells whether a later attempt of the same job may succeed.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        matches!(
            self,
            Self::SourceUnavailable
                | Self::StorageUnavailable
                | Self::Unavailable
                | Self::Internal
                | Self::AttemptPanicked
        )
    }
}

/// One problem, as kept with a failed job and as answered over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredProblem", into = "StoredProblem")]
pub struct Problem {
    /// Which.
    pub kind: ProblemKind,
    /// What happened this time and what to do; free of secrets.
    pub detail: String,
    /// Per field, for `ValidationFailed`.
    pub errors: Vec<FieldError>,
    /// Which limit was reached, where one was.
    pub limit: Option<Box<ReachedLimit>>,
}

/// The wire form: `type`, `title`, `status`, `detail`, `errors`, `limit`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StoredProblem {
    /// `https://waitless.dev/problems/<slug>`.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// Short and the same for all problems of this type.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened this time and what to do.
    pub detail: String,
    /// Per field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Which limit was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<ReachedLimit>,
}

/// Prefix of every problem's `type`.
pub const TYPE_PREFIX: &str = "https://waitless.dev/problems/";

impl Problem {
    /// Describes one occurrence.
    #[must_use]
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), limit: None }
    }

    /// Describes fields that are not valid.
    #[must_use]
    pub fn invalid(mut errors: Vec<FieldError>) -> Self {
        shorten(&mut errors);
        let detail = match errors.as_slice() {
            [only] => format!("{}: {}", only.pointer, only.detail),
            many if many.len() > MAX_ERRORS => {
                format!("{} fields are not valid; `errors` names the first {MAX_ERRORS}.", many.len())
            }
            many => format!("{} fields are not valid; see `errors`.", many.len()),
        };
        errors.truncate(MAX_ERRORS);
        Self { kind: ProblemKind::ValidationFailed, detail, errors, limit: None }
    }

    /// Says which limit was reached.
    #[must_use]
    pub fn of_limit(self, limit: ReachedLimit) -> Self {
        Self { limit: Some(Box::new(limit)), ..self }
    }

    /// Puts another kind and detail in place of its own.
    #[must_use]
    pub fn with(self, kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), ..self }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.describe().1, self.detail)
    }
}

impl std::error::Error for Problem {}

impl From<Problem> for StoredProblem {
    fn from(problem: Problem) -> Self {
        let (slug, title, status) = problem.kind.describe();
        Self {
            type_uri: format!("{TYPE_PREFIX}{slug}"),
            title: title.to_owned(),
            status,
            detail: problem.detail,
            errors: problem.errors,
            limit: problem.limit.map(|limit| *limit),
        }
    }
}

impl From<StoredProblem> for Problem {
    /// A type written by a newer version is read as `Internal`, its detail kept.
    fn from(stored: StoredProblem) -> Self {
        let slug = stored.type_uri.strip_prefix(TYPE_PREFIX).unwrap_or_default();
        let kind = serde_json::from_value(serde_json::Value::from(slug)).unwrap_or(ProblemKind::Internal);
        Self { kind, detail: stored.detail, errors: stored.errors, limit: stored.limit.map(Box::new) }
    }
}
