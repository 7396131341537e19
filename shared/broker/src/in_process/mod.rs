//! The broker inside one process: for `waitless up` and for tests. Nothing of it survives the process; the sweeper rings
//! what the store still holds.

mod consume;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use model::event::Broadcast;
use model::message::{OutboxMessage, Queue};
use model::retry_schedule::RetrySchedule;

use super::topology::closest_delay;
use super::{BroadcastReceiver, Broker, Incoming, PublishError, QueueDepth};
use queue::{MemoryQueue, QueuedMessage};

/// Broadcasts a slow listener may be behind before it misses some.
const LISTENER_BUFFER: usize = 8_192;

/// Queues in memory.
#[derive(Debug)]
pub struct InProcess {
    queues: [(Queue, Arc<MemoryQueue>); Queue::ALL.len()],
    events: broadcast::Sender<Arc<Broadcast>>,
    delays: RetrySchedule,
    delivery_limit: u32,
    closed: CancellationToken,
}

impl InProcess {
    /// Makes empty queues.
    #[must_use]
    pub fn new(config: &configuration::Broker) -> Self {
        Self {
            queues: Queue::ALL.map(|queue| (queue, Arc::new(MemoryQueue::new(queue)))),
            events: broadcast::channel(LISTENER_BUFFER).0,
            delays: config.retry_delays.clone(),
            delivery_limit: config.delivery_limit.max(1),
            closed: CancellationToken::new(),
        }
    }

    fn queue(&self, wanted: Queue) -> Option<Arc<MemoryQueue>> {
        self.queues.iter().find(|(queue, _)| *queue == wanted).map(|(_, held)| Arc::clone(held))
    }

    fn publish_one(&self, message: &OutboxMessage) -> Result<(), PublishError> {
        if self.closed.is_cancelled() {
            return Err(PublishError::Unavailable("it is closed".to_owned()));
        }
        let body = serde_json::to_vec(&message.message)
            .map_err(|error| PublishError::Refused(format!("the message cannot be written as JSON: {error}")))?;
        let held = QueuedMessage {
            message_id: Some(message.id.to_string()),
            body,
            traceparent: message.traceparent.clone(),
            deliveries: 0,
        };
        let queue = self
            .queue(message.route.queue)
            .ok_or_else(|| PublishError::Refused(format!("there is no queue {}", message.route.queue.name())))?;
        let Some(delay) = message.route.delay else { return queue.push(held) };
        let delay = closest_delay(&self.delays, delay);
        let closed = self.closed.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = closed.cancelled() => {}
                () = tokio::time::sleep(delay) => if let Err(error) = queue.push(held) {
                    tracing::warn!(%error, "a delayed message found its queue full; the sweeper rings again");
                },
            }
        });
        Ok(())
    }
}

#[async_trait]
impl Broker for InProcess {
    async fn publish(&self, batch: &[OutboxMessage]) -> Vec<Result<(), PublishError>> {
        batch.iter().map(|message| self.publish_one(message)).collect()
    }

    async fn consume(&self, queue: Queue, prefetch: u16) -> mpsc::Receiver<Incoming> {
        let (sender, receiver) = mpsc::channel(usize::from(prefetch.max(1)));
        let dead = if queue == Queue::Dead { None } else { self.queue(Queue::Dead) };
        if let Some(source) = self.queue(queue) {
            let deliveries = if dead.is_some() { self.delivery_limit } else { u32::MAX };
            let limits = consume::ConsumerLimits { prefetch: usize::from(prefetch.max(1)), deliveries };
            tokio::spawn(consume::deliver(source, dead, limits, sender, self.closed.clone()));
        }
        receiver
    }

    fn broadcast(&self, message: Broadcast) {
        // An error only says that nobody listens.
        let _listeners = self.events.send(Arc::new(message));
    }

    fn subscribe(&self) -> BroadcastReceiver {
        BroadcastReceiver::new(self.events.subscribe())
    }

    async fn depth(&self, queue: Queue) -> Option<QueueDepth> {
        self.queue(queue).map(|queue| queue.depth())
    }

    async fn check(&self) -> Result<(), String> {
        if self.closed.is_cancelled() { Err("the in-process broker is closed".to_owned()) } else { Ok(()) }
    }

    async fn close(&self, _grace: Duration) {
        self.closed.cancel();
    }

    fn kind(&self) -> &'static str {
        "in-process"
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}
