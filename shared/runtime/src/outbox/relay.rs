//! Passes committed rows to the broker: those of this process from memory and at once, those nobody published after their lease.
//!
//! A row is deleted only after the broker confirmed it and did not return it. Whatever goes wrong in between, the row stays and
//! is published again: messages are doorbells, and ringing twice is harmless.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use broker::Broker;
use model::event::Broadcast;
use model::message::OutboxMessage;
use store::{OUTBOX_LEASE, Store};

use super::delete;
use super::hand_over::{Committed, OutboxReceiver};
use super::publish::OutboxPublisher;
use super::recover;

/// Messages published together: large enough that confirms are cheap, small enough that one lost batch strands little.
pub(super) const BATCH: usize = 500;
/// Batches whose confirms are awaited at the same time. While all are under way, what comes in gathers into the next batch.
const IN_FLIGHT: usize = 4;
/// Rows that wait in memory for a free batch; the rest is left to the lease.
const MOST_WAITING: usize = 20_000;
/// Rows this close to the end of their lease are left to it: another relay may be taking them already.
const LEASE_MARGIN: Duration = Duration::from_secs(1);
/// A stopping relay publishes what was handed to it within this time; what it cannot stays in the database.
const DRAIN: Duration = Duration::from_secs(3);

/// The mover between store and broker. Every process runs one.
#[derive(Debug)]
pub struct Relay {
    receiver: OutboxReceiver,
    store: Arc<dyn Store>,
    broker: Arc<dyn Broker>,
}

impl Relay {
    /// Takes what the relay works with.
    #[must_use]
    pub fn new(receiver: OutboxReceiver, store: Arc<dyn Store>, broker: Arc<dyn Broker>) -> Self {
        Self { receiver, store, broker }
    }

    /// Runs until stopped, then publishes and deletes what it had taken, within a few seconds.
    pub async fn run_until_stopped(self, stop: CancellationToken) {
        let (confirmed, confirmations) = tokio::sync::mpsc::unbounded_channel();
        let publisher = OutboxPublisher::new(Arc::clone(&self.store), Arc::clone(&self.broker), confirmed);
        let forgetting = tokio::spawn(delete::delete_confirmed(Arc::clone(&self.store), confirmations));
        let gathering =
            tokio::spawn(recover::pick_up(self.store, self.broker.clone(), publisher.clone(), stop.clone()));
        pass_on(self.receiver, self.broker, publisher, stop).await;
        // Both end by themselves once the relay is stopped and the last publisher is dropped.
        let ending = async {
            let _gathered = gathering.await;
            let _forgotten = forgetting.await;
        };
        if tokio::time::timeout(DRAIN, ending).await.is_err() {
            tracing::warn!("the relay stopped before all published rows were deleted; they are published once more");
        }
    }
}

/// A row in memory, and since when.
struct PendingBatch {
    since: Instant,
    message: OutboxMessage,
}

impl PendingBatch {
    /// Tells whether the row's lease still keeps other relays from it.
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < OUTBOX_LEASE.saturating_sub(LEASE_MARGIN)
    }
}

async fn pass_on(
    mut receiver: OutboxReceiver,
    broker: Arc<dyn Broker>,
    publisher: OutboxPublisher,
    stop: CancellationToken,
) {
    let mut committed = Vec::new();
    let mut waiting = VecDeque::new();
    let mut publishing = FuturesUnordered::new();
    loop {
        while publisher.is_up() && publishing.len() < IN_FLIGHT && !waiting.is_empty() {
            publishing.push(publisher.publish_fresh(next_batch(&mut waiting)));
        }
        tokio::select! {
            taken = receiver.take(&mut committed, BATCH) => {
                if taken == 0 {
                    break;
                }
                for one in committed.drain(..) {
                    accept(one, broker.as_ref(), &mut waiting);
                }
            }
            Some(()) = publishing.next() => {}
            () = publisher.until_up(), if !publisher.is_up() && !waiting.is_empty() => {}
            () = stop.cancelled() => break,
        }
    }
    // Services stop before their relay does, so all they committed is in the channel by now.
    while let Some(one) = receiver.take_now() {
        accept(one, broker.as_ref(), &mut waiting);
    }
    let drain = async {
        while !waiting.is_empty() {
            publishing.push(publisher.publish_fresh(next_batch(&mut waiting)));
        }
        while let Some(()) = publishing.next().await {}
    };
    if tokio::time::timeout(DRAIN, drain).await.is_err() {
        tracing::warn!("the relay stopped before all committed rows were published; another relay takes them");
    }
}

fn accept(committed: Committed, broker: &dyn Broker, waiting: &mut VecDeque<PendingBatch>) {
    for event in committed.events {
        broker.broadcast(Broadcast::Event(event));
    }
    // While the broker is away rows wait here for as long as they are leased: when it is back they go at once.
    while waiting.front().is_some_and(|row| !row.is_fresh()) {
        waiting.pop_front();
    }
    let room = MOST_WAITING.saturating_sub(waiting.len());
    let left = committed.messages.len().saturating_sub(room);
    if left > 0 {
        metrics::counter!("waitless_outbox_left_to_lease_total").increment(left as u64);
    }
    let since = Instant::now();
    waiting.extend(committed.messages.into_iter().take(room).map(|message| PendingBatch { since, message }));
}

fn next_batch(waiting: &mut VecDeque<PendingBatch>) -> Vec<OutboxMessage> {
    let size = waiting.len().min(BATCH);
    waiting.drain(..size).filter(PendingBatch::is_fresh).map(|row| row.message).collect()
}
