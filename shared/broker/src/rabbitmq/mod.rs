//! RabbitMQ by `lapin`, on supervised connections: one publishes, one listens to events, and each consumer has one, so that a
//! broker that blocks publishers still takes acknowledgements, and a queue that does not answer costs only its own consumer.
//!
//! `lapin`'s own recovery stays off: after a channel error its consumers are silent for ever. Any error drops the connection,
//! and [`mod@supervised`] builds it anew, with everything on it. Queues that do not answer while the broker does are seen to by [`repair`].

mod connect;
mod consume;
mod declare;
mod diagnose;
mod events;
mod greeting;
mod inspect;
mod publish;
mod pump;
mod recreate;
mod repair;
mod session;
mod supervised;

use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use model::event::Broadcast;
use model::finding::Findings;
use model::message::{OutboxMessage, Queue};

use super::{BroadcastReceiver, Broker, Incoming, PublishError, QueueDepth};
use connect::Address;
use events::{EventInterest, Events};
use inspect::Inspector;
use publish::Publisher;
use repair::QueueRepair;
use supervised::SupervisedConnection;

/// A process that starts waits this long for a broker that answers slowly. One that is down is noticed at once.
const START_WAIT: Duration = Duration::from_secs(2);

/// The production broker.
#[derive(Debug)]
pub struct RabbitMq {
    address: Address,
    publishing: Arc<SupervisedConnection>,
    listening: Arc<SupervisedConnection>,
    /// Lines of the consumers there are; a line that has ended is gone.
    consuming: Mutex<Vec<Weak<SupervisedConnection>>>,
    repair: Arc<QueueRepair>,
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
    pub async fn open(config: &configuration::Broker) -> anyhow::Result<Self> {
        let address = Address::parse(config)?;
        let closed = CancellationToken::new();
        let tasks = TaskTracker::new();
        let publishing = SupervisedConnection::start("publish", &address, &tasks, &closed);
        let listening = SupervisedConnection::start("listen", &address, &tasks, &closed);
        let repair = QueueRepair::new(&address, &tasks, &closed);
        let started = futures_util::future::join(publishing.first_try(), listening.first_try());
        let _slow = tokio::time::timeout(START_WAIT, started).await;
        Ok(Self {
            publisher: Publisher::new(Arc::clone(&publishing), Arc::clone(&repair), config),
            events: Events::start(Arc::clone(&publishing), Arc::clone(&listening), &tasks, &closed, config.timeout),
            inspector: Inspector::new(Arc::clone(&listening), config.timeout),
            address,
            publishing,
            listening,
            consuming: Mutex::default(),
            repair,
            tasks,
            closed,
            timeout: config.timeout,
        })
    }
}

impl RabbitMq {
    /// Looks at the broker that `broker.url` names and notes how it stands. Declares nothing that stays.
    pub(super) async fn diagnose(config: &configuration::Broker, findings: &mut Findings) {
        match Address::parse(config) {
            Ok(address) => diagnose::diagnose(&address, findings).await,
            Err(error) => findings.fail(format!("{error:#}"), "correct broker.url or broker.ca_file"),
        }
    }

    fn note_consumer(&self, supervised: &Arc<SupervisedConnection>) {
        let mut lines = self.consuming.lock();
        lines.retain(|supervised| supervised.strong_count() > 0);
        lines.push(Arc::downgrade(supervised));
    }

    fn consumers(&self) -> Vec<Arc<SupervisedConnection>> {
        let lines = self.consuming.lock();
        lines.iter().filter_map(Weak::upgrade).collect()
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
        let wish = consume::ConsumerOptions { queue, prefetch, timeout: self.timeout };
        let closed = self.closed.child_token();
        let purpose = format!("consume {}", queue.routing_key());
        let own = SupervisedConnection::start_plain(purpose, &self.address, &self.tasks, &closed);
        self.note_consumer(&own);
        let _slow = tokio::time::timeout(START_WAIT, own.first_try()).await;
        let footing = consume::ConsumerConnections {
            own,
            declaring: Arc::clone(&self.listening),
            repair: Arc::clone(&self.repair),
        };
        self.tasks.spawn(consume::consume(footing, wish, sender, closed));
        receiver
    }

    fn broadcast(&self, message: Broadcast) {
        self.events.broadcast(message);
    }

    fn subscribe(&self) -> BroadcastReceiver {
        self.events.subscribe(EventInterest::All)
    }

    fn subscribe_cancels(&self) -> BroadcastReceiver {
        self.events.subscribe(EventInterest::Cancels)
    }

    async fn depth(&self, queue: Queue) -> Option<QueueDepth> {
        self.inspector.depth(queue).await
    }

    async fn check(&self) -> Result<(), String> {
        self.publishing.check()?;
        self.listening.check()?;
        for supervised in self.consumers() {
            supervised.check()?;
        }
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
