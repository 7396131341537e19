//! Connections: the URL's `sslmode`, TLS, time limits.

use std::sync::Arc;
use std::time::Duration;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use tokio_postgres_rustls::MakeRustlsConnect;

use postgres_connect::{read_url, with_causes};
use store::StoreError;

/// Opens connections to one database.
#[derive(Clone)]
pub(super) struct Connector(Arc<Inner>);

struct Inner {
    server: tokio_postgres::Config,
    tls: MakeRustlsConnect,
    settings: String,
    timeout: Duration,
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
        Ok(Self(Arc::new(Inner { server, tls, settings, timeout: database.acquire_timeout })))
    }

    /// How long a connection may take to open.
    pub(super) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// Opens one connection, driven by the runtime it is called in.
    pub(super) async fn connect(&self) -> Result<AsyncPgConnection, StoreError> {
        match tokio::time::timeout(self.0.timeout, self.connect_unbounded()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(why)) => Err(StoreError::Unavailable(why)),
            Err(_) => Err(StoreError::Unavailable(format!("no connection within {:?}", self.0.timeout))),
        }
    }

    /// The same without a time limit of its own, for the pool, which has one.
    pub(super) async fn connect_unbounded(&self) -> Result<AsyncPgConnection, String> {
        let (client, connection) =
            self.0.server.connect(self.0.tls.clone()).await.map_err(|error| with_causes(&error))?;
        let mut connection = AsyncPgConnection::try_from_client_and_connection(client, connection)
            .await
            .map_err(|error| error.to_string())?;
        connection.batch_execute(&self.0.settings).await.map_err(|error| error.to_string())?;
        Ok(connection)
    }
}

/// Time limits at the server, and a planner that cannot be led astray.
///
/// Every statement of ours has an index to go by, and its plan is made once. A plan made in the first minutes of an empty table,
/// or before its statistics, would go on reading all of it when it has grown: hence no scans but by an index. For the same
/// reason the statements join a batch to a table by `id = any(array[…])`, which an index serves and a hash join cannot.
fn settings(statement_timeout: Duration) -> String {
    let statement = statement_timeout.as_millis().max(1);
    // Locks are held for one statement's time. Who waits for one longer than half of that had better give the connection back.
    let lock = (statement / 2).max(1);
    format!(
        "set statement_timeout = {statement}; set lock_timeout = {lock}; \
         set idle_in_transaction_session_timeout = {statement}; set plan_cache_mode = force_generic_plan; \
         set enable_seqscan = off; set enable_bitmapscan = off; set enable_mergejoin = off; set jit = off; \
         set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 2; set tcp_keepalives_count = 3"
    )
}
