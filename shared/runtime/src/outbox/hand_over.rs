//! From the commit to the relay of this process, without a detour by the database.
//!
//! The rows themselves are written by the store, in the transaction of the state change they belong to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use model::event::Event;
use model::message::OutboxMessage;
use store::AfterCommit;

/// Rows and events that may wait in memory for the relay. What does not fit is left to the database: rows are found when their
/// lease is over, and events are only hints.
const MOST_WAITING: usize = 50_000;

/// What one call of the store committed.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) messages: Vec<OutboxMessage>,
    pub(super) events: Vec<Event>,
}

/// Where the store puts what it committed. Never blocks.
#[derive(Debug)]
pub struct Outbox {
    sender: mpsc::UnboundedSender<Committed>,
    waiting: Arc<AtomicUsize>,
}

/// Where the relay takes it.
#[derive(Debug)]
pub struct OutboxReceiver {
    receiver: mpsc::UnboundedReceiver<Committed>,
    waiting: Arc<AtomicUsize>,
}

impl Outbox {
    /// Makes the two ends. The channel has no bound of its own: rows and events are counted, calls are not.
    #[must_use]
    pub fn new() -> (Arc<Self>, OutboxReceiver) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        (Arc::new(Self { sender, waiting: Arc::clone(&waiting) }), OutboxReceiver { receiver, waiting })
    }
}

impl AfterCommit for Outbox {
    fn committed(&self, outbox: Vec<OutboxMessage>, events: Vec<Event>) {
        let size = outbox.len() + events.len();
        if size == 0 {
            return;
        }
        if self.waiting.fetch_add(size, Ordering::Relaxed) + size > MOST_WAITING {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
            metrics::counter!("waitless_outbox_left_to_lease_total").increment(outbox.len() as u64);
            return;
        }
        if self.sender.send(Committed { messages: outbox, events }).is_err() {
            // The relay has stopped: this process is ending, and the rows belong to whoever comes next.
            self.waiting.fetch_sub(size, Ordering::Relaxed);
        }
    }
}

impl OutboxReceiver {
    /// Waits for something committed and takes all there is, up to `limit` calls. Returns nothing once every writer is gone.
    pub(super) async fn take(&mut self, into: &mut Vec<Committed>, limit: usize) -> usize {
        let taken = self.receiver.recv_many(into, limit).await;
        let size: usize = into.iter().map(|committed| committed.messages.len() + committed.events.len()).sum();
        self.waiting.fetch_sub(size, Ordering::Relaxed);
        taken
    }

    /// Takes what is there without waiting.
    pub(super) fn take_now(&mut self) -> Option<Committed> {
        let committed = self.receiver.try_recv().ok()?;
        self.waiting.fetch_sub(committed.messages.len() + committed.events.len(), Ordering::Relaxed);
        Some(committed)
    }
}
