//! What a job waits for, as the API shows it.

use model::job::{Job, JobState};
use model::pause::PauseKind;
use serde::Serialize;
use utoipa::ToSchema;

/// What a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct WaitingFor {
    /// `turn`: a worker, and its turn among others of the lane; `run`: the run of the identical job that it joined; `retry`: the time
    /// of its next attempt; `pause`: that an operator resumes what is paused.
    reason: &'static str,
    /// `lane`, `report`, `source` or `tenant`, where that is what is paused.
    #[schema(value_type = Option<String>)]
    paused: Option<PauseKind>,
}

impl WaitingFor {
    /// Says what a job waits for, if it does.
    #[must_use]
    pub fn of(job: &Job) -> Option<Self> {
        let paused = job.set_aside.as_ref().map(|target| target.kind);
        let reason = match job.state {
            JobState::Pending if paused.is_some() => return Some(Self { reason: "pause", paused }),
            JobState::Pending if job.sharing.follows().is_some() => "run",
            JobState::Pending => "turn",
            JobState::Retrying => "retry",
            JobState::Processing | JobState::Done | JobState::Failed | JobState::Cancelled => return None,
        };
        Some(Self { reason, paused: None })
    }
}
