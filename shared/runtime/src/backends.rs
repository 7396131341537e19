//! Every backend a process works with, opened from the configuration.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::await_storage::say_when_storage_answers;
use crate::outbox::{Outbox, OutboxReceiver, Relay};
use crate::sweep::Sweeper;
use broker::{self, Broker};
use configuration::Config;
use storage::Storage;
use store::{GroupCommit, Store, TurnRules};

use crate::{open_store, open_store_when_reachable};

/// A process that ends gives its broker connections this long to close.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// How long a process that starts waits for its database before it goes on without.
const OPEN_WITHIN: Duration = Duration::from_secs(1);

/// Brings a database to life that was away at the start. Ends well once it is there, and with an error where waiting does not help.
pub type Opening = BoxFuture<'static, anyhow::Result<()>>;

/// Store, broker and storage: handles, cheap to clone.
#[derive(Debug, Clone)]
pub struct Backends {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The truth for calls that come one by one and are gathered into batches.
    pub group_commit: GroupCommit,
    /// Doorbells.
    pub broker: Arc<dyn Broker>,
    /// Files.
    pub storage: Arc<Storage>,
}

impl Backends {
    /// Opens what the configuration names. A broker that cannot be reached yet is no error, a database is.
    ///
    /// # Errors
    /// Says which backend cannot be opened and why.
    pub async fn open(config: &Config) -> anyhow::Result<(Self, BackgroundTasks)> {
        log_warnings(config);
        let (outbox, receiver) = Outbox::new();
        let storage = Arc::new(Storage::open(&config.storage).context("open the storage named by storage.url")?);
        let broker = broker::open(&config.broker).await?;
        let store = open_store(&config.database, outbox).await.context("open the database named by database.url")?;
        tracing::info!(database = store.kind(), broker = broker.kind(), storage = storage.kind(), "backends are open");
        Ok(Self::new(store, broker, storage, receiver, config))
    }

    /// Opens the same without waiting for servers that are away: what needs them answers that it is unavailable, and recovers by
    /// itself. What the third of the three is for: await it beside the service.
    ///
    /// # Errors
    /// As [`Backends::open`], except that a database that is away is no error.
    pub async fn open_when_reachable(config: &Config) -> anyhow::Result<(Self, BackgroundTasks, Opening)> {
        log_warnings(config);
        let (outbox, receiver) = Outbox::new();
        let storage = Arc::new(Storage::open(&config.storage).context("open the storage named by storage.url")?);
        let (store, opening) = open_store_when_reachable(&config.database, outbox)
            .await
            .context("open the database named by database.url")?;
        let mut opening: Opening =
            async move { opening.await.context("open the database named by database.url") }.boxed();
        let (broker, opened) =
            tokio::join!(broker::open(&config.broker), tokio::time::timeout(OPEN_WITHIN, &mut opening));
        let broker = broker?;
        let kinds = (store.kind(), broker.kind(), storage.kind());
        let (backends, background) = Self::new(store, broker, storage, receiver, config);
        match opened {
            Ok(opened) => {
                opened?;
                tracing::info!(database = kinds.0, broker = kinds.1, storage = kinds.2, "backends are open");
                Ok((backends, background, std::future::ready(Ok(())).boxed()))
            }
            Err(_) => {
                tracing::warn!("starting without the database: nothing is accepted until it answers");
                Ok((backends, background, opening))
            }
        }
    }

    /// Puts together backends that were opened apart, and the tasks between them. `receiver` is the other end of the outbox
    /// that `store` writes to.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        broker: Arc<dyn Broker>,
        storage: Arc<Storage>,
        receiver: OutboxReceiver,
        config: &Config,
    ) -> (Self, BackgroundTasks) {
        let weights = config.tenants.iter().map(|(name, tenant)| (name.clone(), f64::from(tenant.weight))).collect();
        let group_commit = GroupCommit::new(Arc::clone(&store), TurnRules { weights });
        let backends = Self { store, group_commit, broker, storage };
        let relay = Relay::new(receiver, Arc::clone(&backends.store), Arc::clone(&backends.broker));
        let sweeper = Sweeper::new(backends.clone(), config);
        let (broker, storage) = (Arc::clone(&backends.broker), Arc::clone(&backends.storage));
        (backends, BackgroundTasks { relay, sweeper, broker, storage })
    }
}

/// Says what is allowed and may not be meant.
fn log_warnings(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!(setting = warning.key, "{} {}", warning.key, warning.message);
    }
}

/// What carries things between backends: the relay and the sweeper. Every process runs them beside its service.
#[derive(Debug)]
pub struct BackgroundTasks {
    relay: Relay,
    sweeper: Sweeper,
    broker: Arc<dyn Broker>,
    storage: Arc<Storage>,
}

impl BackgroundTasks {
    /// Runs until stopped, passes on what was committed until then, and closes the broker. Stop the service first.
    pub async fn run_until_stopped(self, stop: CancellationToken) {
        let sweeping = tokio::spawn(self.sweeper.run_until_stopped(stop.clone()));
        let waiting = tokio::spawn(say_when_storage_answers(self.storage, stop.clone()));
        self.relay.run_until_stopped(stop).await;
        let _ended = tokio::join!(sweeping, waiting);
        self.broker.close(CLOSE_GRACE).await;
    }
}
