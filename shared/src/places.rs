//! Every place a process works with, opened from the configuration.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::config::Config;
use crate::outbox::{OutboxReceiver, Relay};
use crate::storage::Storage;
use crate::store::{Coalesced, Store};
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
