//! The hub: one subscription to the broker's broadcasts a gateway, while anybody watches, handed on to whoever does.
//!
//! Broadcasts are doorbells. A watcher that cannot keep up misses some, is told so, and reads the store: its memory is bounded
//! by its mailbox, and what it missed is in the database.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use broker::{BroadcastReceiver, Broker};
use model::event::Broadcast;
use model::job::{Caller, Job};
use model::problem::ProblemKind;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::followers::Followers;
use super::seats::{Place, Seats, Subject};
use super::word::Word;
use crate::problem::Fault;

/// A gateway where nobody watches takes no broadcasts. Whoever watches now and then should not have it begin anew each time.
const LEAVE_AFTER: Duration = Duration::from_secs(60);

/// A watcher looks at the store this often although nothing rang, in case a broadcast was lost.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// With many watchers each looks less often, so that all together ask the store at most 200 times a second.
const LOOK_SHARE: Duration = Duration::from_millis(5);

/// Who watches what.
#[derive(Debug)]
pub struct Hub {
    max: usize,
    max_per_principal: usize,
    seats: Mutex<Seats>,
    /// How many watch.
    watched: watch::Sender<usize>,
    followers: Mutex<Followers>,
    /// Grows when broadcasts were lost before they reached the hub: everybody should look at the store.
    lost: watch::Sender<u64>,
}

/// A place at the hub, given back when dropped.
#[derive(Debug)]
pub struct Watcher {
    hub: Arc<Hub>,
    number: u64,
    subject: Subject,
    caller: Caller,
    /// Where words arrive.
    pub mailbox: mpsc::Receiver<Word>,
    /// Set when one did not fit.
    pub missed: Arc<AtomicBool>,
    /// Changes when some were lost for everybody.
    pub lost: watch::Receiver<u64>,
}

impl Hub {
    /// Has no watchers yet.
    #[must_use]
    pub fn new(max: usize, max_per_principal: usize) -> Self {
        let (watched, lost) = (watch::Sender::new(0), watch::Sender::new(0));
        Self { max, max_per_principal, seats: Mutex::default(), watched, followers: Mutex::default(), lost }
    }

    /// Gives a watcher a place. What is broadcast from now on reaches it, so that reading the store afterwards leaves no gap.
    ///
    /// # Errors
    /// `too-many-requests` when the principal or the gateway has as many as it may.
    pub fn watch(self: &Arc<Self>, caller: &Caller, subject: Subject) -> Result<Watcher, Fault> {
        let mut seats = self.seats();
        let own = seats.taken_by(caller);
        if own >= self.max_per_principal || seats.taken() >= self.max {
            let whose = if own >= self.max_per_principal { "You have" } else { "This gateway has" };
            let detail =
                format!("{whose} as many open event streams as allowed. Close some, or ask for the job instead.");
            return Err(Fault::new(ProblemKind::TooManyRequests, detail));
        }
        let Place { number, mailbox, missed } = seats.take(caller, &subject);
        self.show(seats.taken());
        drop(seats);
        let (hub, caller, lost) = (Arc::clone(self), caller.clone(), self.lost.subscribe());
        Ok(Watcher { hub, number, subject, caller, mailbox, missed, lost })
    }

