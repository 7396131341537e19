//! What happened to a failed report, and what its recipient can do.

use model::problem::ProblemKind;

use super::messages::{AdviceTexts, FailureTexts, Messages, PartTexts};

/// Returns what happened and what to do after a failure of this kind.
pub(super) fn after(kind: ProblemKind, messages: &Messages) -> (&str, &str) {
    let (FailureTexts { source, storage, slow, large, query, setup, crash }, advice) =
        (&messages.failure, &messages.advice);
    let AdviceTexts { later, less, maintainer, operator } = advice;
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
        ProblemKind::SealedValue => (setup, operator),
        _ => (crash, operator),
    }
}

/// Returns why a format has no file.
pub(super) fn missing(kind: ProblemKind, messages: &Messages) -> &str {
    let PartTexts { large, unfit, .. } = &messages.part;
    if kind == ProblemKind::TooManyBytes { large } else { unfit }
}
