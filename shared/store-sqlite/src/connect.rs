//! The database file: its path, its settings, its schema.

use std::path::{Path, PathBuf};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::errors::whole;
use store::{Result, StoreError};

pub(super) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Where the file is and how long a lock of another process is waited for.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) busy_timeout: Duration,
}

impl File {
    /// Reads `sqlite:<path>` or `sqlite://<path>`.
    pub(super) fn new(url: &str, busy_timeout: Duration) -> Result<Self> {
        let path = url.strip_prefix("sqlite:").unwrap_or(url);
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path == ":memory:" {
            let text = "database.url: sqlite: needs the path of a file, for example sqlite:data/waitless.db";
            return Err(StoreError::Unexpected(text.to_owned()));
        }
        Ok(Self { path: PathBuf::from(path), busy_timeout })
    }

    /// Makes the folder of the file.
    pub(super) fn make_folder(&self) -> Result<()> {
        let Some(folder) = self.path.parent().filter(|folder| *folder != Path::new("")) else { return Ok(()) };
        std::fs::create_dir_all(folder)
            .map_err(|error| StoreError::Unavailable(format!("cannot make the folder {}: {error}", folder.display())))
    }

    /// Opens the file for writing. `synchronous=FULL`: a committed transaction survives a loss of power.
    pub(super) fn writer(&self) -> Result<SqliteConnection> {
        self.connect("pragma synchronous = full; pragma foreign_keys = on; pragma cache_size = -16000;")
    }

    /// Opens the file for reading.
    pub(super) fn reader(&self) -> Result<SqliteConnection> {
        self.connect("pragma query_only = on; pragma cache_size = -4000;")
    }

    fn connect(&self, pragmas: &str) -> Result<SqliteConnection> {
        let say = |error: &dyn std::fmt::Display| {
            StoreError::Unavailable(format!("cannot open {}: {error}", self.path.display()))
        };
        let mut connection = SqliteConnection::establish(&self.path.to_string_lossy()).map_err(|error| say(&error))?;
        // The timeout first: switching to WAL needs a lock.
        let busy = self.busy_timeout.as_millis();
        let common = format!("pragma busy_timeout = {busy}; pragma journal_mode = wal; pragma temp_store = memory;");
        connection
            .batch_execute(&common)
            .and_then(|()| connection.batch_execute(pragmas))
            .map_err(|error| say(&error))?;
        Ok(connection)
    }
}

/// Brings the schema up to date, in one transaction that keeps other processes from doing the same at the same time.
pub(super) fn migrate(connection: &mut SqliteConnection) -> Result<()> {
    let migrated = connection.immediate_transaction(|connection| {
        connection.run_pending_migrations(MIGRATIONS).map(drop).map_err(diesel::result::Error::QueryBuilderError)
    });
    migrated.map_err(|error| match whole(&error) {
        StoreError::Unavailable(why) => StoreError::Unavailable(format!("cannot migrate: {why}")),
        StoreError::Unexpected(why) => StoreError::Unexpected(format!("cannot migrate: {why}")),
    })
}

#[cfg(test)]
mod tests {
    use super::super::sql::sql;
    use super::*;

    #[test]
    fn a_commit_is_safe_from_a_loss_of_power_and_readers_never_wait() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("a.db").display());
        let file = File::new(&url, Duration::from_secs(1)).unwrap();
        let mut writer = file.writer().unwrap();
        let ask = |connection: &mut SqliteConnection, text| sql!(text).number(connection).unwrap();
        assert_eq!(ask(&mut writer, "pragma synchronous"), 2, "full");
        assert_eq!(ask(&mut writer, "pragma foreign_keys"), 1);
        assert_eq!(ask(&mut writer, "pragma busy_timeout"), 1000);
        assert_eq!(ask(&mut writer, "select journal_mode = 'wal' from pragma_journal_mode"), 1);
        let mut reader = file.reader().unwrap();
        assert_eq!(ask(&mut reader, "pragma query_only"), 1);
        assert_eq!(ask(&mut reader, "select journal_mode = 'wal' from pragma_journal_mode"), 1);
    }

    #[test]
    fn a_path_is_read_from_the_url() {
        let path = |url| File::new(url, Duration::ZERO).map(|file| file.path.display().to_string());
        assert_eq!(path("sqlite:data/waitless.db").unwrap(), "data/waitless.db");
        assert_eq!(path("sqlite:/var/lib/waitless.db").unwrap(), "/var/lib/waitless.db");
        assert_eq!(path("sqlite:///var/lib/waitless.db").unwrap(), "/var/lib/waitless.db");
        assert!(matches!(path("sqlite:"), Err(StoreError::Unexpected(why)) if why.contains("sqlite:data/waitless.db")));
        assert!(path("sqlite::memory:").is_err());
    }

    #[test]
    fn migrations_are_run_once_and_can_be_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("a.db").display());
        let mut connection = File::new(&url, Duration::from_secs(1)).unwrap().writer().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        let tables = "select count(*) from sqlite_schema where type = 'table' and name = 'jobs'";
        assert_eq!(sql!(tables).number(&mut connection).unwrap(), 1);
        connection.revert_all_migrations(MIGRATIONS).unwrap();
        assert_eq!(sql!(tables).number(&mut connection).unwrap(), 0);
        migrate(&mut connection).unwrap();
    }
}
