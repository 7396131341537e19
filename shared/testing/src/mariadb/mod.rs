//! MariaDB: a fresh database on the run's server.

mod server;
mod template;

use anyhow::Context;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder, Row, Value};

/// Names a server to use in place of a private one: `mysql://user:password@host:port/any`. Its user must be allowed to make
/// databases. It may be a MySQL.
pub const VARIABLE: &str = "WAITLESS_TEST_MARIADB_URL";

/// A fresh, empty database. Dropped with this value.
#[derive(Debug)]
#[must_use = "the database is dropped with this value"]
pub struct Database {
    server: String,
    name: String,
    url: String,
}

/// Makes a fresh database on the server all tests of this run share.
///
/// # Errors
/// When neither `WAITLESS_TEST_MARIADB_URL` names a server nor one can be started; the text says what to do.
pub async fn fresh_database() -> anyhow::Result<Database> {
    let server = match crate::environment::variable(VARIABLE) {
        Some(url) => url,
        None => crate::run::server("mariadb", server::start_for_run).await?,
    };
    let name = format!("waitless_{}", uuid::Uuid::new_v4().simple());
    sql(&server, &format!("create database {name} character set utf8mb4")).await.context("make a fresh database")?;
    let (before, _) = server.rsplit_once('/').context("the server's URL names no database")?;
    let url = format!("{before}/{name}");
    Ok(Database { server, name, url })
}

impl Database {
    /// `mysql://user:password@host:port/name`
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements on a connection of its own, and returns the rows of all of them as text.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses a statement.
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
            runtime.block_on(sql(&server, &format!("drop database if exists {name}"))).ok()
        });
        let _best_effort = dropping.join();
    }
}

async fn sql(url: &str, statements: &str) -> anyhow::Result<Vec<Vec<Option<String>>>> {
    let options = OptsBuilder::from_opts(Opts::from_url(url)?).prefer_socket(false);
    let mut connection = Conn::new(options).await.context("connect to MariaDB")?;
    let mut answers = connection.query_iter(statements).await.with_context(|| format!("run {statements:?}"))?;
    let mut rows = Vec::new();
    while !answers.is_empty() {
        rows.extend(answers.collect::<Row>().await?.into_iter().map(|row| row.unwrap().iter().map(text).collect()));
    }
    answers.drop_result().await?;
    connection.disconnect().await?;
    Ok(rows)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_tests_see_two_databases() {
        let (one, other) = (fresh_database().await.unwrap(), fresh_database().await.unwrap());
        one.sql("create table only_here (id int); insert into only_here values (7)").await.unwrap();
        assert!(other.sql("select * from only_here").await.is_err());
        assert_eq!(one.sql("select * from only_here").await.unwrap(), [[Some("7".to_owned())]]);
    }
}
