//! The job: one request to run a report with given parameters and formats.

mod new_job;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::artifact::{Artifact, Format};
use crate::attributes::SealedAttributes;
use crate::delivery::Notify;
use crate::forecast::Forecast;
use crate::limits::SetAside;
use crate::problem::Problem;
use crate::progress::Progress;
use crate::refusal::{OnRefusal, Refusal};
use crate::reuse::{Served, Sharing};

pub use new_job::{Idempotency, NewJob};

/// The validated parameters of a job: name to JSON value, in the canonical form of the parameter's type.
pub type Params = serde_json::Map<String, serde_json::Value>;

/// Where a job stands. The arrows between states are in [`crate::transitions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Accepted and waiting for a worker.
    Pending,
    /// A worker holds it under the fencing token `attempt`.
    Processing,
    /// An attempt failed in a way that may pass; the next one is due at `next_attempt_at`.
    Retrying,
    /// Final: the artifacts exist.
    Done,
    /// Final unless replayed: a dead letter.
    Failed,
    /// Final: the caller no longer wants it.
    Cancelled,
}

impl JobState {
    /// Every state, in the order of a job's life.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Processing, Self::Retrying, Self::Done, Self::Failed, Self::Cancelled];

    /// Returns the name used in the database, the API and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Retrying => "retrying",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Tells whether nothing but an explicit replay changes this state.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

impl std::fmt::Display for JobState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for JobState {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == name).ok_or_else(|| UnknownName::new("job state", name))
    }
}

/// A class of work with its own queue and worker pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Somebody is looking at the screen.
    Interactive,
    /// Nobody minds an hour.
    Bulk,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Self; 2] = [Self::Interactive, Self::Bulk];

    /// Returns the name used in queues, the database and report definitions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Bulk => "bulk",
        }
    }
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Lane {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|lane| lane.as_str() == name).ok_or_else(|| UnknownName::new("lane", name))
    }
}

/// A name that is not in a closed set: a row or message written by an unknown version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a known {what}")]
pub struct UnknownName {
    what: &'static str,
    name: String,
}

impl UnknownName {
    /// Says which set the name was looked up in.
    #[must_use]
    pub fn new(what: &'static str, name: &str) -> Self {
        Self { what, name: name.to_owned() }
    }
}

/// Who asks: every query is limited to the tenant, and lists to the principal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Caller {
    /// Whose data it is. Comes from credentials only.
    pub tenant: String,
    /// Who is asking. Comes from credentials only.
    pub principal: String,
}

impl Caller {
    /// Checks the name of a tenant or principal. They stand in routing keys, where dots part the words and stars match them.
    ///
    /// # Errors
    /// What a name may have, for people.
    pub fn check_name(name: &str) -> Result<(), &'static str> {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '@' | '.' | '+');
        if name.is_empty() || name.len() > 100 || !name.chars().all(good) {
            return Err("use letters, digits and - _ . @ +, at most 100");
        }
        Ok(())
    }
}

