//! What can go wrong in a statement, and whom it concerns.

use diesel::result::Error;

use store::StoreError;

/// Why an operation failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// A constraint refused what was to be written: the element's own fault.
    Refused(String),
    /// Concerns everybody.
    Broken(StoreError),
}

/// Result inside an operation.
pub(super) type StatementResult<T> = Result<T, Failure>;

/// What SQLite says when it may work later: locks of other processes, a full or vanished disk, missing rights.
const MAY_PASS: [&str; 8] =
    ["locked", "busy", "full", "readonly", "read-only", "unable to open", "disk i/o", "interrupted"];

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        use diesel::result::DatabaseErrorKind::{
            CheckViolation, ForeignKeyViolation, NotNullViolation, UniqueViolation,
        };
        match error {
            Error::DatabaseError(
                UniqueViolation | CheckViolation | NotNullViolation | ForeignKeyViolation,
                information,
            ) => Self::Refused(information.message().to_owned()),
            other => Self::Broken(whole(&other)),
        }
    }
}

/// Judges an error that concerns everybody.
pub(super) fn whole(error: &Error) -> StoreError {
    let text = error.to_string();
    let lower = text.to_lowercase();
    if MAY_PASS.iter().any(|sign| lower.contains(sign)) {
        StoreError::Unavailable(text)
    } else {
        StoreError::Unexpected(text)
    }
}

/// A row that we cannot read.
pub(super) fn unreadable(what: impl std::fmt::Display) -> Failure {
    Failure::Broken(StoreError::Unexpected(what.to_string()))
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(why) => Self::Unexpected(why),
            Failure::Broken(error) => error,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Broken(error)
    }
}
