//! The closed set of arrows between job states. `docs/JOB-LIFECYCLE.md` draws them; a test compares the two.
//!
//! Every write to a job's state is one of these arrows, guarded by the state it leaves and, for the worker's own, by the
//! fencing token. Zero rows changed means "too late", which is an outcome and not an error.

use crate::event::EventKind;
use crate::job::JobState;

/// One arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transition {
    /// A worker takes the job: `attempt` grows by one.
    Claim,
    /// The worker stored every artifact.
    Finish,
    /// The attempt failed in a way that may pass.
    RetryLater,
    /// The attempt failed in a way that will not pass, or once too often.
    Fail,
    /// The worker was told to stop and hands the job back.
    HandBack,
    /// The worker died or was cut off.
    Lose,
    /// The worker died, and it was not the first one.
    LoseTooOften,
    /// The caller no longer wants it.
    Cancel,
    /// Somebody looked at the dead letter and wants it run again.
    Replay,
}

impl Transition {
    /// Every arrow.
    pub const ALL: [Self; 9] = [
        Self::Claim,
        Self::Finish,
        Self::RetryLater,
        Self::Fail,
        Self::HandBack,
        Self::Lose,
        Self::LoseTooOften,
        Self::Cancel,
        Self::Replay,
    ];

    /// Returns the states this arrow may leave.
    #[must_use]
    pub const fn from(self) -> &'static [JobState] {
        match self {
            Self::Claim => &[JobState::Pending, JobState::Retrying],
            Self::Finish | Self::RetryLater | Self::Fail | Self::HandBack | Self::Lose | Self::LoseTooOften => {
                &[JobState::Processing]
            }
            Self::Cancel => &[JobState::Pending, JobState::Processing, JobState::Retrying],
            Self::Replay => &[JobState::Failed],
        }
    }

    /// Returns the state this arrow reaches.
    #[must_use]
    pub const fn to(self) -> JobState {
        match self {
            Self::Claim => JobState::Processing,
            Self::Finish => JobState::Done,
            Self::RetryLater => JobState::Retrying,
            Self::Fail | Self::LoseTooOften => JobState::Failed,
            Self::HandBack | Self::Lose | Self::Replay => JobState::Pending,
            Self::Cancel => JobState::Cancelled,
        }
    }

    /// Returns the event that records this arrow.
    #[must_use]
    pub const fn event(self) -> EventKind {
        match self {
            Self::Claim => EventKind::Started,
            Self::Finish => EventKind::Done,
            Self::RetryLater => EventKind::Retrying,
            Self::Fail | Self::LoseTooOften => EventKind::Failed,
            Self::HandBack => EventKind::HandedBack,
            Self::Lose => EventKind::WorkerLost,
            Self::Cancel => EventKind::Cancelled,
            Self::Replay => EventKind::Replayed,
        }
    }
}

/// A job fails when this many workers were lost while they ran it.
pub const MAX_CRASHES: i32 = 3;

/// A job that has this many crashes runs alone from then on: the last one, which fails it, can then be no neighbour's.
pub const ALONE_FROM_CRASHES: i32 = MAX_CRASHES - 1;
