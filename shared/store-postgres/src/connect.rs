//! Connections: the URL's `sslmode`, TLS, time limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection::{Connection, PeerKind};
use super::driver::DriverTask;
use super::floors::longest_write;
use postgres_connect::{is_pooled, read_url, with_causes};
use store::StoreError;

/// Finds out what stands at the other end of a fresh connection.
async fn find_peer(client: &Client) -> Result<PeerKind, tokio_postgres::Error> {
    Ok(if is_pooled(client).await? { PeerKind::Pooler } else { PeerKind::Server })
}

/// Opens connections to one database.
#[derive(Clone)]
pub(super) struct Connector(Arc<Inner>);

struct Inner {
    server: tokio_postgres::Config,
    tls: MakeRustlsConnect,
    settings: Vec<(&'static str, String)>,
    timeout: Duration,
    longest_write: Duration,
    /// Whether a pooler was told of.
    told: AtomicBool,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("hosts", &self.0.server.get_hosts()).finish_non_exhaustive()
    }
}

impl Connector {
    /// Reads the configuration. Connects to nothing.
    pub(super) fn new(database: &configuration::Database) -> Result<Self, StoreError> {
        let (mut server, tls) = read_url(database.url.expose(), database.ca_file.as_deref())
            .map_err(|why| StoreError::Unexpected(format!("database.url: {why}")))?;
        server.connect_timeout(database.acquire_timeout).keepalives_idle(Duration::from_secs(5));
        server.keepalives_interval(Duration::from_secs(2)).keepalives_retries(3);
        server.tcp_user_timeout(database.statement_timeout + Duration::from_secs(5));
        if server.get_application_name().is_none() {
            server.application_name("waitless");
        }
        let settings = settings(database.statement_timeout);
        Ok(Self(Arc::new(Inner {
            server,
            tls,
            settings,
            timeout: database.acquire_timeout,
            longest_write: longest_write(database.statement_timeout),
            told: AtomicBool::new(false),
        })))
    }

    /// How long a connection may take to open.
    pub(super) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// How long after it began a transaction may commit.
    pub(super) fn longest_write(&self) -> Duration {
        self.0.longest_write
    }

    /// Opens one connection, driven by the runtime it is called in.
    pub(super) async fn connect(&self) -> Result<Connection, StoreError> {
        self.try_connect().await.map_err(|failure| StoreError::Unavailable(failure.why))
    }

    /// The same, and tells whether trying again would help.
    pub(super) async fn try_connect(&self) -> Result<Connection, ConnectFailure> {
        let late = |_| Err(ConnectFailure::late(self.0.timeout));
        tokio::time::timeout(self.0.timeout, self.connect_unbounded()).await.unwrap_or_else(late)
    }

    /// The same without a time limit of its own, for the pool, which has one.
    pub(super) async fn connect_unbounded(&self) -> Result<Connection, ConnectFailure> {
        let (client, connection) = self.0.server.connect(self.0.tls.clone()).await?;
        let driver = DriverTask::start(connection);
        let peer = find_peer(&client).await?;
        match peer {
            PeerKind::Server => client.batch_execute(&self.statements("set")).await?,
            PeerKind::Pooler => self.tell_of_pooler(),
        }
        Ok(Connection::new(client, driver, peer, &self.statements("set local")))
    }

    /// Opens a connection with the server's own settings, for whoever only looks.
    pub(super) async fn connect_to_look(&self) -> Result<(Client, DriverTask, PeerKind), ConnectFailure> {
        let connecting = async {
            let (client, connection) = self.0.server.connect(self.0.tls.clone()).await?;
            let driver = DriverTask::start(connection);
            let peer = find_peer(&client).await?;
            Ok((client, driver, peer))
        };
        let late = |_| Err(ConnectFailure::late(self.0.timeout));
        tokio::time::timeout(self.0.timeout, connecting).await.unwrap_or_else(late)
    }

    fn statements(&self, set: &str) -> String {
        self.0.settings.iter().map(|(name, value)| format!("{set} {name} = {value}; ")).collect()
    }

    fn tell_of_pooler(&self) {
        if !self.0.told.swap(true, Ordering::Relaxed) {
            tracing::info!(
                "database.url leads to a pooler: every statement is a transaction of its own settings, and workers live by their \
                 heartbeat alone"
            );
        }
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) struct ConnectFailure {
    pub(super) why: String,
    /// Only a change of the configuration, or at the server, helps: it knows no such role or database, or not this password, or its
    /// certificate is not to be trusted.
    pub(super) lasting: bool,
    /// The server's own word for it, where it was the server that said no.
    pub(super) code: Option<SqlState>,
}

impl ConnectFailure {
    fn late(after: Duration) -> Self {
        Self { why: format!("no connection within {after:?}"), lasting: false, code: None }
    }
}

impl From<tokio_postgres::Error> for ConnectFailure {
    fn from(error: tokio_postgres::Error) -> Self {
        let why = with_causes(&error);
        let lasting = match error.code() {
            Some(code) => code.code().starts_with("28") || *code == SqlState::INVALID_CATALOG_NAME,
            None => why.contains("invalid peer certificate"),
        };
        let code = error.code().cloned();
        Self { why, lasting, code }
    }
}

/// Time limits at the server, and a planner that cannot be led astray.
///
/// Every statement of ours has an index to go by, and its plan is made once. A plan made in the first minutes of an empty table,
/// or before its statistics, would go on reading all of it when it has grown: hence no scans but by an index. For the same
/// reason the statements join a batch to a table by `id = any(array[…])`, which an index serves and a hash join cannot.
fn settings(statement_timeout: Duration) -> Vec<(&'static str, String)> {
    let statement = statement_timeout.as_millis().max(1);
    // Locks are held for one statement's time. Who waits for one longer than half of that had better give the connection back.
    let lock = (statement / 2).max(1);
    let times = [
        ("statement_timeout", statement),
        ("lock_timeout", lock),
        ("idle_in_transaction_session_timeout", statement),
        ("tcp_keepalives_idle", 5),
        ("tcp_keepalives_interval", 2),
        ("tcp_keepalives_count", 3),
    ];
    let words = [
        ("timezone", "'UTC'"),
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_bitmapscan", "off"),
        ("enable_mergejoin", "off"),
        ("jit", "off"),
    ];
    let times = times.map(|(name, value)| (name, value.to_string()));
    times.into_iter().chain(words.map(|(name, value)| (name, value.to_owned()))).collect()
}
