//! One nominal time of a schedule, and what became of it.

use chrono::{DateTime, NaiveDateTime, Utc};
use uuid::Uuid;

use super::names;
use crate::job::JobState;

names! {
    /// What became of a nominal time.
    FiringOutcome, "outcome of a firing" {
        /// It has a job.
        Fired => "fired",
        /// It came later than the catch-up window allows.
        Missed => "missed",
        /// The job of the one before was still at it.
        Skipped => "skipped",
        /// No job could be made: the report, its parameters or a recipient are not what they were.
        Refused => "refused",
    }
}

/// What is written of a nominal time that has no job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiringRecord {
    /// Names the firing.
    pub nominal: NaiveDateTime,
    /// When it was due.
    pub due: DateTime<Utc>,
    /// `missed`, `skipped` or `refused`.
    pub outcome: FiringOutcome,
    /// Why, for people.
    pub detail: Option<String>,
}

/// A firing, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// Fresh UUIDv7.
    pub id: Uuid,
    /// Whose it is.
    pub schedule_id: Uuid,
    /// Unique for its schedule; `None`: somebody asked for it.
    pub nominal: Option<NaiveDateTime>,
    /// Which state of the data it is about, where somebody said so. Unique for its schedule.
    pub data_version: Option<String>,
    /// When it was due.
    pub due: DateTime<Utc>,
    /// What became of it.
    pub outcome: FiringOutcome,
    /// Its job.
    pub job_id: Option<Uuid>,
    /// Why it has none.
    pub detail: Option<String>,
    /// When it was written. Database time.
    pub at: DateTime<Utc>,
    /// How its job ended, as far as somebody has looked.
    pub ended: Option<JobState>,
}
