//! The contract of the broker. Two implementations pass one conformance suite (`shared/testing`).
//!
//! Messages are doorbells: losing one costs time, never a job. Still, a publish is reported as accepted only when the broker
//! has confirmed it and has not returned it.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::BroadcastReceiver;
use model::event::Broadcast;
use model::message::{OutboxMessage, Queue};

/// Why one message was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No connection, connection blocked, no confirm in time. May have arrived all the same.
    #[error("the broker is not available: {0}")]
    Unavailable(String),
    /// The broker refused it (queue full) or returned it (no queue bound).
    #[error("the broker refused the message: {0}")]
    Refused(String),
    /// The broker answers, but the named queue does not; it is being seen to. May have arrived all the same.
    #[error("queue {0} does not answer; it is being examined")]
    Silent(String),
}

/// What becomes of a message that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// Done with it.
    Ack,
    /// Nobody will ever be able to handle it: to the dead letters.
    DeadLetter,
}

/// A message taken from a queue. Dropped without being settled, it is delivered again.
#[derive(Debug)]
pub struct Incoming {
    /// `message_id`: the id of the outbox row, where the sender gave one.
    pub message_id: Option<String>,
    /// The body, as it came.
    pub body: Vec<u8>,
    /// The broker delivered it before, perhaps to somebody who died with it.
    pub redelivered: bool,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// How the implementation is told; `None` once settled.
    pub settle: Option<oneshot::Sender<Settle>>,
}

impl Incoming {
    /// Tells the broker. Sending it again to a connection that broke is no error: the message comes again.
    pub fn settle(&mut self, how: Settle) {
        if let Some(sender) = self.settle.take() {
            let _closed = sender.send(how);
        }
    }
}

/// What a queue looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages waiting for a consumer.
    pub ready: u64,
    /// Consumers.
    pub consumers: u64,
}

/// Doorbells between processes.
#[async_trait]
pub trait Broker: Send + Sync + std::fmt::Debug {
    /// Publishes a batch, persistent and mandatory, and waits (bounded) for every confirm. One outcome each, in order.
    async fn publish(&self, batch: &[OutboxMessage]) -> Vec<Result<(), PublishError>>;
    /// Consumes a queue for ever: reconnects by itself, with at most `prefetch` unsettled messages. Dropping the receiver
    /// stops the consumer and gives unsettled messages back.
    async fn consume(&self, queue: Queue, prefetch: u16) -> mpsc::Receiver<Incoming>;
    /// Tells every process of something. Best effort, never blocks, never fails.
    fn broadcast(&self, message: Broadcast);
    /// Listens to broadcasts until dropped, also across reconnects. Where nobody of a process listens, the broker need not
    /// carry anything there.
    fn subscribe(&self) -> BroadcastReceiver;
    /// The same for a listener that needs only events of kind cancelled; others may come as well. Where nobody of a process wants
    /// more, the broker need not carry every event there.
    fn subscribe_cancels(&self) -> BroadcastReceiver {
        self.subscribe()
    }
    /// Looks at a queue. `None` when the broker cannot be asked.
    async fn depth(&self, queue: Queue) -> Option<QueueDepth>;
    /// Says what is wrong with the connection or topology, if anything, in one line.
    async fn check(&self) -> Result<(), String>;
    /// Closes connections, within `grace`.
    async fn close(&self, grace: Duration);
    /// Names the kind for people and metrics: `rabbitmq` or `in-process`.
    fn kind(&self) -> &'static str;
}
