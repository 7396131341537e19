//! What the hub hands on.

use std::sync::Arc;

use model::event::Broadcast;
use uuid::Uuid;

use crate::arrival::Standing;

/// What reaches a watcher.
#[derive(Debug, Clone)]
pub enum Word {
    /// A process said it to all.
    Broadcast(Arc<Broadcast>),
    /// A waiting job moved up; this gateway noticed it.
    Moved {
        /// The job.
        job_id: Uuid,
        /// Its fencing token.
        attempt: i32,
        /// Where it stands.
        standing: Standing,
    },
}

impl Word {
    /// Returns what a process said, if one did.
    #[must_use]
    pub fn into_broadcast(self) -> Option<Arc<Broadcast>> {
        match self {
            Self::Broadcast(said) => Some(said),
            Self::Moved { .. } => None,
        }
    }
}
