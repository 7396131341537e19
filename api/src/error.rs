//! Problems become answers (RFC 9457). Everything a handler can fail with ends up here.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use model::problem::{FieldError, Problem, ProblemKind, StoredProblem};
use storage::StorageError;
use store::StoreError;

/// A problem on its way to the caller, with the header fields that go with it.
#[derive(Debug)]
pub struct ApiError {
    problem: Problem,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is said of a job that is not there, or not for whoever asks.
pub(crate) const NO_SUCH_JOB: &str = "No job of yours has this id. Check the id, and whose key you are using.";

/// What a handler answers.
pub type ApiResult = Result<HttpResponse, ApiError>;

impl ApiError {
    /// Describes one occurrence.
    #[must_use]
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Problem::new(kind, detail).into()
    }

    /// Describes one occurrence that some fields are to blame for.
    #[must_use]
    pub fn with_fields(kind: ProblemKind, detail: impl Into<String>, errors: Vec<FieldError>) -> Self {
        Problem::invalid(errors).with(kind, detail).into()
    }

    /// Says that there is no such job: also of a job that is somebody else's.
    #[must_use]
    pub fn no_such_job() -> Self {
        Self::new(ProblemKind::JobNotFound, NO_SUCH_JOB)
    }

    /// Hides an error of ours from the caller and tells the operator.
    #[must_use]
    pub fn internal(what: &str, why: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %why, "could not {what}");
        Self::new(
            ProblemKind::Internal,
            "Something went wrong here. Try again; if it stays, give the operator the X-Request-Id of this answer.",
        )
    }

    /// Adds a header field, or puts another value in place of the kind's own.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.retain(|(held, _)| *held != name);
        self.headers.push((name, value));
        self
    }

    /// Adds what else is wrong with the same body.
    #[must_use]
    pub fn with_more(self, errors: Vec<FieldError>) -> Self {
        if errors.is_empty() {
            return self;
        }
        let Self { problem: Problem { kind, detail, errors: mut all, limit }, headers } = self;
        all.extend(errors);
        let problem = match kind {
            ProblemKind::ValidationFailed => Problem::invalid(all),
            other => Problem::invalid(all).with(other, detail),
        };
        Self { problem: Problem { limit, ..problem }, headers }
    }

    /// Returns what is wrong with each field.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.problem.errors
    }

    /// Returns the problem's kind.
    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        self.problem.kind
    }

    /// Returns what happened this time and what to do.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.problem.detail
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        let headers = headers_of(problem.kind).map(|(name, value)| (name, HeaderValue::from_static(value)));
        Self { problem, headers: headers.into_iter().collect() }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => {
                tracing::warn!(error = %why, "the database is not available");
                Self::new(
                    ProblemKind::Unavailable,
                    "The database cannot be reached right now. Try again in a few seconds.",
                )
            }
            StoreError::Unexpected(why) => Self::internal("use the database", &why),
        }
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        if matches!(error, StorageError::NotFound(_)) {
            return Self::new(ProblemKind::ArtifactExpired, "The file is no longer kept. Submit the report again.");
        }
        tracing::warn!(error = %error, "object storage failed");
        Self::new(ProblemKind::Unavailable, "The file storage cannot be reached right now. Try again in a few seconds.")
    }
}

/// Returns the header field a kind of problem always carries. Exhaustive, so that a new kind makes somebody decide.
fn headers_of(kind: ProblemKind) -> Option<(HeaderName, &'static str)> {
    match kind {
        ProblemKind::Unauthorized => Some((header::WWW_AUTHENTICATE, r#"Bearer realm="waitless""#)),
        ProblemKind::KeyExpired | ProblemKind::TokenExpired => Some((
            header::WWW_AUTHENTICATE,
            r#"Bearer realm="waitless", error="invalid_token", error_description="expired""#,
        )),
        ProblemKind::Forbidden => {
            Some((header::WWW_AUTHENTICATE, r#"Bearer realm="waitless", error="insufficient_scope""#))
        }
        ProblemKind::TooManyRequests | ProblemKind::QuotaExhausted => Some((header::RETRY_AFTER, "1")),
        ProblemKind::Unavailable | ProblemKind::SourceUnavailable | ProblemKind::StorageUnavailable => {
            Some((header::RETRY_AFTER, "2"))
        }
        ProblemKind::InvalidBody
        | ProblemKind::BodyTooLarge
        | ProblemKind::UnsupportedMediaType
        | ProblemKind::RequestTimedOut
        | ProblemKind::InvalidQuery
        | ProblemKind::ValidationFailed
        | ProblemKind::InvalidIdempotencyKey
        | ProblemKind::IdempotencyKeyReused
        | ProblemKind::InvalidEventId
        | ProblemKind::UpgradeRequired
        | ProblemKind::NotFound
        | ProblemKind::MethodNotAllowed
        | ProblemKind::JobNotFound
        | ProblemKind::ReportNotFound
        | ProblemKind::ArtifactNotFound
        | ProblemKind::ArtifactExpired
        | ProblemKind::ParquetMissing
        | ProblemKind::ParquetDamaged
        | ProblemKind::PreviewNotFound
        | ProblemKind::LinkNotFound
        | ProblemKind::LinkExpired
        | ProblemKind::LinkRevoked
        | ProblemKind::ScheduleNotFound
        | ProblemKind::ScheduleChanged
        | ProblemKind::WrongState
        | ProblemKind::QuotaExceeded
        | ProblemKind::RangeNotSatisfiable
        | ProblemKind::Internal
        | ProblemKind::QueryFailed
        | ProblemKind::SourceUnknown
        | ProblemKind::UnsupportedColumn
        | ProblemKind::TimedOut
        | ProblemKind::TooManyRows
        | ProblemKind::TooManyBytes
        | ProblemKind::AttemptPanicked
        | ProblemKind::WorkersLost
        | ProblemKind::ReportVersionMissing
        | ProblemKind::SealedValue
        | ProblemKind::UnreadableMessage => None,
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.problem.fmt(f)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        let (_, _, status) = self.problem.kind.describe();
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        answer.content_type("application/problem+json");
        for (name, value) in &self.headers {
            answer.insert_header((name.clone(), value.clone()));
        }
        // A problem is made of strings and numbers, so that writing it cannot fail.
        answer.body(serde_json::to_vec(&StoredProblem::from(self.problem.clone())).unwrap_or_default())
    }
}
