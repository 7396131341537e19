//! Mends queues that do not answer although the broker does.
//!
//! RabbitMQ keeps the directory of its quorum queues behind a write cache of some seconds. Killed soon after a queue was declared,
//! it starts that queue as a new one that waits to be told to elect a leader, which nobody ever does (seen with 3.10): publishes are
//! not confirmed and consumers not answered, for ever. Or it does not start it at all: then it answers at once, with a refusal of every
//! message and an internal error for every consumer, for ever as well. Messages are doorbells, and whoever is owed one is rung again, so such a
//! queue may be deleted and declared anew. Deciding that it is beyond hope takes time and evidence; see [`QueueRepair::examine`].

use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connect::Address;
use super::recreate::{ProbeOutcome, RecreateOutcome, ask, recreate};

/// An answer of a queue that takes longer is worth a report. A queue in order answers in milliseconds.
pub(super) const LATE: Duration = Duration::from_millis(1_500);
/// A queue is remade at the earliest after it has not answered for this long. Elections and recoveries take less.
const PATIENCE: Duration = Duration::from_secs(6);
/// Patience doubles with each time the same queue was remade, up to this.
const MOST_PATIENCE: Duration = Duration::from_secs(300);
/// Pause between two questions; at random up to twice as long, so that processes do not ask in step.
const PAUSE: Duration = Duration::from_millis(250);

/// A queue that refuses what it is sent is looked at this often: it may only be full.
const REFUSALS_EVERY: Duration = Duration::from_secs(3);

/// Knows which queues do not answer, and does something about it.
#[derive(Debug)]
pub(super) struct QueueRepair {
    address: Address,
    /// Queues that have not answered the last question.
    silent: watch::Sender<BTreeSet<String>>,
    examined: Mutex<HashSet<String>>,
    /// When a queue last was looked at because it refused something.
    refused: Mutex<HashMap<String, Instant>>,
    /// How often each queue was remade by this process since it last answered.
    remade: Mutex<HashMap<String, u32>>,
    tasks: TaskTracker,
    closed: CancellationToken,
}

impl QueueRepair {
    pub(super) fn new(address: &Address, tasks: &TaskTracker, closed: &CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            address: address.clone(),
            silent: watch::Sender::default(),
            examined: Mutex::default(),
            refused: Mutex::default(),
            remade: Mutex::default(),
            tasks: tasks.clone(),
            closed: closed.clone(),
        })
    }

    /// Takes note that a queue answers late, and has it examined unless it is under examination already.
    pub(super) fn report(self: &Arc<Self>, queue: &str) {
        if self.closed.is_cancelled() || !self.examined.lock().insert(queue.to_owned()) {
            return;
        }
        let (repair, queue) = (Arc::clone(self), queue.to_owned());
        self.tasks.spawn(async move {
            tokio::select! {
                () = repair.closed.cancelled() => {}
                () = repair.examine(&queue) => {}
            }
            repair.examined.lock().remove(&queue);
            repair.silent.send_if_modified(|silent| silent.remove(&queue));
        });
    }

    /// Takes note that a queue refused a message or a consumer at once, and has it examined now and then.
    pub(super) fn report_refusal(self: &Arc<Self>, queue: &str) {
        let mut refused = self.refused.lock();
        if refused.get(queue).is_none_or(|looked| looked.elapsed() >= REFUSALS_EVERY) {
            refused.insert(queue.to_owned(), Instant::now());
            drop(refused);
            self.report(queue);
        }
    }

    /// Takes note that a queue does what it is for: if it was remade, then with success.
    pub(super) fn note_answer(&self, queue: &str) {
        let mut remade = self.remade.lock();
        if !remade.is_empty() {
            remade.remove(queue);
        }
    }

    /// Tells whether a queue is known not to answer.
    pub(super) fn is_silent(&self, queue: &str) -> bool {
        self.silent.borrow().contains(queue)
    }

    /// Waits until a queue is known not to answer.
    pub(super) async fn until_silent(&self, queue: &str) {
        let mut silent = self.silent.subscribe();
        // An error is impossible: the sender lives as long as `self`.
        let _known = silent.wait_for(|silent| silent.contains(queue)).await;
    }

    /// Waits until a queue is no longer known not to answer.
    pub(super) async fn until_trusted(&self, queue: &str) {
        let mut silent = self.silent.subscribe();
        let _known = silent.wait_for(|silent| !silent.contains(queue)).await;
    }

    /// Returns when `work` has been late with an answer of `queue`, and the queue turned out not to answer at all.
    pub(super) async fn watch_over(self: &Arc<Self>, queue: &str) {
        tokio::time::sleep(LATE).await;
        self.report(queue);
        self.until_silent(queue).await;
    }

    /// Asks the queue, each time on a connection of its own, until it answers or is remade.
    ///
    /// Remade it is only when it has not answered several questions over [`PATIENCE`], while a queue of the same kind, declared
    /// for the purpose, takes and confirms a message in a moment; so never because the broker is slow. One process at a time does
    /// it, and looks once more before: so nobody deletes what another one has just made.
    async fn examine(&self, queue: &str) {
        let since = Instant::now();
        let mut told = false;
        loop {
            match ask(&self.address, queue).await {
                ProbeOutcome::Given => return,
                ProbeOutcome::Unknown(why) => {
                    tracing::debug!(queue, why, "whether the queue answers cannot be told");
                    return;
                }
                ProbeOutcome::None => self.doubt(queue, "does not answer"),
                ProbeOutcome::Broken(why) => self.doubt(queue, &why),
            }
            if since.elapsed() >= self.patience(queue) {
                match recreate(&self.address, queue).await {
                    Ok(RecreateOutcome::Yes) => {
                        self.note_remade(queue, since.elapsed());
                        return;
                    }
                    // Another process is at it, or the broker is slow with everything.
                    Ok(RecreateOutcome::NotNow(why)) => {
                        tracing::debug!(queue, why, "the silent queue is left alone for now");
                    }
                    Err(why) if !told => {
                        tracing::warn!(queue, "this queue is out of order, and {why}");
                        told = true;
                    }
                    Err(why) => tracing::debug!(queue, why, "the silent queue cannot be remade"),
                }
            }
            tokio::time::sleep(PAUSE.mul_f64(1.0 + rand::random::<f64>())).await;
        }
    }

    /// Keeps everybody from a queue until it is known to be in order.
    fn doubt(&self, queue: &str, why: &str) {
        if self.silent.send_if_modified(|silent| silent.insert(queue.to_owned())) {
            let seconds = self.patience(queue).as_secs();
            tracing::warn!(
                queue,
                why,
                "this queue is out of order while RabbitMQ answers; unless it recovers within {seconds} s, it is deleted and declared anew"
            );
        }
    }

    fn patience(&self, queue: &str) -> Duration {
        let times = self.remade.lock().get(queue).copied().unwrap_or(0);
        PATIENCE.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(MOST_PATIENCE)
    }

    fn note_remade(&self, queue: &str, silent_for: Duration) {
        *self.remade.lock().entry(queue.to_owned()).or_default() += 1;
        metrics::counter!("waitless_broker_queues_remade_total", "queue" => queue.to_owned()).increment(1);
        tracing::warn!(
            queue,
            seconds = silent_for.as_secs(),
            "this queue was out of order while RabbitMQ answered, so it was deleted and declared anew; whoever is owed a message of \
             it is rung again"
        );
    }
}
