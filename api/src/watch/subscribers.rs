//! The subscribers of the hub, by topic, and how a message reaches each.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::event::Broadcast;
use model::job::Caller;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::hub_message::HubMessage;

/// Messages that wait for one subscriber; further ones make it read the store instead.
pub(super) const CAPACITY: usize = 16;

/// What somebody watches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// One job.
    Job(Uuid),
    /// All jobs of one caller.
    Caller(Caller),
}

/// Every subscriber there is.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    newest: u64,
    total: usize,
    by_job: HashMap<Uuid, Vec<Subscriber>>,
    by_caller: HashMap<Caller, Vec<Subscriber>>,
    per_principal: HashMap<Caller, usize>,
}

#[derive(Debug)]
struct Subscriber {
    number: u64,
    sender: mpsc::Sender<HubMessage>,
    missed: Arc<AtomicBool>,
}

/// The receiving end of a new subscriber.
#[derive(Debug)]
pub(super) struct Mailbox {
    /// Names the subscriber.
    pub(super) number: u64,
    /// Where messages arrive.
    pub(super) messages: mpsc::Receiver<HubMessage>,
    /// Set when one did not fit.
    pub(super) missed: Arc<AtomicBool>,
}

impl Subscribers {
    /// Returns how many there are.
    pub(super) const fn count(&self) -> usize {
        self.total
    }

    /// Returns how many a principal has.
    pub(super) fn count_of(&self, caller: &Caller) -> usize {
        self.per_principal.get(caller).copied().unwrap_or_default()
    }

    /// Adds one.
    pub(super) fn add(&mut self, caller: &Caller, topic: &Topic) -> Mailbox {
        let (sender, messages) = mpsc::channel(CAPACITY);
        let missed = Arc::new(AtomicBool::new(false));
        self.newest += 1;
        self.total += 1;
        let number = self.newest;
        let subscriber = Subscriber { number, sender, missed: Arc::clone(&missed) };
        *self.per_principal.entry(caller.clone()).or_default() += 1;
        match topic {
            Topic::Job(id) => self.by_job.entry(*id).or_default().push(subscriber),
            Topic::Caller(caller) => self.by_caller.entry(caller.clone()).or_default().push(subscriber),
        }
        Mailbox { number, messages, missed }
    }

    /// Removes one.
    pub(super) fn remove(&mut self, number: u64, topic: &Topic, caller: &Caller) {
        match topic {
            Topic::Job(id) => remove_from(&mut self.by_job, id, number),
            Topic::Caller(caller) => remove_from(&mut self.by_caller, caller, number),
        }
        if let Some(own) = self.per_principal.get_mut(caller) {
            *own -= 1;
            if *own == 0 {
                self.per_principal.remove(caller);
            }
        }
        self.total -= 1;
    }

    /// Tells whether anybody watches the job.
    pub(super) fn has_any(&self, job: Uuid, caller: &Caller) -> bool {
        self.by_job.contains_key(&job) || self.by_caller.contains_key(caller)
    }

    fn of(&self, job: Uuid, caller: &Caller) -> impl Iterator<Item = &Subscriber> {
        self.by_job.get(&job).into_iter().chain(self.by_caller.get(caller)).flatten()
    }

    /// Sends a message to whoever watches a job. Whoever has no room for it hears of the next change.
    pub(super) fn send(&self, job: Uuid, caller: &Caller, message: &HubMessage) {
        self.of(job, caller).for_each(|subscriber| drop(subscriber.sender.try_send(message.clone())));
    }

    /// Hands a broadcast to whoever watches its job. Whoever has no room for it is told that something was missed.
    pub(super) fn ring(&self, broadcast: &Arc<Broadcast>) {
        for subscriber in self.of(broadcast.job_id(), broadcast.caller()) {
            let message = HubMessage::Broadcast(Arc::clone(broadcast));
            // Closed: it is about to be removed.
            if let Err(mpsc::error::TrySendError::Full(_)) = subscriber.sender.try_send(message) {
                subscriber.missed.store(true, Ordering::Release);
            }
        }
    }
}

fn remove_from<K: std::hash::Hash + Eq>(by_topic: &mut HashMap<K, Vec<Subscriber>>, topic: &K, number: u64) {
    let Some(subscribers) = by_topic.get_mut(topic) else { return };
    if let Some(index) = subscribers.iter().position(|subscriber| subscriber.number == number) {
        subscribers.swap_remove(index);
    }
    if subscribers.is_empty() {
        by_topic.remove(topic);
    }
}
