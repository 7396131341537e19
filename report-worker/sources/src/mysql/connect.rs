//! Connections to one MySQL or MariaDB source, kept for the next read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::problem::{Problem, ProblemKind};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, DriverError, Error, Opts};
use parking_lot::Mutex;

use super::url::{ServerOptions, read_url};

/// A source that does not answer a connect within this time counts as away.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Unused connections are closed after this time.
const IDLE_FOR: Duration = Duration::from_secs(60);
/// A query that is not killed within this time is left to the server's own time limit.
const KILL_WITHIN: Duration = Duration::from_secs(5);

/// Settings of each session: times in UTC, a read that changes nothing, and nothing that the server would cut off in silence.
/// A slow upload slows the query, so the server waits long for us to read.
const SESSION: &str = "set session transaction isolation level repeatable read; set session transaction read only; \
    set time_zone = '+00:00', sql_select_limit = 18446744073709551615, group_concat_max_len = 1073741824, \
    net_write_timeout = 86400";
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
    idle_since: Instant,
}

impl Connection {
    async fn set_up(&mut self) -> Result<(), Error> {
        self.conn.query_drop(SESSION).await?;
        let recursion = if self.is_mariadb { MARIADB_SESSION } else { MYSQL_SESSION };
        match self.conn.query_drop(recursion).await {
            // Servers before recursive queries do not know the setting.
            Err(Error::Server(_)) => Ok(()),
            outcome => outcome,
        }
    }
}

/// The connections to one source.
pub(super) struct Pool {
    server: ServerOptions,
    idle: Mutex<Vec<Connection>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("host", &self.server.options.ip_or_hostname()).finish_non_exhaustive()
    }
}

impl Pool {
    /// Reads the URL. Connects to nothing.
    pub(super) fn new(url: &str) -> Result<Self, Problem> {
        let server = read_url(url)
            .map_err(|why| Problem::new(ProblemKind::SourceUnknown, format!("its url cannot be used: {why}")))?;
        Ok(Self { server, idle: Mutex::default() })
    }

    /// Returns a kept connection, or a new one.
    pub(super) async fn take(&self) -> Result<Connection, Problem> {
        loop {
            let kept = self.idle.lock().pop();
            match kept {
                Some(connection) if connection.idle_since.elapsed() > IDLE_FOR => {}
                Some(connection) => return Ok(connection),
                None => return self.connect().await,
            }
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
            let mut connection = Connection { conn, is_mariadb, used: false, idle_since: Instant::now() };
            connection.set_up().await?;
            Ok::<_, Error>(connection)
        };
        match tokio::time::timeout(CONNECT_WITHIN, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
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
                connection.idle_since = Instant::now();
                let mut idle = pool.idle.lock();
                idle.retain(|kept| kept.idle_since.elapsed() <= IDLE_FOR);
                idle.push(connection);
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
