//! Says what fails when it begins to fail, and when it works again; not at every sweep in between.

use std::collections::HashSet;

use store::StoreError;

/// What is failing just now.
#[derive(Debug, Default, Clone)]
pub(super) struct FailureLog {
    failing: HashSet<&'static str>,
}

impl FailureLog {
    /// Takes the outcome of one task.
    pub(super) fn note<T, E: Into<SweepError>>(&mut self, task: &'static str, outcome: Result<T, E>) {
        match outcome {
            Ok(_) => {
                if self.failing.remove(task) {
                    tracing::info!(task, "the sweeper can do this again");
                }
            }
            Err(error) => {
                metrics::counter!("waitless_sweep_failures_total", "task" => task).increment(1);
                if self.failing.insert(task) {
                    let error = error.into();
                    tracing::warn!(task, %error, "the sweeper cannot do this; it goes on trying");
                }
            }
        }
    }
}

/// Why a task of the sweeper failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SweepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the storage failed: {0}")]
    Storage(#[from] storage::StorageError),
    #[error(transparent)]
    Erase(#[from] crate::erase::EraseError),
}
