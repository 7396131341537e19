//! RabbitMQ by `lapin`, on two supervised connections: one publishes, one consumes, so that a broker that blocks publishers
//! still takes acknowledgements.
//!
//! `lapin`'s own recovery stays off: after a channel error its consumers are silent for ever. Any error drops the connection,
//! and [`line`] builds it anew, with everything on it.

mod connect;
mod consume;
mod declare;
mod events;
mod inspect;
mod line;
mod publish;
mod pump;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config;
use crate::event::Broadcast;
use crate::message::{OutboxMessage, Queue};

use super::{Broker, Incoming, PublishError, QueueDepth};
use connect::Address;
use events::Events;
use inspect::Inspector;
use line::Line;
use publish::Publisher;

/// A process that starts waits this long for a broker that answers slowly. One that is down is noticed at once.
const START_WAIT: Duration = Duration::from_secs(2);

/// The production broker.
#[derive(Debug)]
pub struct RabbitMq {
    publishing: Arc<Line>,
    consuming: Arc<Line>,
    publisher: Publisher,
    events: Events,
    inspector: Inspector,
    tasks: TaskTracker,
    closed: CancellationToken,
    timeout: Duration,
}

impl RabbitMq {
    /// Starts both connections. A broker that cannot be reached is no error: it is tried for ever.
    ///
    /// # Errors
    /// Says so when `broker.url` cannot be read.
    pub async fn open(config: &config::Broker) -> anyhow::Result<Self> {
        let address = Address::parse(config)?;
        let closed = CancellationToken::new();
        let tasks = TaskTracker::new();
        let publishing = Line::start("publish", &address, &tasks, &closed);
        let consuming = Line::start("consume", &address, &tasks, &closed);
        let started = futures_util::future::join(publishing.first_try(), consuming.first_try());
        let _slow = tokio::time::timeout(START_WAIT, started).await;
        Ok(Self {
            publisher: Publisher::new(Arc::clone(&publishing), config),
            events: Events::start(Arc::clone(&publishing), Arc::clone(&consuming), &tasks, &closed, config.timeout),
            inspector: Inspector::new(Arc::clone(&consuming), config.timeout),
            publishing,
            consuming,
            tasks,
            closed,
            timeout: config.timeout,
        })
    }
}

#[async_trait]
impl Broker for RabbitMq {
    async fn publish(&self, batch: &[OutboxMessage]) -> Vec<Result<(), PublishError>> {
        self.publisher.publish(batch).await
    }

    async fn consume(&self, queue: Queue, prefetch: u16) -> mpsc::Receiver<Incoming> {
        let prefetch = prefetch.max(1);
        let (sender, receiver) = mpsc::channel(usize::from(prefetch));
        let wish = consume::Wish { queue, prefetch, timeout: self.timeout };
        self.tasks.spawn(consume::consume(Arc::clone(&self.consuming), wish, sender, self.closed.clone()));
        receiver
    }

    fn broadcast(&self, message: Broadcast) {
        self.events.broadcast(message);
    }

    fn subscribe(&self) -> broadcast::Receiver<Arc<Broadcast>> {
        self.events.subscribe()
    }

    async fn depth(&self, queue: Queue) -> Option<QueueDepth> {
        self.inspector.depth(queue).await
    }

    async fn check(&self) -> Result<(), String> {
        self.publishing.check()?;
        self.consuming.check()?;
        // A frozen broker keeps its connections until the heartbeat is missed: ask it something.
        self.inspector.ask().await
    }

    async fn close(&self, grace: Duration) {
        self.closed.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!("the connections to RabbitMQ did not close in time; they are dropped");
        }
    }

    fn kind(&self) -> &'static str {
        "rabbitmq"
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}
