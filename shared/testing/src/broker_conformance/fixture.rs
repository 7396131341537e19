//! What the rules stand on.

use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, Incoming};
use configuration::Secret;
use model::delivery::Channel;
use model::event::Broadcast;
use model::job::{Caller, Lane};
use model::message::{Message, OutboxMessage, Queue, Route};
use model::progress::Progress;
use model::retry_schedule::RetrySchedule;
use tokio::sync::mpsc;
use uuid::Uuid;

/// How long a test waits for what must come.
pub const SOON: Duration = Duration::from_secs(15);

/// One broker, seen by two processes.
#[derive(Debug)]
pub struct BrokerFixture {
    /// This process.
    pub here: Arc<dyn Broker>,
    /// The other one.
    pub there: Arc<dyn Broker>,
}

impl BrokerFixture {
    /// Publishes messages that must all be accepted.
    pub async fn publish(&self, batch: &[OutboxMessage]) {
        for outcome in self.here.publish(batch).await {
            outcome.unwrap();
        }
    }

    /// Publishes `count` messages for the interactive lane and returns them.
    pub async fn publish_jobs(&self, count: usize) -> Vec<OutboxMessage> {
        let batch: Vec<_> = (0..count).map(|_| job_message(Lane::Interactive)).collect();
        self.publish(&batch).await;
        batch
    }

    /// Waits until that many messages are ready in the interactive lane.
    pub async fn until_ready(&self, ready: u64) {
        crate::eventually(SOON, &format!("{ready} ready messages"), async || {
            let depth = self.there.depth(Queue::Work(Lane::Interactive)).await;
            if depth.is_some_and(|depth| depth.ready == ready) { Ok(()) } else { Err(format!("{depth:?}")) }
        })
        .await;
    }

    /// Waits until that many consumers are on the interactive lane.
    pub async fn until_consumers(&self, consumers: u64) {
        crate::eventually(SOON, &format!("{consumers} consumers"), async || {
            let depth = self.there.depth(Queue::Work(Lane::Interactive)).await;
            if depth.is_some_and(|depth| depth.consumers == consumers) { Ok(()) } else { Err(format!("{depth:?}")) }
        })
        .await;
    }
}

/// Settings with short delays; `url` is the implementation's to fill in.
#[must_use]
pub fn settings() -> configuration::Broker {
    configuration::Broker {
        url: Secret::new("in-process:"),
        ca_file: None,
        heartbeat: Duration::from_secs(2),
        timeout: Duration::from_secs(5),
        retry_delays: RetrySchedule::new([300, 2_500].map(Duration::from_millis).to_vec()).unwrap(),
        delivery_limit: 3,
        hand_off_after: Duration::from_secs(60),
    }
}

/// A message that asks a worker of the lane to look at a job.
#[must_use]
pub fn job_message(lane: Lane) -> OutboxMessage {
    let message = Message::RunJob { job_id: Uuid::now_v7() };
    OutboxMessage { id: Uuid::now_v7(), route: Route::now(Queue::Work(lane)), message, traceparent: None }
}

/// A message that asks a notifier to send a delivery.
#[must_use]
pub fn delivery_message() -> OutboxMessage {
    let message = Message::SendDelivery { delivery_id: Uuid::now_v7() };
    OutboxMessage { id: Uuid::now_v7(), route: Route::now(Queue::Notify(Channel::Email)), message, traceparent: None }
}

/// Something to tell every process.
#[must_use]
pub fn broadcast(rows: u64) -> Broadcast {
    let caller = Caller { tenant: "acme".to_owned(), principal: "ana".to_owned() };
    Broadcast::Progress {
        job_id: Uuid::now_v7(),
        caller,
        attempt: 1,
        progress: Progress { rows, ..Progress::default() },
    }
}

/// Waits for the next message.
pub async fn next(receiver: &mut mpsc::Receiver<Incoming>) -> Incoming {
    match tokio::time::timeout(SOON, receiver.recv()).await {
        Ok(Some(incoming)) => incoming,
        Ok(None) => panic!("the consumer was ended"),
        Err(_) => panic!("no message came"),
    }
}
