//! What an error of SQLite means for the job, and what to do about the file.

use std::io::{ErrorKind, Read as _};
use std::path::Path;

use model::problem::{Problem, ProblemKind};
use rusqlite::{Error, ErrorCode};

use super::connect::{BUSY, with_ending};
use crate::bind::{Binding, hide_values};
use crate::withhold::{is_secret, withheld};

/// Turns an error of a query into a problem, without values of parameters. Files that are busy, broken or cannot be opened may pass;
/// everything else is the query's fault.
pub(super) fn to_problem(error: &Error, bindings: &[Binding<'_>], path: &Path) -> Problem {
    let file = path.display();
    let about_file = match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => cannot_open(path),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            format!("another program kept the file {file} locked for more than {} s", BUSY.as_secs())
        }
        Some(ErrorCode::NotADatabase) => {
            format!("the file {file} is no SQLite database, or it is encrypted, or was being copied when it was read")
        }
        Some(ErrorCode::DatabaseCorrupt) => format!(
            "the file {file} is damaged, or was written over while it was read; `pragma integrity_check` tells which. To \
             replace a file, write another one beside it and rename it"
        ),
        Some(ErrorCode::SystemIoFailure) if path.is_dir() => format!("{file} is a folder, and no file of SQLite"),
        Some(ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory) => {
            format!("the file {file} cannot be read: {}", words(error, bindings))
        }
        Some(ErrorCode::AuthorizationForStatementDenied) => {
            let why = "a report may only read: pragmas that set something, `attach` and the like are refused";
            return Problem::new(ProblemKind::QueryFailed, format!("{} ({why})", words(error, bindings)));
        }
        _ => return Problem::new(ProblemKind::QueryFailed, words(error, bindings)),
    };
    Problem::new(ProblemKind::SourceUnavailable, about_file)
}

/// Says why a file cannot even be looked at.
pub(super) fn no_file(path: &Path, why: &std::io::Error) -> Problem {
    Problem::new(ProblemKind::SourceUnavailable, unopened(path, why))
}

/// Says that a tenant has no file.
pub(super) fn no_file_of_tenant(path: &Path) -> Problem {
    let why = format!("this tenant has no file at the source: there is no {}", path.display());
    Problem::new(ProblemKind::SourceUnknown, why)
}

/// Says that a file does not stay the same for long enough to be opened.
pub(super) fn changing(path: &Path) -> Problem {
    let why = format!("the file {} was replaced again and again while it was opened", path.display());
    Problem::new(ProblemKind::SourceUnavailable, why)
}

/// Says that changes beside the file would not be seen. Returns `None` where there are none.
pub(super) fn changes_beside(path: &Path) -> Option<Problem> {
    let beside = with_ending(path, "-wal");
    let bytes = std::fs::metadata(&beside).ok()?.len();
    (bytes > 0).then(|| {
        let why = format!(
            "the source's url says immutable=1, but {} holds changes that are not in the file yet and would not be seen; let a \
             program that may write run `pragma wal_checkpoint(truncate)`, or leave immutable=1 out",
            beside.display()
        );
        Problem::new(ProblemKind::SourceUnavailable, why)
    })
}

/// Finds out why SQLite cannot open a file for reading.
fn cannot_open(path: &Path) -> String {
    let file = path.display();
    let header = std::fs::File::open(path).and_then(|mut opened| {
        let mut header = [0; 20];
        let read = opened.read(&mut header)?;
        Ok(if read == header.len() { header } else { [0; 20] })
    });
    let header = match header {
        Ok(header) => header,
        Err(why) => return unopened(path, &why),
    };
    // The version that a reader must know is 2 of files with a write-ahead log.
    if header.starts_with(b"SQLite format 3\0") && header[19] == 2 {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).display();
        return format!(
            "the file {file} is in WAL mode, whose readers too must be able to write {file}-shm and {file}-wal, and this worker \
             cannot write in the folder {folder}; give it the right to, or let the file's owner run `pragma journal_mode = \
             delete`, or, if nobody writes to the file while reports run, put ?immutable=1 behind the path in the source's url"
        );
    }
    if with_ending(path, "-journal").exists() {
        return format!(
            "a program that wrote to the file {file} has not finished, and left {file}-journal; its changes must be undone by \
             somebody who may write there: open the file once with sqlite3 and read something"
        );
    }
    format!("SQLite cannot open the file {file} for reading, or what it keeps beside it")
}

fn unopened(path: &Path, why: &std::io::Error) -> String {
    let file = path.display();
    match why.kind() {
        ErrorKind::PermissionDenied => {
            format!(
                "the file {file} cannot be opened: this worker's user may not read it, or not enter its folder ({why})"
            )
        }
        ErrorKind::NotFound => format!("there is no file {file} on this worker ({why})"),
        _ => format!("the file {file} cannot be opened: {why}"),
    }
}

/// Says what SQLite said. Of a report with a sensitive parameter, only its code: the words may hold the value, changed.
fn words(error: &Error, bindings: &[Binding<'_>]) -> String {
    if is_secret(bindings) {
        return withheld(error.sqlite_error().map(|failure| format!("error {}", failure.extended_code)));
    }
    let message = match error {
        // The full text of these repeats the whole query.
        Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    hide_values(bindings, message)
}
