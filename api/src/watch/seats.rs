//! The seats at the hub: who sits where, and the bell of each.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::event::Broadcast;
use model::job::Caller;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::word::Word;

/// Broadcasts that wait for one watcher; further ones make it read the store instead.
pub(super) const MAILBOX: usize = 16;

/// What somebody watches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// One job.
    Job(Uuid),
    /// All jobs of one caller.
    Caller(Caller),
}

/// Every seat that is taken.
#[derive(Debug, Default)]
pub(super) struct Seats {
    next: u64,
    total: usize,
    by_job: HashMap<Uuid, Vec<Seat>>,
    by_caller: HashMap<Caller, Vec<Seat>>,
    per_principal: HashMap<Caller, usize>,
}

#[derive(Debug)]
struct Seat {
    number: u64,
    bell: mpsc::Sender<Word>,
    missed: Arc<AtomicBool>,
}

/// What whoever takes a seat gets.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) number: u64,
    /// Where words arrive.
    pub(super) mailbox: mpsc::Receiver<Word>,
    /// Set when one did not fit.
    pub(super) missed: Arc<AtomicBool>,
}

impl Seats {
    /// Returns how many are taken.
    pub(super) const fn taken(&self) -> usize {
        self.total
    }

    /// Returns how many a principal has.
    pub(super) fn taken_by(&self, caller: &Caller) -> usize {
        self.per_principal.get(caller).copied().unwrap_or_default()
    }

    /// Seats a watcher.
    pub(super) fn take(&mut self, caller: &Caller, subject: &Subject) -> Place {
        let (bell, mailbox) = mpsc::channel(MAILBOX);
        let missed = Arc::new(AtomicBool::new(false));
        self.next += 1;
        self.total += 1;
        let number = self.next;
        let seat = Seat { number, bell, missed: Arc::clone(&missed) };
        *self.per_principal.entry(caller.clone()).or_default() += 1;
        match subject {
            Subject::Job(id) => self.by_job.entry(*id).or_default().push(seat),
            Subject::Caller(caller) => self.by_caller.entry(caller.clone()).or_default().push(seat),
        }
        Place { number, mailbox, missed }
    }

    /// Takes a seat back.
    pub(super) fn leave(&mut self, number: u64, subject: &Subject, caller: &Caller) {
        match subject {
            Subject::Job(id) => leave(&mut self.by_job, id, number),
            Subject::Caller(caller) => leave(&mut self.by_caller, caller, number),
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
    pub(super) fn watch(&self, job: Uuid, caller: &Caller) -> bool {
        self.by_job.contains_key(&job) || self.by_caller.contains_key(caller)
    }

    fn of(&self, job: Uuid, caller: &Caller) -> impl Iterator<Item = &Seat> {
        self.by_job.get(&job).into_iter().chain(self.by_caller.get(caller)).flatten()
    }

    /// Tells watchers of a job. Whoever has no room for it hears of the next change.
    pub(super) fn tell(&self, job: Uuid, caller: &Caller, word: &Word) {
        self.of(job, caller).for_each(|seat| drop(seat.bell.try_send(word.clone())));
    }

    /// Hands a broadcast to whoever watches its job. Whoever has no room for it is told that something was missed.
    pub(super) fn ring(&self, broadcast: &Arc<Broadcast>) {
        for seat in self.of(broadcast.job_id(), broadcast.caller()) {
            // Closed: it is about to give its place back.
            if let Err(mpsc::error::TrySendError::Full(_)) = seat.bell.try_send(Word::Broadcast(Arc::clone(broadcast)))
            {
                seat.missed.store(true, Ordering::Release);
            }
        }
    }
}

fn leave<K: std::hash::Hash + Eq>(seats: &mut HashMap<K, Vec<Seat>>, subject: &K, number: u64) {
    let Some(row) = seats.get_mut(subject) else { return };
    if let Some(place) = row.iter().position(|seat| seat.number == number) {
        row.swap_remove(place);
    }
    if row.is_empty() {
        seats.remove(subject);
    }
}
