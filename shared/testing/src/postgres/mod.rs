//! PostgreSQL: a fresh database on the run's server, a server of the test's own to be mistreated, or a pooler before either.

mod plans;
mod pooler;
mod server;
mod template;

pub use plans::{Plan, PlanServer};
pub use pooler::Pooler;
pub use server::Server;

use std::time::Duration;

use anyhow::Context;
use configuration::{Config, Secret};
use store_postgres::PostgresStore;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// Names a server to use in place of a private one. Its role must be allowed to make databases.
pub const VARIABLE: &str = "WAITLESS_TEST_POSTGRES_URL";

/// A fresh, empty database. Dropped with this value.
#[derive(Debug)]
#[must_use = "the database is dropped with this value"]
pub struct Database {
    server: String,
    name: String,
    url: String,
}

/// The database of a run that has the schema in it and is copied.
const MIGRATED: &str = "waitless_migrated";

/// Makes a fresh database on the server all tests of this run share.
///
/// # Errors
/// When neither `WAITLESS_TEST_POSTGRES_URL` names a server nor one can be started; the text says what to do.
pub async fn fresh_database() -> anyhow::Result<Database> {
    create_database(shared_server().await?, "").await
}

/// Makes a fresh database with the schema of the store in it: migrated once in a run, and copied, which is a quarter of the work.
///
/// # Errors
/// As [`fresh_database`], and when the schema cannot be made.
pub async fn fresh_store_database() -> anyhow::Result<Database> {
    let server = shared_server().await?;
    if crate::environment::variable(VARIABLE).is_some() {
        // What a run leaves on a server that outlives it would be in the way of the next.
        return create_database(server, "").await;
    }
    crate::run::once("migrated", || make_migrated(server.clone())).await?;
    create_database(server, &format!(" template {MIGRATED}")).await
}

async fn shared_server() -> anyhow::Result<String> {
    match crate::environment::variable(VARIABLE) {
        Some(url) => Ok(url),
        None => crate::run::server("postgres", Server::start_for_run).await,
    }
}

async fn create_database(server: String, template: &str) -> anyhow::Result<Database> {
    let name = format!("waitless_{}", uuid::Uuid::new_v4().simple());
    sql(&server, &format!("create database {name}{template}")).await.context("make a fresh database")?;
    let url = with_database(&server, &name);
    Ok(Database { server, name, url })
}

async fn make_migrated(server: String) -> anyhow::Result<()> {
    sql(&server, &format!("create database {MIGRATED}")).await.context("make the database that is copied")?;
    let folder = tempfile::tempdir()?;
    let mut settings = Config::embedded(folder.path())?.database;
    settings.url = Secret::new(with_database(&server, MIGRATED));
    PostgresStore::migrate(&settings).await.context("migrate the database that is copied")?;
    // A database that somebody is connected to cannot be copied.
    let connected = format!("select 1 from pg_stat_activity where datname = '{MIGRATED}'");
    crate::eventually(Duration::from_secs(10), "the migration has gone", async || {
        sql(&server, &connected).await.is_ok_and(|sessions| sessions.is_empty())
    })
    .await;
    Ok(())
}

impl Database {
    /// `postgres://user@host:port/name`
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs SQL on a connection of its own, and returns the rows of all its statements as text.
    ///
    /// # Errors
    /// When PostgreSQL cannot be reached or refuses a statement.
    pub async fn sql(&self, statements: &str) -> anyhow::Result<Vec<Vec<Option<String>>>> {
        sql(&self.url, statements).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A runtime of its own: the test's may be gone, or be the one that drops us.
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(sql(&server, &format!("drop database if exists {name} with (force)"))).ok()
        });
        let _best_effort = dropping.join();
    }
}

/// Runs SQL on a new connection to `url`, and returns the rows of all statements as text.
///
/// # Errors
/// When PostgreSQL cannot be reached or refuses a statement.
pub async fn sql(url: &str, statements: &str) -> anyhow::Result<Vec<Vec<Option<String>>>> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("connect to PostgreSQL")?;
    let connection = tokio::spawn(connection);
    let answer = client.simple_query(statements).await.with_context(|| format!("run {statements:?}"));
    drop(client);
    connection.abort();
    let rows = answer?.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
        _ => None,
    });
    Ok(rows.collect())
}

/// The URL with another database in it.
fn with_database(url: &str, name: &str) -> String {
    let (before, query) = url.split_once('?').map_or((url, None), |(before, query)| (before, Some(query)));
    let host_at = before.find("://").map_or(0, |at| at + 3);
    let end = before[host_at..].find('/').map_or(before.len(), |at| host_at + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &before[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_put_into_any_url() {
        assert_eq!(with_database("postgres://u@h:1/old", "new"), "postgres://u@h:1/new");
        assert_eq!(with_database("postgres://u@h:1", "new"), "postgres://u@h:1/new");
        assert_eq!(with_database("postgres://u@h/?sslmode=require", "new"), "postgres://u@h/new?sslmode=require");
    }

    #[tokio::test]
    async fn a_store_database_has_the_schema_and_is_nobody_elses() {
        let (one, other) = (fresh_store_database().await.unwrap(), fresh_store_database().await.unwrap());
        one.sql("alter table jobs rename to changed_only_here").await.unwrap();
        assert_eq!(other.sql("select count(*) from jobs").await.unwrap(), [[Some("0".to_owned())]]);
    }

    #[tokio::test]
    async fn two_tests_see_two_databases() {
        let (one, other) = (fresh_database().await.unwrap(), fresh_database().await.unwrap());
        one.sql("create table only_here (id int)").await.unwrap();
        assert!(other.sql("select * from only_here").await.is_err());
        assert_eq!(one.sql("select count(*) from only_here").await.unwrap(), [[Some("0".to_owned())]]);
    }
}
