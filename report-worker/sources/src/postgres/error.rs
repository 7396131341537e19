//! What an error of the server means for the job.

use model::problem::{Problem, ProblemKind};
use postgres_connect::with_causes;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::bind::{Binding, hide_values};

/// Turns an error of a query into a problem. Row values (`DETAIL`) and parameter values are left out.
pub(super) fn to_problem(error: &Error, bindings: &[Binding<'_>]) -> Problem {
    let Some(said) = error.as_db_error() else {
        let kind = if error.is_closed() || error.code().is_none() {
            ProblemKind::SourceUnavailable
        } else {
            ProblemKind::QueryFailed
        };
        return Problem::new(kind, hide_values(bindings, with_causes(error)));
    };
    let kind = if may_pass(said.code()) { ProblemKind::SourceUnavailable } else { ProblemKind::QueryFailed };
    let mut message = format!("{} (SQLSTATE {})", said.message(), said.code().code());
    if let Some(hint) = said.hint() {
        message = format!("{message}; hint: {hint}");
    }
    Problem::new(kind, hide_values(bindings, message))
}

/// Tells whether the connection is still good after this error: the server said it, and did not say that it hangs up.
pub(super) fn connection_survives(error: &Error) -> bool {
    error.as_db_error().is_some_and(|said| said.severity() == "ERROR") && !error.is_closed()
}

/// Tells whether the server ended the query because somebody, or its own clock, asked for it.
pub(super) fn is_cancelled(error: &Error) -> bool {
    error.code() == Some(&SqlState::QUERY_CANCELED)
}

/// Classes of errors that are about the server and not about the query.
fn may_pass(code: &SqlState) -> bool {
    let class = code.code().get(..2).unwrap_or_default();
    // Connection, rollback (serialization, deadlock), resources, operator intervention, system.
    matches!(class, "08" | "40" | "53" | "57" | "58") || *code == SqlState::LOCK_NOT_AVAILABLE
}
