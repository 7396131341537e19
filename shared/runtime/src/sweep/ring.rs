//! Rings again for jobs and deliveries whose doorbell was lost.
//!
//! A pending job looks the same to the store whether its message waits in a long queue or was lost with the broker's disk:
//! it has no outbox row and was rung a while ago ("silent"). So does a retry, or a delivery, that is overdue. Ringing all of them
//! would double a long backlog again and again. So the queue is asked how many messages it holds:
//!
//! * Those silent that the ready messages cannot account for (`silent - ready`) are rung, longest silent first. The depth is
//!   read before they are counted: what is claimed in between makes the difference too small, never too large.
//! * While messages are ready, each place of a worker or notifier may hold one more that is not claimed yet; with none ready,
//!   those that have places have claimed what they hold.
//! * In a queue of more than [`ENOUGH_READY`] messages nobody looks: it has to be drained first.
//! * Ready messages may be for others that are not silent, or have ended, and then hide lost ones. They hide them only until the
//!   queue is drained. In a queue that never is, what has been silent for [`LONG`] is rung slowly once it was passed: when
//!   something that was rung later is at work already, its own message is no longer in the queue.
//! * A broker that cannot be asked is not rung at: nobody would hear it.
//!
//! So there is at most one message on our account for each, however long nobody takes any. Ringing for what was not lost is
//! harmless: the second message finds it claimed or ended.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::Backends;
use model::delivery::Channel;
use model::job::Lane;
use model::message::Queue;
use store::StoreError;

/// Silent this long, what was passed is rung although the queue holds messages enough.
const LONG: Duration = Duration::from_secs(600);
/// How often those are looked for.
const LONG_EVERY: Duration = Duration::from_secs(5);
/// With more messages than this in a queue nothing is rung: those who take them are busy, and what else waits is looked for when they
/// have fewer. So never more than this are counted, however many jobs wait.
const ENOUGH_READY: u64 = 10_000;
/// Counting takes each process at most this part of the time.
const COUNTING: u32 = 200;
/// But this long after the last time it is done whatever it takes.
const COUNTED_WITHIN: Duration = Duration::from_secs(60);
/// Rung in one statement.
const AT_ONCE: u32 = 1_000;

/// Doorbells that may be rung: at most a second's worth at a time.
#[derive(Debug)]
struct RingBudget {
    rate: f64,
    left: f64,
    since: Instant,
}

impl RingBudget {
    fn new(rate: u32) -> Self {
        let rate = f64::from(rate.max(1));
        Self { rate, left: rate, since: Instant::now() }
    }

    fn at_most(&mut self, wanted: u64) -> u32 {
        self.left = (self.left + self.since.elapsed().as_secs_f64() * self.rate).min(self.rate);
        self.since = Instant::now();
        wanted.min(self.left as u64).min(u64::from(AT_ONCE)) as u32
    }

    fn spend(&mut self, rung: u32) {
        self.left -= f64::from(rung);
    }
}

/// What one queue's messages are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Rung {
    /// Jobs of a lane: pending ones, and retries that are due.
    Jobs(Lane),
    /// Deliveries over a channel that are due.
    Deliveries(Channel),
}

impl Rung {
    fn all() -> impl Iterator<Item = Self> {
        Lane::ALL.into_iter().map(Self::Jobs).chain(Channel::ALL.into_iter().map(Self::Deliveries))
    }

    const fn queue(self) -> Queue {
        match self {
            Self::Jobs(lane) => Queue::Work(lane),
            Self::Deliveries(channel) => Queue::Notify(channel),
        }
    }

    /// Returns after how long one that nobody took is missed. Those to endpoints wait in notifiers, each for its endpoint, and no queue
    /// says so: they are rung less often.
    const fn missed_after(self, grace: Duration) -> Duration {
        match self {
            Self::Deliveries(Channel::Webhook) => grace.saturating_mul(12),
            Self::Deliveries(Channel::Email) | Self::Jobs(_) => grace,
        }
    }

    async fn count_silent(self, backends: &Backends, grace: Duration, limit: u32) -> Result<u64, StoreError> {
        match self {
            Self::Jobs(lane) => {
                let retries = backends.store.count_overdue_retries(lane, grace, limit).await?;
                Ok(backends.store.count_silent(lane, grace, limit).await? + retries)
            }
            Self::Deliveries(channel) => backends.store.count_due_deliveries(channel, grace, limit).await,
        }
    }

    async fn ring(self, backends: &Backends, grace: Duration, limit: u32) -> Result<u32, StoreError> {
        match self {
            Self::Jobs(lane) => {
                let rung = backends.store.ring_silent(lane, grace, limit).await?;
                note(rung, "silent job");
                if rung >= limit {
                    return Ok(rung);
                }
                let retries = backends.store.ring_overdue_retries(lane, grace, limit - rung).await?;
                note(retries, "retry");
                Ok(rung + retries)
            }
            Self::Deliveries(channel) => {
                let rung = backends.store.ring_due_deliveries(channel, grace, limit).await?;
                note(rung, "delivery");
                Ok(rung)
            }
        }
    }

    async fn ring_passed(self, backends: &Backends, limit: u32) -> Result<(), StoreError> {
        match self {
            Self::Jobs(lane) => {
                note(backends.store.ring_passed_jobs(lane, LONG, limit).await?, "long silent job");
            }
            Self::Deliveries(channel) => {
                note(backends.store.ring_passed_deliveries(channel, LONG, limit).await?, "long silent delivery");
            }
        }
        Ok(())
    }
}

