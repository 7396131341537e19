//! Judges a whole history: what clients were answered, against what the store, the storage and the mail server hold in the end.

#[cfg(test)]
mod firing_mutations;
mod gather;
mod judge;
mod judge_firings;
#[cfg(test)]
mod mutations;
mod record;
mod source_rows;
mod verdict;

pub use gather::{Evidence, gather, stored_keys};
pub use record::{Contents, FileHistory, FiringHistory, History, JobHistory, MailHistory, ScheduleHistory};
pub use verdict::Verdict;

use crate::client::Operation;

/// Judges the history of `operations` after all jobs and deliveries have ended.
pub async fn judge(operations: &[Operation], evidence: Evidence) -> Verdict {
    gather(operations, evidence).await.judge()
}
