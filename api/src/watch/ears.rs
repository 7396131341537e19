//! What one watcher waits for: broadcasts, the next ping, the next look at the store, the end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use model::job::Caller;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::hub::Watcher;
use super::seats::Subject;
use super::word::Word;
use crate::gateway::Gateway;
use crate::problem::Fault;

/// Something that happened to a watcher.
#[derive(Debug)]
pub enum Heard {
    /// Something that may be worth telling.
    Said(Word),
    /// Time to look at the store: something may have been missed.
    Look,
    /// Nothing was said for a while: the client must get a sign of life.
    Ping,
    /// The gateway stops; the client comes back elsewhere.
    Stop,
}

/// The ears of one watcher.
#[derive(Debug)]
pub struct Ears {
    watcher: Watcher,
    draining: CancellationToken,
    ping_every: Duration,
    ping_at: Instant,
    look_at: Instant,
}

impl Ears {
    /// Listens from now on.
    ///
    /// # Errors
    /// `too-many-requests`.
    pub fn open(gateway: &Gateway, caller: &Caller, subject: Subject) -> Result<Self, Fault> {
        let watcher = gateway.hub.watch(caller, subject)?;
        let now = Instant::now();
        Ok(Self {
            look_at: now + watcher.hub().look_every(),
            watcher,
            draining: gateway.draining.clone(),
            ping_every: gateway.http.ping_every,
            ping_at: now + gateway.http.ping_every,
        })
    }

    /// Asks for a look at the store after `wait`.
    pub fn look_in(&mut self, wait: Duration) {
        self.look_at = self.look_at.min(Instant::now() + wait);
    }

    /// Puts the next look off by the usual time, because the store was just read.
    pub fn has_looked(&mut self) {
        self.look_at = Instant::now() + self.watcher.hub().look_every();
    }

    /// Waits for the next thing to happen.
    pub async fn hear(&mut self) -> Heard {
        if self.watcher.missed.swap(false, Ordering::AcqRel) {
            return Heard::Look;
        }
        loop {
            tokio::select! {
                biased;
                () = self.draining.cancelled() => return Heard::Stop,
                said = self.watcher.mailbox.recv() => return said.map_or(Heard::Stop, Heard::Said),
                changed = self.watcher.lost.changed() => {
                    if changed.is_err() {
                        return Heard::Stop;
                    }
                    let wait = self.watcher.hub().make_up_within();
                    self.look_in(wait);
                }
                () = sleep_until(self.look_at) => {
                    self.has_looked();
                    return Heard::Look;
                }
                () = sleep_until(self.ping_at) => {
                    self.ping_at = Instant::now() + self.ping_every;
                    return Heard::Ping;
                }
            }
        }
    }

    /// Returns what was said already.
    pub fn hear_now(&mut self) -> Option<Word> {
        self.watcher.mailbox.try_recv().ok()
    }
}
