//! A database that reports read from, with something in it.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::path::PathBuf;

use crate::{mariadb, postgres};

/// A database to read from. Gone with this value.
#[derive(Debug)]
pub struct SourceDatabase {
    kind: &'static str,
    url: String,
    holder: Holder,
}

#[derive(Debug)]
enum Holder {
    File(tempfile::TempDir),
    Postgres(postgres::Database),
    Mariadb(mariadb::Database),
}

impl SourceDatabase {
    /// Makes a SQLite file.
    ///
    /// # Panics
    /// When `setup` fails.
    #[must_use]
    pub fn sqlite(setup: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("source.db");
        rusqlite::Connection::open(&path).unwrap().execute_batch(setup).unwrap();
        Self { kind: "sqlite", url: format!("sqlite:{}", path.display()), holder: Holder::File(folder) }
    }

    /// Makes a PostgreSQL database.
    ///
    /// # Panics
    /// When there is no server, or `setup` fails.
    pub async fn postgres(setup: &str) -> Self {
        let database = postgres::fresh_database().await.unwrap();
        database.sql(setup).await.unwrap();
        Self { kind: "postgres", url: database.url().to_owned(), holder: Holder::Postgres(database) }
    }

    /// Makes a MariaDB database.
    ///
    /// # Panics
    /// When there is no server, or `setup` fails.
    pub async fn mariadb(setup: &str) -> Self {
        let database = mariadb::fresh_database().await.unwrap();
        if !setup.is_empty() {
            database.sql(setup).await.unwrap();
        }
        Self { kind: "mariadb", url: database.url().to_owned(), holder: Holder::Mariadb(database) }
    }

    /// `sqlite`, `postgres` or `mariadb`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    /// The URL a configuration would have.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The SQLite file.
    ///
    /// # Panics
    /// Where it is no file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match &self.holder {
            Holder::File(folder) => folder.path().join("source.db"),
            _ => unreachable!("{} has no file", self.kind),
        }
    }

    /// Runs SQL beside the reports, and returns the rows of all its statements as text.
    ///
    /// # Panics
    /// When the server refuses it. SQLite files are not written to this way.
    pub async fn sql(&self, statements: &str) -> Vec<Vec<Option<String>>> {
        match &self.holder {
            Holder::Postgres(database) => database.sql(statements).await.unwrap(),
            Holder::Mariadb(database) => database.sql(statements).await.unwrap(),
            Holder::File(_) => unreachable!("open the file"),
        }
    }

    /// Counts the reports' queries that the server is running.
    ///
    /// # Panics
    /// When the server does not say.
    pub async fn running(&self) -> u32 {
        let rows = match &self.holder {
            Holder::Mariadb(database) => {
                let sql = format!(
                    "select count(*) from information_schema.processlist
                     where db = '{}' and command in ('Query', 'Execute') and id <> connection_id()",
                    database.name()
                );
                self.sql(&sql).await
            }
            _ => {
                let sql =
                    "select count(*) from pg_stat_activity where datname = current_database() and state = 'active'
                    and application_name = 'waitless'";
                self.sql(sql).await
            }
        };
        rows[0][0].as_deref().unwrap().parse().unwrap()
    }

    /// The database's name on its server.
    ///
    /// # Panics
    /// Where it is a file.
    #[must_use]
    pub fn name(&self) -> &str {
        self.url.rsplit_once('/').unwrap().1
    }
}
