//! Connections to one MySQL or MariaDB source, kept for the next read.

use std::sync::Arc;
use std::time::Duration;

use model::problem::{Problem, ProblemKind};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, DriverError, Error, Opts};

use super::url::{ServerOptions, read_url};
use crate::idle_connections::IdleConnections;

/// A source that does not answer a connect within this time counts as away.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A query that is not killed within this time is left to the server's own time limit.
const KILL_WITHIN: Duration = Duration::from_secs(5);

/// What the server says of a database that it has not.
const NO_SUCH_DATABASE: u16 = 1049;

/// Settings of each session: text in UTF-8, times in UTC, a read that changes nothing, and nothing that the server would cut off in
/// silence. A slow upload slows the query, so the server waits long for us to read. Resetting a connection brings back the server's
/// own settings, the character set of a client among them.
const SESSION: &str = "set names utf8mb4; set session transaction isolation level repeatable read; \
    set session transaction read only; set time_zone = '+00:00', sql_select_limit = 18446744073709551615, \
    group_concat_max_len = 1073741824, net_write_timeout = 86400";
/// Modes of SQL in which `\\` escapes nothing, or `"` opens a name in place of a string: queries are cut at their placeholders by
/// what holds without them. The others are kept, but for those that stand for several with one of these among them.
const OTHER_QUOTES: &[&str] =
    &["NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "ANSI", "DB2", "MAXDB", "MSSQL", "ORACLE", "POSTGRESQL"];
/// How deep a recursive query may go. MariaDB would end it there as if it were complete.
const MARIADB_SESSION: &str = "set max_recursive_iterations = 4294967295";
const MYSQL_SESSION: &str = "set cte_max_recursion_depth = 4294967295";

/// A connection. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) conn: Conn,
    pub(super) is_mariadb: bool,
    /// Whether it was used before: the server may have closed it since.
    pub(super) used: bool,
}

impl Connection {
    async fn set_up(&mut self) -> Result<(), Error> {
        self.conn.query_drop(set_session()).await?;
        let recursion = if self.is_mariadb { MARIADB_SESSION } else { MYSQL_SESSION };
        match self.conn.query_drop(recursion).await {
            // Servers before recursive queries do not know the setting.
            Err(Error::Server(_)) => Ok(()),
            outcome => outcome,
        }
    }
}

/// Writes what sets a session up that was just opened or reset.
fn set_session() -> String {
    let kept_modes = OTHER_QUOTES
        .iter()
        .fold("concat(',', @@sql_mode, ',')".to_owned(), |modes, mode| format!("replace({modes}, ',{mode},', ',')"));
    format!("{SESSION}; set session sql_mode = trim(both ',' from {kept_modes})")
}

/// The connections to one source.
pub(super) struct Pool {
    server: ServerOptions,
    /// Whether it is one tenant's, who may have none.
    is_of_tenant: bool,
    idle: IdleConnections<Connection>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("host", &self.server.options.ip_or_hostname()).finish_non_exhaustive()
    }
}

impl Pool {
    /// Reads the URL. Connects to nothing.
    pub(super) fn new(url: &str, is_of_tenant: bool) -> Result<Self, Problem> {
        let server = read_url(url)
            .map_err(|why| Problem::new(ProblemKind::SourceUnknown, format!("its url cannot be used: {why}")))?;
        Ok(Self { server, is_of_tenant, idle: IdleConnections::default() })
    }

    /// Returns a kept connection, or a new one.
    pub(super) async fn take(&self) -> Result<Connection, Problem> {
        match self.idle.take() {
            Some(connection) => Ok(connection),
            None => self.connect().await,
        }
    }

    /// Opens a new connection.
    pub(super) async fn connect(&self) -> Result<Connection, Problem> {
        let away = |why: String| {
            Problem::new(ProblemKind::SourceUnavailable, format!("the source's database cannot be reached: {why}"))
        };
        let connecting = async {
            let mut conn = self.open().await?;
            let version: Option<String> = conn.query_first("select version()").await?;
            let is_mariadb = version.is_some_and(|version| version.contains("MariaDB"));
            let mut connection = Connection { conn, is_mariadb, used: false };
            connection.set_up().await?;
            Ok::<_, Error>(connection)
        };
        match tokio::time::timeout(CONNECT_WITHIN, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(Error::Server(said))) if self.is_of_tenant && said.code == NO_SUCH_DATABASE => {
                Err(Problem::new(ProblemKind::SourceUnknown, "this tenant has no database at the source"))
            }
            Ok(Err(error)) => Err(away(super::error::message(&error))),
            Err(_) => Err(away(format!("no connection within {} s", CONNECT_WITHIN.as_secs()))),
        }
    }

    async fn open(&self) -> Result<Conn, Error> {
        let open = |options: &Opts| Conn::new(options.clone());
        match (open(&self.server.options).await, &self.server.without_tls) {
            (Err(Error::Driver(DriverError::NoClientSslFlagFromServer)), Some(plain)) => open(plain).await,
            (outcome, _) => outcome,
        }
    }

    /// Ends the connection's transaction, forgets every setting and variable the query may have made, and keeps the connection.
    pub(super) fn finish(self: &Arc<Self>, mut connection: Connection) {
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let ending = async {
                if connection.conn.reset().await? {
                    connection.set_up().await?;
                    return Ok::<_, Error>(Some(connection));
                }
                Ok(None)
            };
            if let Ok(Ok(Some(mut connection))) = tokio::time::timeout(CONNECT_WITHIN, ending).await {
                connection.used = true;
                pool.idle.keep(connection);
            }
        });
    }

    /// Kills, from a second connection, whatever the connection runs; then closes both.
    ///
    /// The first is not used again: the kill may arrive late, in the next query.
    pub(super) async fn stop_query(&self, connection: Connection) {
        let id = connection.conn.id();
        let killing = async {
            let mut second = self.open().await?;
            second.query_drop(format!("kill query {id}")).await?;
            second.disconnect().await
        };
        match tokio::time::timeout(KILL_WITHIN, killing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = super::error::message(&error), "a source could not be asked to kill a query");
            }
            Err(_) => tracing::warn!("a source did not kill a query in time; its connection is closed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use testing::source::SourceDatabase;

    use super::set_session;

    #[tokio::test]
    async fn modes_by_which_strings_are_written_otherwise_are_taken_out_and_others_kept() {
        let database = SourceDatabase::mariadb("").await;
        for (modes, kept) in [
            ("", ""),
            ("NO_BACKSLASH_ESCAPES", ""),
            ("STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES,NO_ZERO_DATE", "STRICT_TRANS_TABLES,NO_ZERO_DATE"),
            ("ANSI_QUOTES,NO_BACKSLASH_ESCAPES", ""),
            ("ANSI,NO_ZERO_DATE", "REAL_AS_FLOAT,PIPES_AS_CONCAT,IGNORE_SPACE,NO_ZERO_DATE"),
            ("PIPES_AS_CONCAT", "PIPES_AS_CONCAT"),
        ] {
            let set = format!("set sql_mode = '{modes}'; {}; select @@sql_mode", set_session());
            assert_eq!(database.sql(&set).await, [[Some(kept.to_owned())]], "{modes}");
        }
        let oracle = database.sql(&format!("set sql_mode = 'ORACLE'; {}; select \"a\\\"b\"", set_session())).await;
        assert_eq!(oracle, [[Some("a\"b".to_owned())]]);
    }
}
