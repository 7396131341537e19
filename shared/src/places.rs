//! Every place a process works with, opened from the configuration.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::broker::{self, Broker};
use crate::config::Config;
use crate::outbox::{Outbox, OutboxReceiver, Relay};
use crate::storage::Storage;
use crate::store::{self, Coalesced, Store};
use crate::sweep::Sweeper;

/// A process that ends gives its broker connections this long to close.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// Where things rest: handles, cheap to clone.
#[derive(Debug, Clone)]
pub struct Places {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The truth for calls that come one by one and are gathered into batches.
    pub jobs: Coalesced,
    /// Doorbells.
    pub broker: Arc<dyn Broker>,
    /// Files.
    pub storage: Arc<Storage>,
}

impl Places {
    /// Opens what the configuration names. A broker that cannot be reached yet is no error, a database is.
    ///
    /// # Errors
    /// Says which place cannot be opened and why.
    pub async fn open(config: &Config) -> anyhow::Result<(Self, Movers)> {
        let (outbox, receiver) = Outbox::new();
        let storage = Arc::new(Storage::open(&config.storage).context("open the storage named by storage.url")?);
        let broker = broker::open(&config.broker).await?;
        let store = store::open(&config.database, outbox).await.context("open the database named by database.url")?;
        tracing::info!(database = store.kind(), broker = broker.kind(), storage = storage.kind(), "places are open");
        Ok(Self::new(store, broker, storage, receiver, config))
    }

    /// Puts together places that were opened apart, and the movers between them. `receiver` is the other end of the outbox
    /// that `store` writes to.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        broker: Arc<dyn Broker>,
        storage: Arc<Storage>,
        receiver: OutboxReceiver,
        config: &Config,
    ) -> (Self, Movers) {
        let jobs = Coalesced::new(Arc::clone(&store));
        let places = Self { store, jobs, broker, storage };
        let relay = Relay::new(receiver, Arc::clone(&places.store), Arc::clone(&places.broker));
        let sweeper = Sweeper::new(places.clone(), config);
        let broker = Arc::clone(&places.broker);
        (places, Movers { relay, sweeper, broker })
    }
}

/// What carries things between places: the relay and the sweeper. Every process runs them beside its service.
#[derive(Debug)]
pub struct Movers {
    relay: Relay,
    sweeper: Sweeper,
    broker: Arc<dyn Broker>,
}

impl Movers {
    /// Runs until stopped, passes on what was committed until then, and closes the broker. Stop the service first.
    pub async fn run_until_stopped(self, stop: CancellationToken) {
        let sweeping = tokio::spawn(self.sweeper.run_until_stopped(stop.clone()));
        self.relay.run_until_stopped(stop).await;
        let _ended = sweeping.await;
        self.broker.close(CLOSE_GRACE).await;
    }
}
