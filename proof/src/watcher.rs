//! What somebody hears who follows a job's events from the first one, and whether it makes sense.

use model::event::EventKind;
use model::job::JobState;
use model::transitions::Transition;

/// A watcher of one job: it knows the drawing of the life cycle and believes nothing that is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Watcher {
    /// The state that the events lead to.
    pub state: JobState,
    /// Number of the newest event.
    pub seq: u8,
    /// The attempt that the newest event is of.
    pub attempt: u8,
    /// Events came that cannot be: a number twice or left out, an attempt that shrinks, an arrow that is not in the drawing.
    pub is_misled: bool,
    /// Something came after the cancel.
    pub heard_after_cancel: bool,
}

impl Watcher {
    /// Hears that the job was submitted.
    #[must_use]
    pub const fn begin() -> Self {
        Self { state: JobState::Pending, seq: 1, attempt: 0, is_misled: false, heard_after_cancel: false }
    }

    /// Hears an event.
    pub fn hear(&mut self, kind: EventKind, seq: u8, attempt: u8) {
        let arrow =
            Transition::ALL.into_iter().find(|arrow| arrow.event() == kind && arrow.from().contains(&self.state));
        self.heard_after_cancel |= self.state == JobState::Cancelled;
        let is_attempt_right =
            if kind == EventKind::Started { attempt > self.attempt } else { attempt == self.attempt };
        self.is_misled |= arrow.is_none() || seq != self.seq + 1 || !is_attempt_right;
        if let Some(arrow) = arrow {
            self.state = arrow.to();
        }
        (self.seq, self.attempt) = (seq, attempt);
    }
}
