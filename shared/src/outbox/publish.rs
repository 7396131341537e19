//! Publishes one batch of rows and sorts out what became of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;
use uuid::Uuid;

use crate::broker::{Broker, PublishError};
use crate::message::OutboxMessage;
use crate::store::Store;

/// What became of a batch of leftovers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) confirmed: usize,
    pub(super) unavailable: usize,
}

/// Publishes for the relay and for its pass over leftovers.
#[derive(Debug, Clone)]
pub(super) struct Publisher {
    store: Arc<dyn Store>,
    broker: Arc<dyn Broker>,
    confirmed: mpsc::UnboundedSender<Vec<Uuid>>,
    up: Arc<AtomicBool>,
}

impl Publisher {
    pub(super) fn new(
        store: Arc<dyn Store>,
        broker: Arc<dyn Broker>,
        confirmed: mpsc::UnboundedSender<Vec<Uuid>>,
    ) -> Self {
        Self { store, broker, confirmed, up: Arc::new(AtomicBool::new(true)) }
    }

    /// Tells whether the last batch reached the broker.
    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Notes that the broker answers: rows go to it from memory again, also when none was left over to try it with.
    pub(super) fn broker_answers(&self) {
        if !self.up.swap(true, Ordering::Relaxed) {
            tracing::info!("the broker answers again");
        }
    }

    /// Publishes rows straight from the commit. Those that did not pass are released: the next pass, within a second, tries again.
    pub(super) async fn publish_fresh(&self, batch: Vec<OutboxMessage>) {
        let (_, mut refused, unavailable) = self.publish(batch).await;
        refused.extend(unavailable);
        self.release(refused).await;
    }

    /// Publishes rows that were left over. Refused ones keep their lease, so that rows behind them get their turn before they
    /// are tried again; the others are released.
    pub(super) async fn publish_leftovers(&self, batch: Vec<OutboxMessage>) -> Outcome {
        let (confirmed, _, unavailable) = self.publish(batch).await;
        let outcome = Outcome { confirmed, unavailable: unavailable.len() };
        self.release(unavailable).await;
        outcome
    }

    async fn publish(&self, batch: Vec<OutboxMessage>) -> (usize, Vec<Uuid>, Vec<Uuid>) {
        if batch.is_empty() {
            return (0, Vec::new(), Vec::new());
        }
        let started = Instant::now();
        let outcomes = self.broker.publish(&batch).await;
        metrics::histogram!("waitless_publish_seconds").record(started.elapsed().as_secs_f64());
        let (mut confirmed, mut refused, mut unavailable) = (Vec::with_capacity(batch.len()), Vec::new(), Vec::new());
        let mut reason = None;
        for (message, outcome) in batch.iter().zip(outcomes) {
            match outcome {
                Ok(()) => confirmed.push(message.id),
                Err(error @ PublishError::Refused(_)) => {
                    refused.push(message.id);
                    reason = Some(error);
                }
                Err(error @ PublishError::Unavailable(_)) => {
                    unavailable.push(message.id);
                    reason = Some(error);
                }
            }
        }
        metrics::counter!("waitless_outbox_published_total").increment(confirmed.len() as u64);
        metrics::counter!("waitless_outbox_failed_total", "reason" => "refused").increment(refused.len() as u64);
        metrics::counter!("waitless_outbox_failed_total", "reason" => "unavailable")
            .increment(unavailable.len() as u64);
        self.note(confirmed.len() + refused.len(), unavailable.len(), reason);
        let count = confirmed.len();
        if count > 0 {
            // The other end lives until the last publisher is dropped.
            let _ended = self.confirmed.send(confirmed);
        }
        (count, refused, unavailable)
    }

    /// Says once that the broker has gone, and once that it is back.
    fn note(&self, answered: usize, unavailable: usize, reason: Option<PublishError>) {
        if unavailable > 0 {
            if self.up.swap(false, Ordering::Relaxed) {
                let reason = reason.as_ref().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(
                    reason,
                    "messages cannot be published; they wait in the outbox until the broker is back"
                );
            }
        } else if answered > 0 {
            self.broker_answers();
        }
        if let Some(PublishError::Refused(reason)) = reason {
            tracing::warn!(reason, "the broker refused messages; they are tried again");
        }
    }

    async fn release(&self, rows: Vec<Uuid>) {
        if rows.is_empty() {
            return;
        }
        if let Err(error) = self.store.release_outbox(rows).await {
            tracing::debug!(%error, "rows could not be released; their lease ends by itself");
        }
    }
}
