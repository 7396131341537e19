//! What a failure of the database means to a caller.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use store::StoreError;

/// Messages (lower case, in part) of servers that are shutting down, full, or would not wait any longer. The driver keeps the
/// kind of constraint errors only, so the rest is told apart by what it says.
const PASSING: [&str; 18] = [
    "terminating connection",
    "the database system is",
    "too many clients",
    "too many connections",
    "remaining connection slots",
    "statement timeout",
    "lock timeout",
    "idle-in-transaction timeout",
    "canceling statement",
    "deadlock detected",
    "connection closed",
    "could not extend file",
    "no space left",
    "out of memory",
    "out of shared memory",
    "server closed",
    "cannot execute",
    "administrator command",
];

/// Messages of a schema that is not ours.
const BROKEN: [&str; 4] = ["does not exist", "permission denied", "cached plan must not change", "syntax error"];

/// What went wrong with a statement.
#[derive(Debug)]
pub(super) enum Failure {
    /// The database is at fault and may be better later.
    Unavailable(String),
    /// A value that was sent cannot be written: not UTF-8 as PostgreSQL knows it, out of range, against a constraint.
    BadData(String),
    /// Schema, rights, or a row nobody should have written.
    Unexpected(String),
}

impl From<DieselError> for Failure {
    fn from(error: DieselError) -> Self {
        match error {
            DieselError::DatabaseError(kind, info) => {
                let said = match info.constraint_name() {
                    Some(constraint) => format!("{} ({constraint})", info.message()),
                    None => info.message().to_owned(),
                };
                Self::of_database(&kind, said)
            }
            DieselError::BrokenTransactionManager => Self::Unavailable("a transaction broke off".to_owned()),
            DieselError::RollbackErrorOnCommit { commit_error, .. } => Self::from(*commit_error),
            DieselError::SerializationError(error) => Self::BadData(error.to_string()),
            other => Self::Unexpected(other.to_string()),
        }
    }
}

impl Failure {
    fn of_database(kind: &DatabaseErrorKind, said: String) -> Self {
        match kind {
            DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::SerializationFailure
            | DatabaseErrorKind::ReadOnlyTransaction => Self::Unavailable(said),
            DatabaseErrorKind::Unknown => {
                let lower = said.to_lowercase();
                if PASSING.iter().any(|part| lower.contains(part)) {
                    Self::Unavailable(said)
                } else if BROKEN.iter().any(|part| lower.contains(part)) {
                    Self::Unexpected(said)
                } else {
                    Self::BadData(said)
                }
            }
            _ => Self::BadData(said),
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable(why) => Self::Unavailable(why),
            Failure::BadData(why) | Failure::Unexpected(why) => Self::Unexpected(why),
        }
    }
}

/// A name or number in a row that this version does not know.
pub(super) fn unreadable(error: impl std::fmt::Display) -> Failure {
    Failure::Unexpected(format!("a row cannot be read: {error}"))
}
