//! Publishes one batch of rows and sorts out what became of each.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use broker::{Broker, PublishError};
use model::message::OutboxMessage;
use store::Store;

/// What became of a batch of leftovers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchOutcome {
    pub(super) confirmed: usize,
    pub(super) unavailable: usize,
    /// Of a queue that does not answer.
    pub(super) silent: usize,
}

/// A batch, sorted by what became of its rows.
#[derive(Debug, Default)]
struct SortedRows {
    confirmed: Vec<Uuid>,
    refused: Vec<Uuid>,
    unavailable: Vec<Uuid>,
    silent: Vec<Uuid>,
}

/// Publishes for the relay and for its pass over leftovers.
#[derive(Debug, Clone)]
pub(super) struct OutboxPublisher {
    store: Arc<dyn Store>,
    broker: Arc<dyn Broker>,
    confirmed: mpsc::UnboundedSender<Vec<Uuid>>,
    up: Arc<watch::Sender<bool>>,
}

impl OutboxPublisher {
    pub(super) fn new(
        store: Arc<dyn Store>,
        broker: Arc<dyn Broker>,
        confirmed: mpsc::UnboundedSender<Vec<Uuid>>,
    ) -> Self {
        Self { store, broker, confirmed, up: Arc::new(watch::Sender::new(true)) }
    }

    /// Tells whether the last batch reached the broker.
    pub(super) fn is_up(&self) -> bool {
        *self.up.borrow()
    }

    /// Waits until the broker answers.
    pub(super) async fn until_up(&self) {
        let mut up = self.up.subscribe();
        // An error is impossible: the sender lives as long as `self`.
        let _up = up.wait_for(|up| *up).await;
    }

    /// Notes that the broker answers: rows go to it from memory again, also when none was left over to try it with.
    pub(super) fn broker_answers(&self) {
        if !self.up.send_replace(true) {
            tracing::info!("the broker answers again");
        }
    }

    /// Publishes rows straight from the commit. Those that did not pass are released: the next pass, within a second, tries again.
    /// Rows of a queue that does not answer keep their lease.
    pub(super) async fn publish_fresh(&self, batch: Vec<OutboxMessage>) {
        let mut sorted = self.publish(batch).await;
        sorted.refused.append(&mut sorted.unavailable);
        self.forget(sorted.confirmed);
        self.release(sorted.refused).await;
    }

    /// Publishes rows that were left over. Refused ones, and those of a queue that does not answer, keep their lease, so that rows
    /// behind them get their turn before they are tried again; the others are released.
    pub(super) async fn publish_leftovers(&self, batch: Vec<OutboxMessage>) -> BatchOutcome {
        let sorted = self.publish(batch).await;
        let (confirmed, unavailable) = (sorted.confirmed.len(), sorted.unavailable.len());
        self.forget(sorted.confirmed);
        self.release(sorted.unavailable).await;
        BatchOutcome { confirmed, unavailable, silent: sorted.silent.len() }
    }

    async fn publish(&self, batch: Vec<OutboxMessage>) -> SortedRows {
        let mut sorted = SortedRows::default();
        if batch.is_empty() {
            return sorted;
        }
        let started = Instant::now();
        let outcomes = self.broker.publish(&batch).await;
        metrics::histogram!("waitless_publish_seconds").record(started.elapsed().as_secs_f64());
        let mut reason = None;
        for (message, outcome) in batch.iter().zip(outcomes) {
            match outcome {
                Ok(()) => sorted.confirmed.push(message.id),
                // Whoever noticed says so, once.
                Err(PublishError::Silent(_)) => sorted.silent.push(message.id),
                Err(error @ PublishError::Refused(_)) => {
                    sorted.refused.push(message.id);
                    reason = Some(error);
                }
                Err(error @ PublishError::Unavailable(_)) => {
                    sorted.unavailable.push(message.id);
                    reason = Some(error);
                }
            }
        }
        metrics::counter!("waitless_outbox_published_total").increment(sorted.confirmed.len() as u64);
        for (reason, rows) in
            [("refused", &sorted.refused), ("unavailable", &sorted.unavailable), ("silent", &sorted.silent)]
        {
            metrics::counter!("waitless_outbox_failed_total", "reason" => reason).increment(rows.len() as u64);
        }
        self.note(sorted.confirmed.len() + sorted.refused.len(), sorted.unavailable.len(), reason);
        sorted
    }

    fn forget(&self, confirmed: Vec<Uuid>) {
        if !confirmed.is_empty() {
            // The other end lives until the last publisher is dropped.
            let _ended = self.confirmed.send(confirmed);
        }
    }

    /// Says once that the broker has gone, and once that it is back.
    fn note(&self, answered: usize, unavailable: usize, reason: Option<PublishError>) {
        if unavailable > 0 {
            if self.up.send_replace(false) {
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
