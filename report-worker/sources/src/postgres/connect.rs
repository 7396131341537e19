//! Connections to one PostgreSQL source, kept for the next read together with their prepared statements.
//!
//! Nobody looks at a kept connection: that the server closed it is noticed when it is used again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::problem::{Problem, ProblemKind};
use postgres_connect::{is_pooled, read_url, with_causes};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, Error, SimpleQueryMessage, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection_driver::ConnectionDriver;
use crate::idle_connections::IdleConnections;

/// A source that does not answer a connect within this time counts as away.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Statements a connection keeps prepared. With one more all are dropped: they belong to few reports.
const STATEMENTS: usize = 192;
/// Settings of each session. Each read's transaction says that it is read-only, too. How strings and texts are written must not
/// depend on the role: queries are cut at their placeholders by it.
const SESSION: &str = "set default_transaction_read_only = on; set standard_conforming_strings = on; \
    set client_encoding = 'UTF8'";
/// Ends a read. What a read-only transaction may change goes with it: settings, what it listens to, cursors. Left are locks that
/// belong to the session, and statements that a function prepared. `discard all` would drop our own prepared statements, which
/// make the next read a round trip shorter. All of this is one message, which a pooler in between keeps together.
const END: &str = "rollback; select pg_catalog.pg_advisory_unlock_all(), \
    exists (select from pg_catalog.pg_prepared_statements where from_sql)";

/// Ends a read behind a pooler. What has a name in a session there would be the next client's; all of this is one message, which the
/// pooler hands to one session.
const END_POOLED: &str = "rollback; deallocate all; select pg_catalog.pg_advisory_unlock_all()";

/// A connection. Dropping it closes it.
pub(super) struct Connection {
    pub(super) client: Client,
    /// Nothing that the client is asked for happens unless this is driven.
    pub(super) wire: ConnectionDriver,
    /// By their text and the types of their parameters: two reports may differ in nothing else.
    statements: HashMap<(String, Vec<Type>), Statement>,
    /// Whether it was used before: the server may have closed it since.
    pub(super) used: bool,
    /// Whether a pooler stands before the server: outside of a transaction, the session is not ours. Then everything is asked within one,
    /// and nothing is kept.
    pub(super) is_pooled: bool,
}

impl Connection {
    /// Prepares a statement, once a connection.
    pub(super) async fn prepared(&mut self, sql: &str, types: &[Type]) -> Result<Statement, Error> {
        let key = (sql.to_owned(), types.to_vec());
        if let Some(statement) = self.statements.get(&key) {
            return Ok(statement.clone());
        }
        let statement = self.wire.drive(self.client.prepare_typed(sql, types)).await?;
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(key, statement.clone());
        Ok(statement)
    }

    /// Returns what ends whatever it runs.
    pub(super) const fn ending(&self) -> &'static str {
        if self.is_pooled { END_POOLED } else { "rollback" }
    }

    /// Asks for one row of texts.
    pub(super) async fn ask(&mut self, sql: &str) -> Result<Vec<String>, Error> {
        let said = self.wire.drive(self.client.simple_query(sql)).await?;
        let rows = said.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(move |at| row.get(at).unwrap_or_default().to_owned()))
            }
            _ => None,
        });
        Ok(rows.flatten().collect())
    }

    /// Ends what a read began, and tells whether the connection is now as good as a new one.
    async fn clean(&mut self) -> Result<bool, Error> {
        if self.is_pooled {
            return self.wire.drive(self.client.simple_query(END_POOLED)).await.map(|_| false);
        }
        let said = self.wire.drive(self.client.simple_query(END)).await?;
        let row = said.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(row.is_some_and(|row| row.get(1) == Some("f")))
    }
}

/// The connections to one source.
pub(super) struct Pool {
    config: Config,
    tls: MakeRustlsConnect,
    /// Whether it is one tenant's, who may have none.
    is_of_tenant: bool,
    idle: IdleConnections<Connection>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("hosts", &self.config.get_hosts()).finish_non_exhaustive()
    }
}

impl Pool {
    /// Reads the URL. Connects to nothing.
    pub(super) fn new(url: &str, is_of_tenant: bool) -> Result<Self, Problem> {
        let unusable = |why: String| Problem::new(ProblemKind::SourceUnknown, format!("its url cannot be used: {why}"));
        let (mut config, tls) = read_url(url, None).map_err(unusable)?;
        config.connect_timeout(CONNECT_WITHIN).keepalives_idle(Duration::from_secs(30));
        config.keepalives_interval(Duration::from_secs(10)).keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name("waitless");
        }
        Ok(Self { config, tls, is_of_tenant, idle: IdleConnections::default() })
    }

    /// Returns a kept connection, or a new one.
    pub(super) async fn take(&self) -> Result<Connection, Problem> {
        while let Some(connection) = self.idle.take() {
            if !connection.client.is_closed() {
                return Ok(connection);
            }
        }
        self.connect().await
    }

    /// Opens a new connection.
    pub(super) async fn connect(&self) -> Result<Connection, Problem> {
        let away = |why: String| {
            Problem::new(ProblemKind::SourceUnavailable, format!("the source's database cannot be reached: {why}"))
        };
        let connecting = async {
            let (client, driver) = self.config.connect(self.tls.clone()).await?;
            let mut wire = ConnectionDriver::new(driver);
            let is_pooled = wire.drive(is_pooled(&client)).await?;
            if !is_pooled {
                wire.drive(client.batch_execute(SESSION)).await?;
            }
            let statements = HashMap::new();
            Ok::<_, Error>(Connection { client, wire, statements, used: false, is_pooled })
        };
        match tokio::time::timeout(CONNECT_WITHIN, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) if self.is_of_tenant && error.code() == Some(&SqlState::INVALID_CATALOG_NAME) => {
                Err(Problem::new(ProblemKind::SourceUnknown, "this tenant has no database at the source"))
            }
            Ok(Err(error)) => Err(away(with_causes(&error))),
            Err(_) => Err(away(format!("no connection within {} s", CONNECT_WITHIN.as_secs()))),
        }
    }

    /// Keeps a connection that is outside of any transaction.
    pub(super) fn give_back(&self, mut connection: Connection) {
        connection.used = true;
        self.idle.keep(connection);
    }

    /// Ends the connection's transaction, frees what the query may have left behind, and keeps the connection.
    pub(super) fn finish(self: &Arc<Self>, mut connection: Connection) {
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let ended = tokio::time::timeout(CONNECT_WITHIN, connection.clean()).await;
            if let Ok(Ok(true)) = ended {
                pool.give_back(connection);
            }
        });
    }

    /// Returns what a cancel request needs.
    pub(super) fn tls(&self) -> MakeRustlsConnect {
        self.tls.clone()
    }
}
