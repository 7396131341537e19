//! A delivery's message is taken, and settled in the end.

use std::sync::Arc;
use std::time::Duration;

use broker::{Incoming, Settle};
use model::delivery::Channel;
use model::message::{Message, Queue};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::notify::Notifier;
use crate::waiting_lines::LinePlace;

/// Takes messages of the notifier's channel until `stop`, at most `concurrency` at once, so that one slow server keeps nobody else
/// waiting. Where recipients are kept apart, that many are looked at, and each recipient has places of its own.
pub(crate) async fn consume(notifier: Arc<Notifier>, concurrency: u16, grace: Duration, stop: CancellationToken) {
    let channel = notifier.channel();
    let mut messages = notifier.backends().broker.consume(Queue::Notify(channel), concurrency).await;
    let mut sending = JoinSet::new();
    let mut apart = JoinSet::new();
    loop {
        let full = sending.len() >= usize::from(concurrency.max(1));
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = sending.join_next() => if let Some((place, id)) = report_panic(channel, ended).flatten() {
                let (notifier, stop) = (notifier.clone(), stop.clone());
                apart.spawn(async move { notifier.work_off(place, id, &stop).await });
            },
            Some(ended) = apart.join_next() => { report_panic(channel, ended); }
            taken = messages.recv(), if !full => match taken {
                Some(message) => { sending.spawn(handle(notifier.clone(), message)); }
                None => break,
            },
        }
    }
    // Nothing new comes; what is not settled goes back to the queue.
    drop(messages);
    let finished = async {
        while let Some(ended) = sending.join_next().await {
            report_panic(channel, ended);
        }
        while let Some(ended) = apart.join_next().await {
            report_panic(channel, ended);
        }
    };
    if tokio::time::timeout(grace, finished).await.is_err() {
        tracing::warn!(
            channel = channel.as_str(),
            "stopped while deliveries were being sent; they are tried again when their lease is over"
        );
    }
}

/// Handles one message. It is a doorbell: the delivery's row is the truth, and the sweeper rings again for whatever is due,
/// so every message that can be read is done with after one look.
async fn handle(notifier: Arc<Notifier>, mut incoming: Incoming) -> Option<(LinePlace, Uuid)> {
    match serde_json::from_slice(&incoming.body) {
        Ok(Message::SendDelivery { delivery_id }) => {
            let to_send = notifier.hear(delivery_id).await;
            incoming.settle(Settle::Ack);
            return to_send;
        }
        Ok(other) => {
            tracing::error!(?other, "a message of another kind came to the deliveries' queue");
            incoming.settle(Settle::DeadLetter);
        }
        Err(error) => {
            tracing::error!(%error, "a message cannot be read");
            incoming.settle(Settle::DeadLetter);
        }
    }
    None
}

fn report_panic<T>(channel: Channel, ended: Result<T, tokio::task::JoinError>) -> Option<T> {
    if let Err(error) = &ended {
        // Its message was not settled and comes again; its delivery is free again when the lease is over.
        tracing::error!(%error, "sending a delivery panicked");
        metrics::counter!("waitless_deliveries_total", "channel" => channel.as_str(), "outcome" => "panicked")
            .increment(1);
    }
    ended.ok()
}
