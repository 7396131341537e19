//! Hands messages of a queue to one consumer.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{Incoming, Settle};

use super::queue::{MemoryQueue, QueuedMessage};

/// What bounds one consumer.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConsumerLimits {
    /// Unsettled messages at once.
    pub(super) prefetch: usize,
    /// A message handed out this often goes to the dead letters in place of coming back.
    pub(super) deliveries: u32,
}

/// Runs until the consumer has dropped its receiver and settled or dropped everything it had taken.
pub(super) async fn deliver(
    source: Arc<MemoryQueue>,
    dead: Option<Arc<MemoryQueue>>,
    limits: ConsumerLimits,
    consumer: mpsc::Sender<Incoming>,
    closed: CancellationToken,
) {
    source.consumer_joins();
    let mut unsettled = FuturesUnordered::new();
    let mut open = true;
    while open || !unsettled.is_empty() {
        // A consumer that has gone must not take what it gave back: each time would count as a delivery.
        if open
            && !consumer.is_closed()
            && unsettled.len() < limits.prefetch
            && let Some(mut held) = source.take()
        {
            held.deliveries += 1;
            let (incoming, settled) = hand_out(&held);
            // There is room for every unsettled message, so this fails only for a consumer that has gone: then the message
            // comes back as dropped.
            let _gone = consumer.try_send(incoming);
            unsettled.push(async move { (held, settled.await) });
            continue;
        }
        tokio::select! {
            () = closed.cancelled() => break,
            Some((held, outcome)) = unsettled.next() => {
                finish(held, outcome, &source, dead.as_deref(), limits.deliveries);
            },
            () = consumer.closed(), if open => {
                open = false;
                source.consumer_leaves();
            }
            () = source.wait(), if open && unsettled.len() < limits.prefetch => {}
        }
    }
    if open {
        source.consumer_leaves();
    }
}

fn hand_out(held: &QueuedMessage) -> (Incoming, oneshot::Receiver<Settle>) {
    let (settle, settled) = oneshot::channel();
    let incoming = Incoming {
        message_id: held.message_id.clone(),
        body: held.body.clone(),
        redelivered: held.deliveries > 1,
        traceparent: held.traceparent.clone(),
        settle: Some(settle),
    };
    (incoming, settled)
}

fn finish(
    held: QueuedMessage,
    outcome: Result<Settle, oneshot::error::RecvError>,
    source: &MemoryQueue,
    dead: Option<&MemoryQueue>,
    most_deliveries: u32,
) {
    match outcome {
        Ok(Settle::Ack) => {}
        Ok(Settle::DeadLetter) => bury(QueuedMessage { deliveries: 0, ..held }, dead),
        Err(_dropped) if held.deliveries >= most_deliveries => {
            tracing::warn!(
                message_id = held.message_id,
                deliveries = held.deliveries,
                "a message was handed out too often"
            );
            bury(QueuedMessage { deliveries: 0, ..held }, dead);
        }
        Err(_dropped) => source.give_back(held),
    }
}

/// A dead letter that is refused again by whoever reads the dead letters is gone for good: there is no `dead` for it.
fn bury(held: QueuedMessage, dead: Option<&MemoryQueue>) {
    if let Some(Err(error)) = dead.map(|dead| dead.push(held)) {
        tracing::error!(%error, "a dead letter was lost");
    }
}
