//! What the reader of a failed report's mail can do.

use shared::problem::ProblemKind;

const LATER: &str = "Please ask for the report again later. If it fails again, send the job number below to the people who run \
                     this service: something it needs has been out of reach for more than a moment.";
const LESS: &str =
    "Please ask for less at once, for example a shorter period or fewer items, and ask for the report again.";
const MAINTAINER: &str = "Asking again will not help. Please send the job number below to the people who maintain this report: \
                          they have to correct it, and can then run your request again as it is.";
const OPERATOR: &str = "Please send the job number below to the people who run this service. They can see what happened and run \
                        your request again as it is.";

/// Returns what to do after a failure of this kind.
pub(super) const fn after(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::SourceUnavailable | ProblemKind::StorageUnavailable | ProblemKind::Unavailable => LATER,
        ProblemKind::TimedOut | ProblemKind::TooManyRows | ProblemKind::TooManyBytes => LESS,
        ProblemKind::QueryFailed
        | ProblemKind::SourceUnknown
        | ProblemKind::UnsupportedColumn
        | ProblemKind::ReportVersionMissing => MAINTAINER,
        _ => OPERATOR,
    }
}
