//! What `waitless doctor` asks of the database file. It changes nothing.

use std::path::Path;

use diesel::sql_types::Text;
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _, SqliteConnection, sql_query};
use model::finding::Findings;

use super::SqliteStore;
use super::connect::File;
use super::notes;
use store::{PendingMigration, Result, SchemaState, StoreError};

/// A file of this size is gone through in about a second.
const QUICK_TO_CHECK: u64 = 256 << 20;

#[derive(QueryableByName)]
struct AnswerLine {
    #[diesel(sql_type = Text)]
    line: String,
}

impl SqliteStore {
    /// Looks at the file that `database.url` names and notes how it stands. Changes nothing, and makes no file.
    pub async fn diagnose(database: &configuration::Database, findings: &mut Findings) {
        let file = match File::new(database.url.expose(), database.acquire_timeout) {
            Ok(file) => file,
            Err(error) => return findings.fail(error, "correct database.url"),
        };
        let looking = tokio::task::spawn_blocking(move || look(&file));
        match looking.await {
            Ok(found) => *findings = found,
            Err(lost) => findings.fail(format!("the look at it crashed: {lost}"), "report this"),
        }
    }

    /// Says which migrations the file has run, seen from this build. Changes nothing.
    ///
    /// # Errors
    /// Says why the file cannot be read.
    pub async fn schema_state(database: &configuration::Database) -> Result<SchemaState> {
        let file = File::new(database.url.expose(), database.acquire_timeout)?;
        let looking = tokio::task::spawn_blocking(move || {
            if file.path.exists() { state(&mut open(&file.path)?) } else { Ok(all_pending()) }
        });
        looking.await.unwrap_or_else(|lost| Err(StoreError::Unexpected(format!("the look at it crashed: {lost}"))))
    }
}

fn look(file: &File) -> Findings {
    let mut findings = Findings::default();
    let shown = file.path.display();
    let folder = file.path.parent().filter(|folder| *folder != Path::new("")).unwrap_or_else(|| Path::new("."));
    let size = match std::fs::metadata(&file.path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            findings.ok(format!("{shown} is not there yet: the first start makes it in {}", folder.display()));
            return findings;
        }
        Err(error) => {
            findings.fail(format!("{shown} cannot be looked at: {error}"), "let this user into its folder");
            return findings;
        }
    };
    match open(&file.path).and_then(|mut connection| look_inside(&mut connection, size, &mut findings)) {
        Ok(()) => findings.ok(format!("{shown} can be read, {} KiB", size >> 10)),
        Err(error) => findings.fail(
            format!("{shown}: {error}"),
            "see that the file is a database of Waitless and belongs to this user; else restore a backup",
        ),
    }
    let writable = std::fs::OpenOptions::new().append(true).open(&file.path);
    if let Err(error) = writable {
        findings.fail(
            format!("{shown} cannot be written: {error}"),
            "give the file and its folder to the user of the service",
        );
    }
    findings
}

fn look_inside(connection: &mut SqliteConnection, size: u64, findings: &mut Findings) -> Result<()> {
    let state = state(connection)?;
    state.note(true, findings);
    if size <= QUICK_TO_CHECK {
        let said = lines(connection, "select quick_check as line from pragma_quick_check limit 1")?;
        if said.first().is_none_or(|said| said != "ok") {
            findings.fail(
                format!("the file is damaged: {}", said.join("; ")),
                "stop Waitless, keep a copy of the file, and restore a backup",
            );
        }
    }
    Ok(())
}

/// Opens the file for reading, and makes none.
fn open(path: &Path) -> Result<SqliteConnection> {
    let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    SqliteConnection::establish(&format!("file:{escaped}?mode=ro"))
        .map_err(|error| StoreError::Unavailable(format!("it cannot be opened: {error}")))
}

fn lines(connection: &mut SqliteConnection, asked: &str) -> Result<Vec<String>> {
    let lines: Vec<AnswerLine> =
        sql_query(asked).load(connection).map_err(|error| StoreError::Unavailable(error.to_string()))?;
    Ok(lines.into_iter().map(|line| line.line).collect())
}

fn state(connection: &mut SqliteConnection) -> Result<SchemaState> {
    let asked = "select name as line from sqlite_schema where type = 'table'";
    let tables = lines(connection, asked)?;
    if !tables.iter().any(|table| table == "__diesel_schema_migrations") {
        if tables.is_empty() {
            return Ok(all_pending());
        }
        return Err(StoreError::Unexpected("it is a database of something else".to_owned()));
    }
    let done = lines(connection, "select version as line from __diesel_schema_migrations order by version")?;
    let mut state = all_pending();
    state.pending.retain(|pending| !done.contains(&pending.note.version));
    let known = notes::all();
    state.is_empty = state.pending.len() == known.len();
    for pending in &mut state.pending {
        for table in pending.note.tables.iter().filter(|table| tables.contains(table)) {
            // Ids of rows grow by one; a table without them is as large as its neighbours.
            let asked = format!("select cast(coalesce(max(rowid), 0) as text) as line from \"{table}\"");
            let rows = lines(connection, &asked).ok().and_then(|rows| rows.first()?.parse::<u64>().ok());
            pending.rows += rows.unwrap_or(0);
        }
    }
    let is_unknown = |version: &String| known.iter().all(|note| note.version != *version);
    state.unknown = done.into_iter().filter(is_unknown).collect();
    Ok(state)
}

fn all_pending() -> SchemaState {
    let pending = notes::all().into_iter().map(|note| PendingMigration { note, rows: 0 }).collect();
    SchemaState { is_empty: true, pending, unknown: Vec::new() }
}