/// A job as the store keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// UUIDv7, so that newest first is an index scan.
    pub id: Uuid,
    /// Who submitted it.
    #[serde(flatten)]
    pub caller: Caller,
    /// Name of the report in the catalogue.
    pub report: String,
    /// `sha256:…` of the definition the parameters were validated against; the worker runs exactly this one.
    pub report_version: String,
    /// Which queue and worker pool runs it.
    pub lane: Lane,
    /// Validated parameters.
    pub params: Params,
    /// What the credentials of its submitter said of them; its run has these, whoever asks for it again.
    #[serde(default, skip_serializing_if = "SealedAttributes::is_empty")]
    pub attributes: SealedAttributes,
    /// At least one; each becomes an artifact, unless it is among `refused` in the end.
    pub formats: Vec<Format>,
    /// What becomes of it when one of them cannot hold the rows.
    #[serde(default)]
    pub on_refusal: OnRefusal,
    /// Who is told when it ends.
    pub notify: Vec<Notify>,
    /// Where it stands.
    pub state: JobState,
    /// Fencing token: 0 before the first claim, only grows.
    pub attempt: i32,
    /// Attempts that ended in an error; counts against `max_attempts`.
    pub errors: i32,
    /// Attempts whose worker was lost; three fail the job.
    pub crashes: i32,
    /// Attempts handed back by a worker that was told to stop; count against nothing.
    pub interruptions: i32,
    /// How many errors fail the job.
    pub max_attempts: i32,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: i64,
    /// How long the artifacts are kept, in milliseconds.
    pub retention_ms: i64,
    /// The worker that holds the job while it is `processing`.
    pub worker_id: Option<Uuid>,
    /// Of the running attempt, or of the last one.
    pub progress: Progress,
    /// Number of the newest event of this job.
    pub seq: i64,
    /// Database time of the submit.
    pub created_at: DateTime<Utc>,
    /// Database time of the latest claim.
    pub started_at: Option<DateTime<Utc>>,
    /// Database time of the final state.
    pub finished_at: Option<DateTime<Utc>>,
    /// When a `retrying` job is due.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Why it failed, or why it is being retried.
    pub error: Option<Problem>,
    /// W3C trace context of the submit, handed on through messages to worker and mail.
    pub traceparent: Option<String>,
    /// What the submit was told about its arrival.
    #[serde(default)]
    pub forecast: Option<Forecast>,
    /// Empty until `done`.
    pub artifacts: Vec<Artifact>,
    /// Formats that could not hold the rows; empty until `done`, and never all of its formats.
    #[serde(default)]
    pub refused: Vec<Refusal>,
    /// Why it waits while nobody looks at it: for the end of a pause, or for a place under a limit.
    #[serde(default)]
    pub set_aside: Option<SetAside>,
    /// Whose run it is, and who else waits for it.
    pub sharing: Sharing,
}

impl Job {
    /// Tells whether one more lost worker would fail it, so that nothing else may run beside it.
    #[must_use]
    pub const fn must_run_alone(&self) -> bool {
        self.crashes >= crate::transitions::ALONE_FROM_CRASHES
    }

    /// Returns why a format could not hold its rows, where one could not.
    #[must_use]
    pub fn refusal_of(&self, format: Format) -> Option<&Problem> {
        self.refused.iter().find(|refusal| refusal.format == format).map(|refusal| &refusal.problem)
    }

    /// Tells whether it failed once and was put back: then its time counts from nothing anybody was told. Of a final job only.
    #[must_use]
    pub const fn was_put_back(&self) -> bool {
        self.attempt != self.errors + self.crashes + self.interruptions + 1
    }

    /// Returns the job as its submitter sees it: one that was withdrawn is cancelled, whatever becomes of its run.
    #[must_use]
    pub fn as_seen(mut self) -> Self {
        if let Some(withdrawn_at) = self.sharing.withdrawn_at {
            self.state = JobState::Cancelled;
            self.finished_at = Some(withdrawn_at);
            self.worker_id = None;
            self.progress = Progress::default();
            self.next_attempt_at = None;
            self.error = None;
            self.artifacts = Vec::new();
            self.refused = Vec::new();
        }
        self
    }

    /// Returns the job as it was when it was submitted: the answer every replay of the same idempotency key gets. A job that was
    /// answered from the files of another one was never anything but done.
    #[must_use]
    pub fn as_submitted(mut self) -> Self {
        if self.sharing.served == Served::Warm {
            return self;
        }
        self.state = JobState::Pending;
        self.attempt = 0;
        self.errors = 0;
        self.crashes = 0;
        self.interruptions = 0;
        self.worker_id = None;
        self.progress = Progress::default();
        self.seq = 1;
        self.started_at = None;
        self.finished_at = None;
        self.next_attempt_at = None;
        self.error = None;
        self.artifacts = Vec::new();
        self.set_aside = None;
        self
    }
}
