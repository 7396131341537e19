//! One queue in memory.

use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::{PublishError, QueueDepth};
use model::message::Queue;

/// A queue that nobody empties must not take the process's memory. A message is about 200 bytes.
const MOST_MESSAGES: usize = 1_000_000;
/// Dead letters are for people to look at: the newest are enough, the store has every failed job.
const MOST_DEAD_LETTERS: usize = 10_000;

/// A message that rests in a queue, or is with a consumer that has not settled it.
#[derive(Debug, Clone)]
pub(super) struct QueuedMessage {
    pub(super) message_id: Option<String>,
    pub(super) body: Vec<u8>,
    pub(super) traceparent: Option<String>,
    /// How often it was handed out so far.
    pub(super) deliveries: u32,
}

/// First in, first out; what comes back goes to the front.
#[derive(Debug)]
pub(super) struct MemoryQueue {
    queue: Queue,
    ready: Mutex<VecDeque<QueuedMessage>>,
    consumers: AtomicU64,
    arrived: Notify,
}

impl MemoryQueue {
    pub(super) fn new(queue: Queue) -> Self {
        Self { queue, ready: Mutex::new(VecDeque::new()), consumers: AtomicU64::new(0), arrived: Notify::new() }
    }

    fn ready(&self) -> MutexGuard<'_, VecDeque<QueuedMessage>> {
        // Nothing can panic while the lock is held, and a queue is whole after each single step.
        self.ready.lock()
    }

    /// Appends a message, or says that the queue is full. Full dead letters lose their oldest.
    pub(super) fn push(&self, message: QueuedMessage) -> Result<(), PublishError> {
        let mut ready = self.ready();
        if self.queue == Queue::Dead && ready.len() >= MOST_DEAD_LETTERS {
            ready.pop_front();
        } else if ready.len() >= MOST_MESSAGES {
            return Err(PublishError::Refused(format!("queue {} is full", self.queue.name())));
        }
        ready.push_back(message);
        drop(ready);
        self.arrived.notify_one();
        Ok(())
    }

    /// Puts a message back that was handed out: before those that were not, as it is older.
    pub(super) fn give_back(&self, message: QueuedMessage) {
        self.ready().push_front(message);
        self.arrived.notify_one();
    }

    /// Takes the oldest message.
    pub(super) fn take(&self) -> Option<QueuedMessage> {
        let mut ready = self.ready();
        let taken = ready.pop_front();
        let more = !ready.is_empty();
        drop(ready);
        if more {
            // A notification wakes one consumer only, and several messages may have arrived behind one.
            self.arrived.notify_one();
        }
        taken
    }

    /// Returns once a message may be there.
    pub(super) async fn wait(&self) {
        self.arrived.notified().await;
    }

    pub(super) fn depth(&self) -> QueueDepth {
        let ready = self.ready().len() as u64;
        QueueDepth { ready, consumers: self.consumers.load(Ordering::Relaxed) }
    }

    pub(super) fn consumer_joins(&self) {
        self.consumers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn consumer_leaves(&self) {
        self.consumers.fetch_sub(1, Ordering::Relaxed);
        // It may have swallowed a notification that another consumer should have had.
        self.arrived.notify_one();
    }
}