    /// Hands broadcasts on until stopped, while there is somebody who watches.
    pub async fn run_until_stopped(self: Arc<Self>, broker: Arc<dyn Broker>, stop: CancellationToken) {
        let mut watched = self.watched.subscribe();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Ok(_) = watched.wait_for(|watchers| *watchers > 0) => {}
            }
            let broadcasts = broker.subscribe();
            // What was broadcast since the first of them came.
            self.lose();
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.hand_on(broadcasts) => {}
            }
            // Who follows whom is not heard any more either.
            *self.followers() = Followers::default();
        }
    }

    /// Hands broadcasts on until nobody has watched for a while.
    async fn hand_on(&self, mut broadcasts: BroadcastReceiver) {
        let mut clock = tokio::time::interval(LEAVE_AFTER);
        clock.reset();
        loop {
            let heard = tokio::select! {
                heard = broadcasts.recv() => heard,
                _ = clock.tick() => {
                    if *self.watched.borrow() == 0 {
                        return;
                    }
                    continue;
                }
            };
            match heard {
                Ok(broadcast) => self.ring(&broadcast),
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "broadcasts were missed before they could be handed on");
                    self.lose();
                }
                // The broker is closed, because this process is about to end.
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    }

    fn lose(&self) {
        self.lost.send_modify(|times| *times += 1);
    }

    #[expect(clippy::cast_precision_loss, reason = "a number of connections")]
    fn show(&self, total: usize) {
        metrics::gauge!("waitless_watchers").set(total as f64);
        self.watched.send_replace(total);
    }

    /// Returns how long a watcher may wait before it looks at the store although nothing rang.
    #[must_use]
    pub fn look_every(&self) -> Duration {
        let share = LOOK_SHARE.saturating_mul(u32::try_from(self.seats().taken()).unwrap_or(u32::MAX));
        // Jitter, so that watchers that came together do not ask together.
        LOOK_EVERY.max(share).mul_f64(0.8 + 0.4 * rand::random::<f64>())
    }

    /// Returns how long a watcher may take to make up for a loss that hit everybody.
    #[must_use]
    pub fn make_up_within(&self) -> Duration {
        let share = LOOK_SHARE.saturating_mul(u32::try_from(self.seats().taken()).unwrap_or(u32::MAX));
        share.mul_f64(rand::random::<f64>())
    }

    /// Remembers a job that was read and shares the run of another one.
    pub fn note(&self, job: &Job) {
        if job.sharing.follows().is_some() {
            self.followers().note(job);
        }
    }

    /// Tells whether anybody watches anything.
    pub fn has_watchers(&self) -> bool {
        self.seats().taken() > 0
    }

    /// Tells whether anybody watches this job of this caller's.
    pub fn is_watched(&self, job_id: Uuid, caller: &Caller) -> bool {
        self.seats().watch(job_id, caller)
    }

    /// Tells watchers of a job. Whoever has no room for it hears of the next change.
    pub fn tell(&self, job_id: Uuid, caller: &Caller, word: &Word) {
        self.seats().tell(job_id, caller, word);
    }

    fn ring(&self, broadcast: &Arc<Broadcast>) {
        let mut followers = self.followers();
        followers.hear(broadcast);
        let seats = self.seats();
        let Broadcast::Progress { job_id, attempt, progress, .. } = broadcast.as_ref() else {
            seats.ring(broadcast);
            return;
        };
        if !followers.is_withdrawn(*job_id) {
            seats.ring(broadcast);
        }
        for (follower, caller) in followers.of(*job_id).filter(|(id, caller)| seats.watch(**id, caller)) {
            let (job_id, caller) = (*follower, caller.clone());
            seats.ring(&Arc::new(Broadcast::Progress { job_id, caller, attempt: *attempt, progress: *progress }));
        }
    }

    fn followers(&self) -> MutexGuard<'_, Followers> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    /// Returns the hub it sits at.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut seats = self.hub.seats();
        seats.leave(self.number, &self.subject, &self.caller);
        self.hub.show(seats.taken());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use model::event::{Event, EventKind};
    use model::job::JobState;
    use model::progress::Progress;

    use super::*;

    fn ana() -> Caller {
        Caller { tenant: "acme".into(), principal: "ana".into() }
    }

    fn progress(job_id: Uuid) -> Arc<Broadcast> {
        Arc::new(Broadcast::Progress { job_id, caller: ana(), attempt: 1, progress: Progress::default() })
    }

    #[test]
    fn a_watcher_that_does_not_listen_holds_a_mailbox_and_no_more() {
        let (hub, job) = (Arc::new(Hub::new(10, 10)), Uuid::now_v7());
        let mut watcher = hub.watch(&ana(), Subject::Job(job)).unwrap();
        for _ in 0..1000 {
            hub.ring(&progress(job));
        }
        assert!(watcher.missed.load(Ordering::Acquire));
        let held = std::iter::from_fn(|| watcher.mailbox.try_recv().ok()).count();
        assert_eq!(held, crate::watch::seats::MAILBOX);
    }

    #[test]
    fn watchers_hear_of_their_subject_only() {
        let (hub, job) = (Arc::new(Hub::new(10, 10)), Uuid::now_v7());
        let eve = Caller { tenant: "other".into(), principal: "ana".into() };
        let mut one = hub.watch(&ana(), Subject::Job(job)).unwrap();
        let mut all = hub.watch(&ana(), Subject::Caller(ana())).unwrap();
        let mut other = hub.watch(&ana(), Subject::Job(Uuid::now_v7())).unwrap();
        let mut foreign = hub.watch(&eve, Subject::Caller(eve.clone())).unwrap();
        hub.ring(&progress(job));
        assert!(one.mailbox.try_recv().is_ok());
        assert!(all.mailbox.try_recv().is_ok());
        assert!(other.mailbox.try_recv().is_err());
        assert!(foreign.mailbox.try_recv().is_err());
    }

    #[test]
    fn whoever_follows_a_job_sees_its_progress_as_their_own() {
        let (hub, leader, follower) = (Arc::new(Hub::new(10, 10)), Uuid::now_v7(), Uuid::now_v7());
        let eve = Caller { tenant: "acme".into(), principal: "eve".into() };
        let told = |kind: EventKind, job_id, caller: &Caller, leader| {
            let event = Event {
                job_id,
                seq: 1,
                caller: caller.clone(),
                kind,
                state: JobState::Pending,
                attempt: 0,
                error: None,
                next_attempt_at: None,
                at: chrono::DateTime::UNIX_EPOCH,
                leader,
            };
            Arc::new(Broadcast::Event(event))
        };
        let progress_of = |watcher: &mut Watcher| {
            let heard = std::iter::from_fn(|| watcher.mailbox.try_recv().ok()).filter_map(Word::into_broadcast);
            let progress = heard.filter(|heard| matches!(heard.as_ref(), Broadcast::Progress { .. }));
            progress.map(|heard| (heard.job_id(), heard.caller().clone())).collect::<Vec<_>>()
        };
        let mut ana_s = hub.watch(&ana(), Subject::Caller(ana())).unwrap();
        let mut eve_s = hub.watch(&eve, Subject::Caller(eve.clone())).unwrap();
        hub.ring(&told(EventKind::Submitted, follower, &eve, Some(leader)));
        hub.ring(&progress(leader));
        assert_eq!(progress_of(&mut ana_s), [(leader, ana())]);
        assert_eq!(progress_of(&mut eve_s), [(follower, eve.clone())]);
        hub.ring(&told(EventKind::Cancelled, leader, &ana(), None));
        hub.ring(&progress(leader));
        assert_eq!(progress_of(&mut ana_s), [], "who has left sees nothing of it any more");
        assert_eq!(progress_of(&mut eve_s), [(follower, eve.clone())]);
        hub.ring(&told(EventKind::Done, follower, &eve, Some(leader)));
        hub.ring(&progress(leader));
        assert_eq!(progress_of(&mut eve_s), []);
    }

    #[test]
    fn places_are_limited_and_given_back() {
        let hub = Arc::new(Hub::new(3, 2));
        let eve = Caller { tenant: "acme".into(), principal: "eve".into() };
        let subject = || Subject::Job(Uuid::now_v7());
        let first = hub.watch(&ana(), subject()).unwrap();
        let _second = hub.watch(&ana(), subject()).unwrap();
        assert_eq!(hub.watch(&ana(), subject()).unwrap_err().kind(), ProblemKind::TooManyRequests);
        let _third = hub.watch(&eve, subject()).unwrap();
        assert_eq!(hub.watch(&eve, subject()).unwrap_err().kind(), ProblemKind::TooManyRequests);
        drop(first);
        let _again = hub.watch(&eve, subject()).unwrap();
        assert_eq!(hub.seats().taken(), 3);
    }
}
