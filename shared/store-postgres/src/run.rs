//! How an operation gets a connection, and what happens when it takes too long or its caller goes away.

use std::time::Duration;

use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::PostgresStore;
use super::connect::{ConnectFailure, Connector};
use super::connection::Connection;
use super::effects::Effects;
use super::errors::Failure;
use store::StoreError;

/// How long a caller waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    acquire: Duration,
    operation: Duration,
}

impl Timeouts {
    pub(super) fn of(database: &configuration::Database) -> Self {
        // The server ends a statement first, and says so; this is for a server that no longer says anything.
        Self { acquire: database.acquire_timeout, operation: database.statement_timeout + Duration::from_secs(1) }
    }
}

/// What an operation answers before it is a `StoreError`.
pub(super) type StatementResult<T> = Result<T, Failure>;

/// Makes the pool. Connects to nothing yet.
pub(super) fn pool(connector: &Connector, size: usize) -> Result<Pool<Connection>, StoreError> {
    let connector = connector.clone();
    let mut config = ManagerConfig::<Connection>::default();
    // A closed connection is known to be closed without asking; a question each time would double the round trips.
    config.recycling_method = RecyclingMethod::Fast;
    config.custom_setup = Box::new(move |_| {
        let connector = connector.clone();
        async move {
            let refused = |failure: ConnectFailure| diesel::result::ConnectionError::BadConnection(failure.why);
            connector.connect_unbounded().await.map_err(refused)
        }
        .boxed()
    });
    Pool::builder(AsyncDieselConnectionManager::new_with_config("", config))
        .max_size(size.max(1))
        .build()
        .map_err(|error| StoreError::Unexpected(format!("the connection pool cannot be made: {error}")))
}

impl PostgresStore {
    /// Runs an operation that only reads, or whose writes nobody is told of.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, StatementResult<T>> + Send + 'static,
        T: Send + 'static,
    {
        self.change(|connection| async move { Ok((work(connection).await?, Effects::default())) }.boxed()).await
    }

    /// Runs an operation to its end, whatever becomes of the caller, and tells of what it committed.
    pub(super) async fn change<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, StatementResult<(T, Effects)>> + Send + 'static,
        T: Send + 'static,
    {
        let store = self.clone();
        let task = self.runtime.spawn(async move {
            let (answer, effects) = store.attempt(work).await?;
            if !effects.is_empty() {
                store.after.committed(effects.outbox, effects.events);
            }
            if !effects.led.is_empty() {
                store.lead(effects.led).await;
            }
            if !effects.freed.is_empty() {
                store.fill_lines(effects.freed).await;
            }
            Ok(answer)
        });
        task.await.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("the operation was given up: {error}"))))
    }

    pub(super) async fn attempt<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, StatementResult<T>> + Send,
    {
        let mut connection = self.acquire().await?;
        match tokio::time::timeout(self.limits.operation, work(&mut connection)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(failure)) => {
                if matches!(failure, Failure::Unavailable(_)) {
                    drop(Object::take(connection));
                }
                Err(failure.into())
            }
            Err(_) => {
                // Nobody knows what the connection is still busy with.
                drop(Object::take(connection));
                Err(StoreError::Unavailable(format!("no answer within {:?}", self.limits.operation)))
            }
        }
    }

    async fn acquire(&self) -> Result<Object<Connection>, StoreError> {
        self.check_open()?;
        match tokio::time::timeout(self.limits.acquire, self.pool.get()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(StoreError::Unavailable(error.to_string())),
            Err(_) => Err(StoreError::Unavailable(format!("no connection was free within {:?}", self.limits.acquire))),
        }
    }
}
