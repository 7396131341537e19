//! The hub: one subscription to the broker's broadcasts a gateway, while anybody watches, handed on to whoever does.
//!
//! Broadcasts are doorbells. A watcher that cannot keep up misses some, is told so, and reads the store: its memory is bounded
//! by its mailbox, and what it missed is in the database.

use std::sync::Arc;
use std::time::Duration;

use broker::{BroadcastReceiver, Broker};
use model::event::Broadcast;
use model::job::{Caller, Job};
use model::problem::ProblemKind;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::followers::Followers;
use super::hub_message::HubMessage;
use super::poll_pace;
use super::registration::Registration;
use super::subscribers::{Subscribers, Topic};
use crate::error::ApiError;

/// A gateway where nobody watches takes no broadcasts. Whoever watches now and then should not have it begin anew each time.
const LEAVE_AFTER: Duration = Duration::from_secs(60);

/// Who watches what.
#[derive(Debug)]
pub struct Hub {
    max: usize,
    max_per_principal: usize,
    subscribers: Mutex<Subscribers>,
    /// How many watch.
    watched: watch::Sender<usize>,
    followers: Mutex<Followers>,
    /// Grows when broadcasts were lost before they reached the hub: everybody should poll the store.
    losses: watch::Sender<u64>,
}

impl Hub {
    /// Has no watchers yet.
    #[must_use]
    pub fn new(max: usize, max_per_principal: usize) -> Self {
        // There from the start, also while nobody watches.
        metrics::gauge!("waitless_watchers").set(0.0);
        let (watched, losses) = (watch::Sender::new(0), watch::Sender::new(0));
        Self { max, max_per_principal, subscribers: Mutex::default(), watched, followers: Mutex::default(), losses }
    }