/// Rings lanes and channels, within its allowance.
#[derive(Debug)]
pub(super) struct Ringer {
    allowance: RingBudget,
    /// What a notifier takes of a channel at once.
    notifier_places: u64,
    started: Instant,
    /// An in-process broker starts empty: everything that waits was rung by a process that is gone.
    caught_up: bool,
    /// When those with messages in their queue may be counted again.
    count_again: HashMap<Rung, Instant>,
    look_long_again: Instant,
}

impl Ringer {
    pub(super) fn new(rate: u32, notifier_concurrency: u16) -> Self {
        let now = Instant::now();
        Self {
            allowance: RingBudget::new(rate),
            notifier_places: u64::from(notifier_concurrency),
            started: now,
            caught_up: false,
            count_again: HashMap::new(),
            look_long_again: now + LONG_EVERY,
        }
    }

    pub(super) async fn ring(&mut self, backends: &Backends, grace: Duration) -> Result<(), StoreError> {
        if !self.caught_up {
            self.ring_everything(backends).await?;
            self.caught_up = true;
        }
        for what in Rung::all() {
            self.ring_lost(backends, what, what.missed_after(grace)).await?;
        }
        let began = Instant::now();
        if began >= self.look_long_again {
            let limit = (self.allowance.rate / 100.0 * LONG_EVERY.as_secs_f64()).ceil() as u32;
            for what in Rung::all() {
                what.ring_passed(backends, limit).await?;
            }
            self.look_long_again = Instant::now() + LONG_EVERY.max(rest(began));
        }
        Ok(())
    }

    async fn ring_lost(&mut self, backends: &Backends, what: Rung, grace: Duration) -> Result<(), StoreError> {
        let Some(depth) = backends.broker.depth(what.queue()).await else { return Ok(()) };
        if depth.ready > ENOUGH_READY {
            return Ok(());
        }
        // Counting costs the database something, and with messages waiting nothing is urgent.
        let began = Instant::now();
        if depth.ready > 0 && self.count_again.get(&what).is_some_and(|again| began < *again) {
            return Ok(());
        }
        let places = match what {
            _ if depth.ready == 0 => 0,
            Rung::Jobs(lane) => in_hand(backends, lane).await?,
            Rung::Deliveries(_) => depth.consumers * self.notifier_places,
        };
        let accounted = depth.ready + places;
        let most = u32::try_from(accounted).unwrap_or(u32::MAX).saturating_add(AT_ONCE);
        let silent = what.count_silent(backends, grace, most).await?;
        self.count_again.insert(what, Instant::now() + grace.max(rest(began)));
        let unheard = silent.saturating_sub(accounted);
        let limit = self.allowance.at_most(unheard);
        if limit > 0 {
            self.allowance.spend(what.ring(backends, grace, limit).await?);
            // There may be more of them than one statement takes.
            self.count_again.remove(&what);
        }
        Ok(())
    }

    /// Rings what was last rung before this process began.
    async fn ring_everything(&self, backends: &Backends) -> Result<(), StoreError> {
        if backends.broker.kind() != "in-process" {
            return Ok(());
        }
        for lane in Lane::ALL {
            // Counted once: what is rung here is younger than what still has to be, and so is what is submitted meanwhile, but a call
            // that waits for its turn in the database would take both for older than this process.
            let mut left = backends.store.count_silent(lane, self.started.elapsed(), u32::MAX).await?;
            while left > 0 {
                let limit = left.min(u64::from(AT_ONCE)) as u32;
                let rung = backends.store.ring_silent(lane, self.started.elapsed(), limit).await?;
                note(rung, "job at start");
                left = if rung == 0 { 0 } else { left.saturating_sub(u64::from(rung)) };
            }
        }
        // A full batch says that there may be more.
        let full = |rung| note(rung, "job or delivery at start") && rung >= AT_ONCE;
        for channel in Channel::ALL {
            let due = || backends.store.ring_due_deliveries(channel, self.started.elapsed(), AT_ONCE);
            while full(due().await?) {}
        }
        for lane in Lane::ALL {
            while full(backends.store.ring_overdue_retries(lane, self.started.elapsed(), AT_ONCE).await?) {}
        }
        Ok(())
    }
}

/// How long to leave a backlog alone after going through it.
fn rest(began: Instant) -> Duration {
    (began.elapsed() * COUNTING).min(COUNTED_WITHIN)
}

/// Messages that workers of the lane may hold.
async fn in_hand(backends: &Backends, lane: Lane) -> Result<u64, StoreError> {
    let workers = backends.store.workers().await?;
    let of_lane = workers.iter().filter(|worker| worker.info.lanes.contains(&lane));
    Ok(of_lane.map(|worker| u64::from(worker.info.concurrency)).sum())
}

/// Counts what was rung; tells whether anything was.
fn note(rung: u32, what: &'static str) -> bool {
    // Also where nothing was: what is first seen at one was, to Prometheus, never raised.
    metrics::counter!("waitless_rung_again_total", "what" => what).increment(u64::from(rung));
    if rung > 0 {
        tracing::info!(rung, what, "rung again");
    }
    rung > 0
}
