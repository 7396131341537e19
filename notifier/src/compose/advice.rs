//! What happened to a failed report, and what the reader of its mail can do.

use model::problem::ProblemKind;

use super::messages::{Advice, Failure, Messages};

/// Returns what happened and what to do after a failure of this kind.
pub(super) fn after(kind: ProblemKind, messages: &Messages) -> (&str, &str) {
    let (Failure { source, storage, slow, large, query, setup, crash }, advice) = (&messages.failure, &messages.advice);
    let Advice { later, less, maintainer, operator } = advice;
    match kind {
        ProblemKind::SourceUnavailable => (source, later),
        ProblemKind::StorageUnavailable => (storage, later),
        ProblemKind::Unavailable => (crash, later),
        ProblemKind::TimedOut => (slow, less),
        ProblemKind::TooManyRows | ProblemKind::TooManyBytes => (large, less),
        ProblemKind::QueryFailed => (query, maintainer),
        ProblemKind::SourceUnknown | ProblemKind::UnsupportedColumn | ProblemKind::ReportVersionMissing => {
            (setup, maintainer)
        }
        _ => (crash, operator),
    }
}
