//! Connections to one PostgreSQL source, kept for the next read together with their prepared statements.
//!
//! Nobody looks at a kept connection: that the server closed it is noticed when it is used again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::problem::{Problem, ProblemKind};
use parking_lot::Mutex;
use postgres_connect::{read_url, with_causes};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, Error, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection_driver::ConnectionDriver;

/// A source that does not answer a connect within this time counts as away.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Unused connections are closed after this time.
const IDLE_FOR: Duration = Duration::from_secs(60);
/// Statements a connection keeps prepared. With one more all are dropped: they belong to few reports.
const STATEMENTS: usize = 192;
/// Belt and braces: each read's transaction says the same. And backslashes are plain in strings, as the scanner of queries has it.
const SESSION: &str = "set default_transaction_read_only = on; set standard_conforming_strings = on";

/// A connection. Dropping it closes it.
pub(super) struct Connection {
    pub(super) client: Client,
    /// Nothing that the client is asked for happens unless this is driven.
    pub(super) wire: ConnectionDriver,
    statements: HashMap<String, Statement>,
    /// Whether it was used before: the server may have closed it since.
    pub(super) used: bool,
    idle_since: Instant,
}

impl Connection {
    /// Prepares a statement, once a connection.
    pub(super) async fn prepared(&mut self, sql: &str, types: &[Type]) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.wire.drive(self.client.prepare_typed(sql, types)).await?;
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

/// The connections to one source.
pub(super) struct Pool {
    config: Config,
    tls: MakeRustlsConnect,
    idle: Mutex<Vec<Connection>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("hosts", &self.config.get_hosts()).finish_non_exhaustive()
    }
}

impl Pool {
    /// Reads the URL. Connects to nothing.
    pub(super) fn new(url: &str) -> Result<Self, Problem> {
        let unusable = |why: String| Problem::new(ProblemKind::SourceUnknown, format!("its url cannot be used: {why}"));
        let (mut config, tls) = read_url(url, None).map_err(unusable)?;
        config.connect_timeout(CONNECT_WITHIN).keepalives_idle(Duration::from_secs(30));
        config.keepalives_interval(Duration::from_secs(10)).keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name("waitless");
        }
        Ok(Self { config, tls, idle: Mutex::default() })
    }

    /// Returns a kept connection, or a new one.
    pub(super) async fn take(&self) -> Result<Connection, Problem> {
        loop {
            let kept = self.idle.lock().pop();
            match kept {
                Some(connection) if connection.client.is_closed() || connection.idle_since.elapsed() > IDLE_FOR => {}
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
            let (client, driver) = self.config.connect(self.tls.clone()).await?;
            let mut wire = ConnectionDriver::new(driver);
            wire.drive(client.batch_execute(SESSION)).await?;
            let statements = HashMap::new();
            Ok::<_, Error>(Connection { client, wire, statements, used: false, idle_since: Instant::now() })
        };
        match tokio::time::timeout(CONNECT_WITHIN, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(away(with_causes(&error))),
            Err(_) => Err(away(format!("no connection within {} s", CONNECT_WITHIN.as_secs()))),
        }
    }

    /// Keeps a connection that is outside of any transaction.
    pub(super) fn give_back(&self, mut connection: Connection) {
        connection.used = true;
        connection.idle_since = Instant::now();
        let mut idle = self.idle.lock();
        idle.retain(|kept| kept.idle_since.elapsed() <= IDLE_FOR);
        idle.push(connection);
    }

    /// Ends the connection's transaction, which undoes every setting the query may have made, and keeps the connection.
    pub(super) fn finish(self: &Arc<Self>, mut connection: Connection) {
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let ending = connection.wire.drive(connection.client.batch_execute("rollback"));
            let ended = tokio::time::timeout(CONNECT_WITHIN, ending).await;
            if let Ok(Ok(())) = ended {
                pool.give_back(connection);
            }
        });
    }

    /// Returns what a cancel request needs.
    pub(super) fn tls(&self) -> MakeRustlsConnect {
        self.tls.clone()
    }
}
