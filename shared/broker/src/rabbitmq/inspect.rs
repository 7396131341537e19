//! Looks at queues from outside, on a channel of its own.

use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::sync::Mutex;

use crate::QueueDepth;
use model::message::Queue;

use super::declare::{NOT_FOUND, code};
use super::session::BrokerSession;
use super::supervised::SupervisedConnection;

/// Nobody should wait long for a mere look.
const LONGEST: Duration = Duration::from_secs(2);

/// Asks for the depth of queues.
#[derive(Debug)]
pub(super) struct Inspector {
    supervised: Arc<SupervisedConnection>,
    channel: Mutex<Option<Channel>>,
    timeout: Duration,
}

impl Inspector {
    pub(super) fn new(supervised: Arc<SupervisedConnection>, timeout: Duration) -> Self {
        Self { supervised, channel: Mutex::new(None), timeout: timeout.min(LONGEST) }
    }

    pub(super) async fn depth(&self, queue: Queue) -> Option<QueueDepth> {
        self.look(queue).await.ok()
    }

    /// Makes sure that somebody answers.
    pub(super) async fn ask(&self) -> Result<(), String> {
        self.look(Queue::Dead).await.map(|_| ())
    }

    async fn look(&self, queue: Queue) -> Result<QueueDepth, String> {
        let session = self.supervised.now().ok_or_else(|| self.supervised.fault())?;
        match tokio::time::timeout(self.timeout, self.declare_passively(&session, queue)).await {
            Ok(Ok(depth)) => Ok(depth),
            Ok(Err(error)) => {
                if code(&error) == Some(NOT_FOUND) {
                    self.supervised.redeclare(&session).await;
                }
                Err(format!("queue {} cannot be looked at: {error}", queue.name()))
            }
            Err(_) => Err(format!("RabbitMQ at {} does not answer", self.supervised.address.shown)),
        }
    }

    async fn declare_passively(&self, session: &BrokerSession, queue: Queue) -> Result<QueueDepth, lapin::Error> {
        let mut held = self.channel.lock().await;
        // Taken out while it is used: an error or a time-out in between closes or taints it, and then it is not put back.
        let channel = match held.take().filter(|channel| channel.status().connected()) {
            Some(channel) => channel,
            None => session.connection.create_channel().await?,
        };
        let options = QueueDeclareOptions::durable().passive();
        let queue = channel.queue_declare(queue.name().into(), options, FieldTable::default()).await?;
        let depth = QueueDepth { ready: queue.message_count().into(), consumers: queue.consumer_count().into() };
        *held = Some(channel);
        Ok(depth)
    }
}
