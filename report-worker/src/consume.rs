//! A delivery is taken, and settled in the end. The only place that settles one.

use std::sync::Arc;
use std::time::Duration;

use broker::{Incoming, Settle};
use model::job::Lane;
use model::message::{Message, Queue};
use store::TurnRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::task::TaskTracker;

use crate::failpoint::fail_here;
use crate::run_job::{MessageOutcome, run_job};
use crate::worker::Worker;

/// A broker that gives up its consumer is asked for a new one after this time.
const CONSUME_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Places for jobs of one lane.
#[derive(Debug)]
struct Slots {
    free: Arc<Semaphore>,
    size: usize,
    /// How many of the taken ones hold no message any more.
    handed_off: watch::Sender<usize>,
}

/// One taken place.
#[derive(Debug)]
struct Slot {
    slots: Arc<Slots>,
    handed_off: bool,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    fn new(size: usize) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(size)), size, handed_off: watch::Sender::new(0) })
    }

    async fn take(self: &Arc<Self>) -> Option<Slot> {
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        Some(Slot { slots: Arc::clone(self), handed_off: false, _permit: permit })
    }

    /// Waits until every job that runs here is a long one whose message was acknowledged early.
    async fn until_all_handed_off(&self) {
        let mut handed_off = self.handed_off.subscribe();
        if handed_off.wait_for(|count| *count >= self.size).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Slot {
    fn hand_off(&mut self) {
        self.handed_off = true;
        self.slots.handed_off.send_modify(|count| *count += 1);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.handed_off {
            self.slots.handed_off.send_modify(|count| *count -= 1);
        }
    }
}

/// Takes deliveries of one lane until the worker stops. Jobs run in `tasks`.
pub(crate) async fn consume_lane(worker: Arc<Worker>, lane: Lane, tasks: TaskTracker) {
    let slots = Slots::new(usize::from(worker.settings.concurrency.max(1)));
    let mut deliveries: Option<mpsc::Receiver<Incoming>> = None;
    loop {
        let slot = tokio::select! {
            biased;
            () = worker.stopping.cancelled() => return,
            () = worker.exclusivity.until_exclusive(), if deliveries.is_some() => {
                deliveries = None;
                continue;
            }
            slot = slots.take() => slot,
            // The broker would go on giving us as many messages as we have places, and they would wait here for hours while
            // other workers are idle.
            () = slots.until_all_handed_off(), if deliveries.is_some() => {
                deliveries = None;
                continue;
            }
        };
        let Some(slot) = slot else { return };
        tokio::select! {
            biased;
            () = worker.stopping.cancelled() => return,
            () = worker.exclusivity.until_shared() => {}
        }
        let receiver = match &mut deliveries {
            Some(receiver) => receiver,
            None => {
                deliveries.insert(worker.backends.broker.consume(Queue::Work(lane), worker.settings.concurrency).await)
            }
        };
        let incoming = tokio::select! {
            biased;
            () = worker.stopping.cancelled() => return,
            // What waits here for a job that runs alone would wait for as long as that takes.
            () = worker.exclusivity.until_exclusive() => {
                deliveries = None;
                continue;
            }
            incoming = receiver.recv() => incoming,
        };
        match incoming {
            Some(incoming) => {
                tasks.spawn(handle_delivery(Arc::clone(&worker), lane, incoming, slot));
            }
            None => {
                deliveries = None;
                tokio::time::sleep(CONSUME_AGAIN_AFTER).await;
            }
        }
    }
}

/// Handles one delivery from the first look at it to its acknowledgement.
async fn handle_delivery(worker: Arc<Worker>, lane: Lane, mut incoming: Incoming, mut slot: Slot) {
    let Some(hint) = parse_job_id(&incoming) else {
        metrics::counter!("waitless_worker_unreadable_total").increment(1);
        incoming.settle(Settle::DeadLetter);
        return;
    };
    let request = TurnRequest { lane, hint, redelivered: incoming.redelivered, in_doubt: false };
    let traceparent = incoming.traceparent.clone();
    let mut running = Box::pin(run_job(&worker, request, traceparent.as_deref()));
    let handled = tokio::select! {
        biased;
        handled = &mut running => handled,
        () = tokio::time::sleep(worker.hand_off_after) => {
            // The broker would take the message back when its consumer time-out strikes. The heartbeat carries the job now.
            tracing::info!(rung_for = %hint, "a long job is carried by the heartbeat from here");
            incoming.settle(Settle::Ack);
            slot.hand_off();
            running.await
        }
    };
    fail_here!("before_ack");
    match handled {
        MessageOutcome::Handled => incoming.settle(Settle::Ack),
        MessageOutcome::Unreadable => incoming.settle(Settle::DeadLetter),
        // Dropped without a word it is delivered to somebody else.
        MessageOutcome::Abandoned => {}
    }
}

/// Reads which job a message rings for.
fn parse_job_id(incoming: &Incoming) -> Option<uuid::Uuid> {
    let message_id = incoming.message_id.as_deref();
    match serde_json::from_slice(&incoming.body) {
        Ok(Message::RunJob { job_id }) => Some(job_id),
        Ok(_) => {
            tracing::error!(message_id, "a message that rings for no job is on the work queue: dead-lettered");
            None
        }
        Err(error) => {
            tracing::error!(message_id, %error, "a message nobody can read is on the work queue: dead-lettered");
            None
        }
    }
}
