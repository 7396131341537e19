//! What an error of the server means for the job.

use model::problem::{Problem, ProblemKind};
use mysql_async::Error;

use crate::bind::{Binding, hide_values};
use crate::withhold::{is_secret, withheld};

/// Too many connections, out of memory or disk, shutting down, deadlock, waited too long, killed, network, limits of the account.
const MAY_PASS: &[u16] = &[
    1021, 1023, 1037, 1038, 1040, 1041, 1042, 1043, 1053, 1079, 1080, 1129, 1152, 1154, 1158, 1159, 1160, 1161, 1184,
    1203, 1205, 1213, 1226, 1290, 1317, 1637, 1927, 3168, 3169, 4031,
];
/// The server's own time limit, of MariaDB and of MySQL.
const TIMED_OUT: &[u16] = &[1969, 3024];

/// Turns an error of a query into a problem, without values of parameters.
pub(super) fn to_problem(error: &Error, bindings: &[Binding<'_>]) -> Problem {
    let kind = match error {
        Error::Server(said) if !MAY_PASS.contains(&said.code) => ProblemKind::QueryFailed,
        Error::Driver(mysql_async::DriverError::StmtParamsMismatch { .. }) => {
            let why = "the query holds a `?` of its own; write :name, and quote a question mark that is text";
            return Problem::new(ProblemKind::QueryFailed, why);
        }
        _ => ProblemKind::SourceUnavailable,
    };
    let words = match error {
        Error::Server(said) if is_secret(bindings) => {
            withheld(Some(format!("error {}, SQLSTATE {}", said.code, said.state)))
        }
        // The driver's own errors may repeat what was sent.
        Error::Driver(_) | Error::Other(_) | Error::Url(_) if is_secret(bindings) => withheld(None),
        error => hide_values(bindings, message(error)),
    };
    Problem::new(kind, words)
}

/// Says what the server or the driver said, shortly.
pub(super) fn message(error: &Error) -> String {
    match error {
        Error::Server(said) => format!("{} (error {}, SQLSTATE {})", said.message, said.code, said.state),
        // Others of the driver's errors repeat bytes and values.
        Error::Driver(mysql_async::DriverError::UnexpectedPacket { .. }) => "an unexpected answer".to_owned(),
        other => postgres_connect::with_causes(other),
    }
}

/// Tells whether the server's time limit ended the query.
pub(super) fn is_timeout(error: &Error) -> bool {
    matches!(error, Error::Server(said) if TIMED_OUT.contains(&said.code))
}

/// Tells whether the connection is still good after this error.
pub(super) fn connection_survives(error: &Error) -> bool {
    matches!(error, Error::Server(said) if !MAY_PASS.contains(&said.code))
}
