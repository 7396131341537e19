//! What an error of the server means for the job.

use model::problem::{Problem, ProblemKind};
use postgres_connect::with_causes;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::bind::{Binding, hide_values};
use crate::withhold::{is_secret, withheld};

/// What helps where a database keeps bytes that are no text of its encoding, or of none: `SQL_ASCII`.
const UNENCODED: &str = "write encode(convert_to(t, getdatabaseencoding()), 'hex') as t in place of a column t that holds it, or, \
    where it is Latin 1, convert_from(convert(convert_to(t, getdatabaseencoding()), 'LATIN1', 'UTF8'), 'UTF8') as t";

/// Turns an error of a query into a problem. Row values (`DETAIL`) and parameter values are left out.
pub(super) fn to_problem(error: &Error, bindings: &[Binding<'_>]) -> Problem {
    describe(error, bindings, is_secret(bindings))
}

/// Turns an error of a query into a problem without the server's words, whatever is bound.
pub(super) fn withhold_words(error: &Error) -> Problem {
    describe(error, &[], true)
}

fn describe(error: &Error, bindings: &[Binding<'_>], is_secret: bool) -> Problem {
    let Some(said) = error.as_db_error() else {
        let kind = if error.is_closed() || error.code().is_none() {
            ProblemKind::SourceUnavailable
        } else {
            ProblemKind::QueryFailed
        };
        return Problem::new(kind, hide_values(bindings, with_causes(error)));
    };
    let kind = if may_pass(said.code()) { ProblemKind::SourceUnavailable } else { ProblemKind::QueryFailed };
    let mut message = if is_secret {
        withheld(Some(format!("SQLSTATE {}", said.code().code())))
    } else {
        let hint = said.hint().map_or_else(String::new, |hint| format!("; hint: {hint}"));
        hide_values(bindings, format!("{} (SQLSTATE {}){hint}", said.message(), said.code().code()))
    };
    if matches!(*said.code(), SqlState::CHARACTER_NOT_IN_REPERTOIRE | SqlState::UNTRANSLATABLE_CHARACTER) {
        message = format!("{message}; {UNENCODED}");
    }
    Problem::new(kind, message)
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
