//! What a job waits for, as the API shows it.

use model::job::{Job, JobState};
use model::limits::{LimitKind, SetAside};
use model::pause::PauseKind;
use serde::Serialize;
use utoipa::ToSchema;

/// What a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct WaitingFor {
    /// `turn`: a worker, and its turn among others of the lane; `run`: the run of the identical job that it joined; `retry`: the time
    /// of its next attempt; `pause`: that an operator resumes what is paused; `limit`: that one of those ends that run already, where only
    /// so many may at once.
    reason: &'static str,
    /// `lane`, `report`, `source` or `tenant`, where that is what is paused.
    #[schema(value_type = Option<String>)]
    paused: Option<PauseKind>,
    /// `key`, `report`, `source` or `tenant`, where as many of that run as may; `key` is a value of the report's `concurrency_key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    limit: Option<LimitKind>,
}

impl WaitingFor {
    /// Says what a job waits for, if it does.
    #[must_use]
    pub fn of(job: &Job) -> Option<Self> {
        let reason = match (job.state, &job.set_aside) {
            (JobState::Pending, Some(SetAside::Pause(target))) => {
                return Some(Self { reason: "pause", paused: Some(target.kind), limit: None });
            }
            (JobState::Pending | JobState::Retrying, Some(SetAside::Limit(name))) => {
                return Some(Self { reason: "limit", paused: None, limit: Some(name.kind) });
            }
            (JobState::Pending, _) if job.sharing.follows().is_some() => "run",
            (JobState::Pending, _) => "turn",
            (JobState::Retrying, _) => "retry",
            (JobState::Processing | JobState::Done | JobState::Failed | JobState::Cancelled, _) => return None,
        };
        Some(Self { reason, paused: None, limit: None })
    }
}
