//! A job that an identical one may answer, while it is written.

use uuid::Uuid;

use model::job::NewJob;
use model::reuse::{Reuse, Sharing};

/// One job of a batch, and what answers it.
pub(super) struct ReusingJob<'a> {
    pub(super) job: &'a NewJob,
    pub(super) reuse: &'a Reuse,
    pub(super) outbox_id: Uuid,
    pub(super) sharing: Sharing,
}

impl ReusingJob<'_> {
    /// Tells whether an identical job may still be found for it.
    pub(super) fn is_open(&self) -> bool {
        self.sharing.leader.is_none() && !self.reuse.max_age.is_zero()
    }

    pub(super) const fn own<T: Copy>(&self, value: T) -> Option<T> {
        if self.sharing.leader.is_none() { Some(value) } else { None }
    }
}
