//! Events: facts about a job, numbered per job, kept by the store and pushed to whoever watches.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::job::{Caller, JobState, UnknownName};
use crate::problem::Problem;
use crate::progress::Progress;
use crate::refusal::Refusal;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The job was accepted.
    Submitted,
    /// A worker claimed it.
    Started,
    /// An attempt failed; another one will follow.
    Retrying,
    /// A worker that was told to stop handed it back.
    HandedBack,
    /// The worker was lost; another one will take it.
    WorkerLost,
    /// Final: the artifacts are there.
    Done,
    /// Final unless replayed.
    Failed,
    /// Final.
    Cancelled,
    /// A failed job was put back to `pending`.
    Replayed,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Submitted,
        Self::Started,
        Self::Retrying,
        Self::HandedBack,
        Self::WorkerLost,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
        Self::Replayed,
    ];

    /// Returns the name used in routing keys, the database and as SSE event name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Started => "started",
            Self::Retrying => "retrying",
            Self::HandedBack => "handed_back",
            Self::WorkerLost => "worker_lost",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Replayed => "replayed",
        }
    }

    /// Tells whether the job has ended with this event.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

impl std::str::FromStr for EventKind {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|k| k.as_str() == name).ok_or_else(|| UnknownName::new("event", name))
    }
}

/// A fact about a job, committed together with the state change it tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The job.
    pub job_id: Uuid,
    /// 1 for `submitted`, then one more each, without gap.
    pub seq: i64,
    /// Whose job it is.
    #[serde(flatten)]
    pub caller: Caller,
    /// What happened.
    pub kind: EventKind,
    /// The job's state after it.
    pub state: JobState,
    /// The job's fencing token after it.
    pub attempt: i32,
    /// Why, for `retrying`, `failed` and `worker_lost`.
    pub error: Option<Problem>,
    /// For `done`: formats that could not hold the rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refusal>,
    /// For `retrying`.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Database time.
    pub at: DateTime<Utc>,
    /// The job whose run this one shares, in broadcasts about a job that follows another: progress is told of the leader only. The
    /// store does not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<Uuid>,
}

/// What goes to every gateway and worker at once. Missing one costs nothing: the store has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Broadcast {
    /// A committed event.
    Event(Event),
    /// Progress of a running attempt. Kept by the store only as the job's newest.
    Progress {
        /// The job.
        job_id: Uuid,
        /// Whose job it is.
        #[serde(flatten)]
        caller: Caller,
        /// The attempt that made it; older ones are ignored.
        attempt: i32,
        /// How far it is.
        progress: Progress,
    },
}

impl Broadcast {
    /// Returns the job it is about.
    #[must_use]
    pub const fn job_id(&self) -> Uuid {
        match self {
            Self::Event(event) => event.job_id,
            Self::Progress { job_id, .. } => *job_id,
        }
    }

    /// Returns whose job it is about.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        match self {
            Self::Event(event) => &event.caller,
            Self::Progress { caller, .. } => caller,
        }
    }
}
