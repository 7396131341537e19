//! The databases that say what a statement is.

use mysql_async::prelude::Queryable as _;
use mysql_common::named_params::ParsedNamedParams;
use report::Dialect;
use testing::{mariadb, postgres};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use super::{Server, Verdict};

pub(crate) struct Postgres {
    client: tokio_postgres::Client,
    _database: postgres::Database,
}

impl Postgres {
    pub(crate) async fn start() -> Self {
        let database = postgres::fresh_database().await.unwrap();
        let (client, connection) = tokio_postgres::connect(database.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        Self { client, _database: database }
    }
}

impl Server for Postgres {
    const DIALECT: Dialect = Dialect::Postgres;

    fn parameter(number: usize) -> String {
        // With its type, so that only one that stands in a string or a comment has none.
        format!("(${number}::text)")
    }

    async fn prepare(&mut self, sql: &str) -> Verdict {
        match self.client.prepare(sql).await {
            Ok(statement) => Verdict::Parameters(statement.params().len()),
            Err(error) if error.code() == Some(&SqlState::INDETERMINATE_DATATYPE) => Verdict::Unused,
            Err(error) => {
                assert!(error.as_db_error().is_some(), "{sql:?}: {error}");
                Verdict::Refused
            }
        }
    }
}

pub(crate) struct Mariadb {
    connection: mysql_async::Conn,
    _database: mariadb::Database,
}

impl Mariadb {
    pub(crate) async fn start() -> Self {
        let database = mariadb::fresh_database().await.unwrap();
        let options = mysql_async::Opts::from_url(&database.url().replacen("mariadb:", "mysql:", 1)).unwrap();
        let options = mysql_async::OptsBuilder::from_opts(options).stmt_cache_size(0);
        let mut connection = mysql_async::Conn::new(options).await.unwrap();
        connection.query_drop("set sql_mode = ''").await.unwrap();
        Self { connection, _database: database }
    }
}

impl Server for Mariadb {
    const DIALECT: Dialect = Dialect::Mysql;

    fn parameter(_: usize) -> String {
        "?".to_owned()
    }

    async fn prepare(&mut self, sql: &str) -> Verdict {
        // The driver would send another text; the source refuses such a query.
        if !ParsedNamedParams::parse(sql.as_bytes()).is_ok_and(|reading| reading.params().is_empty()) {
            return Verdict::Refused;
        }
        match self.connection.prep(sql).await {
            Ok(statement) => {
                let parameters = usize::from(statement.num_params());
                self.connection.close(statement).await.unwrap();
                Verdict::Parameters(parameters)
            }
            Err(error) => {
                assert!(matches!(error, mysql_async::Error::Server(_)), "{sql:?}: {error}");
                Verdict::Refused
            }
        }
    }
}

pub(crate) struct Sqlite(rusqlite::Connection);

impl Sqlite {
    pub(crate) fn start() -> Self {
        Self(rusqlite::Connection::open_in_memory().unwrap())
    }
}

impl Server for Sqlite {
    const DIALECT: Dialect = Dialect::Sqlite;

    fn parameter(_: usize) -> String {
        "?".to_owned()
    }

    async fn prepare(&mut self, sql: &str) -> Verdict {
        self.0.prepare(sql).map_or(Verdict::Refused, |statement| Verdict::Parameters(statement.parameter_count()))
    }
}