    /// Registers a watcher. What is broadcast from now on reaches it, so that reading the store afterwards leaves no gap.
    ///
    /// # Errors
    /// `too-many-requests` when the principal or the gateway has as many as it may.
    pub fn register(self: &Arc<Self>, caller: &Caller, topic: Topic) -> Result<Registration, ApiError> {
        let mut subscribers = self.subscribers();
        let own = subscribers.count_of(caller);
        if own >= self.max_per_principal || subscribers.count() >= self.max {
            let whose = if own >= self.max_per_principal { "You have" } else { "This gateway has" };
            let detail =
                format!("{whose} as many open event streams as allowed. Close some, or ask for the job instead.");
            return Err(ApiError::new(ProblemKind::TooManyRequests, detail));
        }
        let mailbox = subscribers.add(caller, &topic);
        self.publish_count(subscribers.count());
        drop(subscribers);
        Ok(Registration::new(Arc::clone(self), topic, caller.clone(), mailbox))
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
            self.signal_loss();
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.relay(broadcasts) => {}
            }
            // Who follows whom is not heard any more either.
            *self.followers() = Followers::default();
        }
    }

    /// Hands broadcasts on until nobody has watched for a while.
    async fn relay(&self, mut broadcasts: BroadcastReceiver) {
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
                    self.signal_loss();
                }
                // The broker is closed, because this process is about to end.
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    }

    fn signal_loss(&self) {
        self.losses.send_modify(|times| *times += 1);
    }

    #[expect(clippy::cast_precision_loss, reason = "a number of connections")]
    fn publish_count(&self, total: usize) {
        metrics::gauge!("waitless_watchers").set(total as f64);
        self.watched.send_replace(total);
    }

    /// Returns how long a watcher may wait before it polls the store although nothing rang.
    #[must_use]
    pub fn poll_interval(&self) -> Duration {
        poll_pace::interval(self.subscribers().count())
    }

    /// Returns how long a watcher waits before it makes up for a loss that hit everybody.
    #[must_use]
    pub fn catch_up_delay(&self) -> Duration {
        poll_pace::catch_up_delay(self.subscribers().count())
    }

    /// Remembers a job that was read and shares the run of another one.
    pub fn note(&self, job: &Job) {
        if job.sharing.follows().is_some() {
            self.followers().note(job);
        }
    }

    /// Tells whether anybody watches anything.
    pub fn has_watchers(&self) -> bool {
        self.subscribers().count() > 0
    }

    /// Tells whether anybody watches this job of this caller's.
    pub fn is_watched(&self, job_id: Uuid, caller: &Caller) -> bool {
        self.subscribers().has_any(job_id, caller)
    }

    /// Sends a message to whoever watches a job. Whoever has no room for it hears of the next change.
    pub fn send(&self, job_id: Uuid, caller: &Caller, message: &HubMessage) {
        self.subscribers().send(job_id, caller, message);
    }

    fn ring(&self, broadcast: &Arc<Broadcast>) {
        let mut followers = self.followers();
        followers.learn(broadcast);
        let subscribers = self.subscribers();
        let Broadcast::Progress { job_id, attempt, progress, .. } = broadcast.as_ref() else {
            subscribers.ring(broadcast);
            return;
        };
        if !followers.is_withdrawn(*job_id) {
            subscribers.ring(broadcast);
        }
        for (follower, caller) in followers.of(*job_id).filter(|(id, caller)| subscribers.has_any(**id, caller)) {
            let (job_id, caller) = (*follower, caller.clone());
            subscribers.ring(&Arc::new(Broadcast::Progress { job_id, caller, attempt: *attempt, progress: *progress }));
        }
    }

    fn followers(&self) -> MutexGuard<'_, Followers> {
        self.followers.lock()
    }

    fn subscribers(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock()
    }

    /// Takes note that a registration has ended.
    pub(super) fn unregister(&self, number: u64, topic: &Topic, caller: &Caller) {
        let mut subscribers = self.subscribers();
        subscribers.remove(number, topic, caller);
        self.publish_count(subscribers.count());
    }

    /// Returns a receiver that changes when broadcasts were lost for everybody.
    pub(super) fn losses(&self) -> watch::Receiver<u64> {
        self.losses.subscribe()
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
        let mut watcher = hub.register(&ana(), Topic::Job(job)).unwrap();
        for _ in 0..1000 {
            hub.ring(&progress(job));
        }
        assert!(watcher.missed.load(Ordering::Acquire));
        let held = std::iter::from_fn(|| watcher.messages.try_recv().ok()).count();
        assert_eq!(held, crate::watch::subscribers::CAPACITY);
    }

    #[test]
    fn watchers_hear_of_their_subject_only() {
        let (hub, job) = (Arc::new(Hub::new(10, 10)), Uuid::now_v7());
        let eve = Caller { tenant: "other".into(), principal: "ana".into() };
        let mut one = hub.register(&ana(), Topic::Job(job)).unwrap();
        let mut all = hub.register(&ana(), Topic::Caller(ana())).unwrap();
        let mut other = hub.register(&ana(), Topic::Job(Uuid::now_v7())).unwrap();
        let mut foreign = hub.register(&eve, Topic::Caller(eve.clone())).unwrap();
        hub.ring(&progress(job));
        assert!(one.messages.try_recv().is_ok());
        assert!(all.messages.try_recv().is_ok());
        assert!(other.messages.try_recv().is_err());
        assert!(foreign.messages.try_recv().is_err());
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
                refused: Vec::new(),
                next_attempt_at: None,
                at: chrono::DateTime::UNIX_EPOCH,
                leader,
            };
            Arc::new(Broadcast::Event(event))
        };
        let progress_of = |watcher: &mut Registration| {
            let heard = std::iter::from_fn(|| watcher.messages.try_recv().ok()).filter_map(|heard| match heard {
                HubMessage::Broadcast(broadcast) => Some(broadcast),
                HubMessage::OutlookChanged { .. } => None,
            });
            let progress = heard.filter(|heard| matches!(heard.as_ref(), Broadcast::Progress { .. }));
            progress.map(|heard| (heard.job_id(), heard.caller().clone())).collect::<Vec<_>>()
        };
        let mut ana_s = hub.register(&ana(), Topic::Caller(ana())).unwrap();
        let mut eve_s = hub.register(&eve, Topic::Caller(eve.clone())).unwrap();
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
        let subject = || Topic::Job(Uuid::now_v7());
        let first = hub.register(&ana(), subject()).unwrap();
        let _second = hub.register(&ana(), subject()).unwrap();
        assert_eq!(hub.register(&ana(), subject()).unwrap_err().kind(), ProblemKind::TooManyRequests);
        let _third = hub.register(&eve, subject()).unwrap();
        assert_eq!(hub.register(&eve, subject()).unwrap_err().kind(), ProblemKind::TooManyRequests);
        drop(first);
        let _again = hub.register(&eve, subject()).unwrap();
        assert_eq!(hub.subscribers().count(), 3);
    }
}
