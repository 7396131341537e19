//! Group commit: concurrent calls of one kind become one batch call of the store.
//!
//! While a flush is under way, callers queue; when it returns, everything that queued goes in the next one. An idle
//! system adds no wait: the first caller is flushed at once. A flush that takes long is not waited for: a second one may
//! be under way. It starts late, because a statement costs the database the same whether it carries one job or ten.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use uuid::Uuid;

use super::{
    ClaimRequest, Claimed, DeliveryEnding, Result, Settled, Settlement, Store, StoreError, Submitted, TurnRequest,
    TurnRules,
};
use model::delivery::Delivery;
use model::job::NewJob;

/// Callers that may wait for a flush; more wait for a place in the queue, which is the back-pressure.
const QUEUE: usize = 4096;
/// Flushes of one kind under way at once.
const FLUSHES: usize = 2;
/// A second flush starts when it is full, or this long after its first request came.
const COMPANY: Duration = Duration::from_millis(2);
/// Submits and settlements in one transaction at most: enough to share the cost of a commit, few enough that a batch
/// stays within milliseconds.
const MOST_WRITES: usize = 256;
/// Claims in one transaction at most: a claim that waits for locks holds up its company.
const MOST_CLAIMS: usize = 128;
/// Deliveries are few, and a mail takes longer than its claim.
const MOST_DELIVERIES: usize = 64;

/// The store for callers that come one by one: their calls are gathered into batches.
#[derive(Clone)]
pub struct GroupCommit {
    submits: Batcher<NewJob, Submitted>,
    claims: Batcher<(Uuid, ClaimRequest), Claimed>,
    turns: Batcher<(Uuid, TurnRequest), Claimed>,
    settlements: Batcher<Settlement, Settled>,
    delivery_claims: Batcher<(Duration, Uuid), Option<Delivery>>,
    delivery_endings: Batcher<(Uuid, i32, DeliveryEnding), bool>,
}

impl fmt::Debug for GroupCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupCommit").finish_non_exhaustive()
    }
}

impl GroupCommit {
    /// Starts a gatherer for each kind of call. Must be called on the multi-threaded runtime, where the gatherers and
    /// every flush run; callers may be on any runtime. Tenants share lanes by `rules`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, rules: TurnRules) -> Self {
        let of = |store: &Arc<dyn Store>| Arc::clone(store);
        let (submit, claim, settle) = (of(&store), of(&store), of(&store));
        let (claim_turn, rules) = (of(&store), Arc::new(rules));
        let (claim_delivery, settle_delivery) = (of(&store), store);
        Self {
            submits: Batcher::start("submit", MOST_WRITES, move |jobs| {
                let store = of(&submit);
                async move { store.submit(jobs).await }
            }),
            claims: Batcher::start("claim", MOST_CLAIMS, move |claims| {
                let store = of(&claim);
                by_group(claims, move |worker_id, requests| {
                    let store = of(&store);
                    async move { store.claim(worker_id, requests).await }
                })
            }),
            turns: Batcher::start("claim_turn", MOST_CLAIMS, move |claims| {
                let (store, rules) = (of(&claim_turn), Arc::clone(&rules));
                by_group(claims, move |worker_id, requests| {
                    let (store, rules) = (of(&store), Arc::clone(&rules));
                    async move { store.claim_turns(worker_id, requests, &rules).await }
                })
            }),
            settlements: Batcher::start("settle", MOST_WRITES, move |settlements| {
                let store = of(&settle);
                async move { store.settle(settlements).await }
            }),
            delivery_claims: Batcher::start("claim_delivery", MOST_DELIVERIES, move |claims| {
                let store = of(&claim_delivery);
                by_group(claims, move |lease, ids| {
                    let store = of(&store);
                    async move { store.claim_deliveries(ids, lease).await }
                })
            }),
            delivery_endings: Batcher::start("settle_delivery", MOST_DELIVERIES, move |endings| {
                let store = of(&settle_delivery);
                async move { store.settle_deliveries(endings).await }
            }),
        }
    }

    /// Submits one job.
    ///
    /// # Errors
    /// The whole batch's.
    pub async fn submit(&self, job: NewJob) -> Result<Submitted> {
        // The batch is written in another task, which does not know for whom.
        let by = job.by.clone().or_else(super::audit::actor);
        self.submits.ask(NewJob { by, ..job }).await
    }

    /// Claims one job for a worker.
    ///
    /// # Errors
    /// The whole batch's.
    pub async fn claim(&self, worker_id: Uuid, request: ClaimRequest) -> Result<Claimed> {
        self.claims.ask((worker_id, request)).await
    }

    /// Claims a job for a worker, whose turn it is in a lane.
    ///
    /// # Errors
    /// The whole batch's.
    pub async fn claim_turn(&self, worker_id: Uuid, request: TurnRequest) -> Result<Claimed> {
        self.turns.ask((worker_id, request)).await
    }

    /// Ends one attempt.
    ///
    /// # Errors
    /// The whole batch's.
    pub async fn settle(&self, settlement: Settlement) -> Result<Settled> {
        self.settlements.ask(settlement).await
    }

    /// Claims one delivery for `lease`.
    ///
    /// # Errors
    /// The whole batch's.
    pub async fn claim_delivery(&self, id: Uuid, lease: Duration) -> Result<Option<Delivery>> {
        self.delivery_claims.ask((lease, id)).await
    }

    /// Ends one try of a delivery. False: too late.
    ///
    /// # Errors
    /// The whole batch's.
    pub async fn settle_delivery(&self, id: Uuid, attempt: i32, ending: DeliveryEnding) -> Result<bool> {
        self.delivery_endings.ask((id, attempt, ending)).await
    }
}

/// Splits a batch into one call for each group, and puts the answers back in the order of the batch. The group of most
/// calls is one: a process has one worker, and its notifier one lease.
async fn by_group<Group, Request, Answer, Call, Flight>(batch: Vec<(Group, Request)>, call: Call) -> Result<Vec<Answer>>
where
    Group: Copy + Eq + Hash,
    Call: Fn(Group, Vec<Request>) -> Flight,
    Flight: Future<Output = Result<Vec<Answer>>>,
{
    let mut groups: Vec<(Group, Vec<usize>, Vec<Request>)> = Vec::new();
    for (place, (group, request)) in batch.into_iter().enumerate() {
        match groups.iter_mut().find(|(known, _, _)| *known == group) {
            Some((_, places, requests)) => {
                places.push(place);
                requests.push(request);
            }
            None => groups.push((group, vec![place], vec![request])),
        }
    }
    let mut answers = Vec::new();
    for (group, places, requests) in groups {
        answers.extend(places.into_iter().zip(call(group, requests).await?));
    }
    answers.sort_by_key(|(place, _)| *place);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

/// One caller in the queue.
struct PendingCall<Request, Answer> {
    request: Request,
    answer: oneshot::Sender<Result<Answer>>,
}

/// Gathers single requests into batches. Cheap to clone; the gatherer ends with its last clone.
struct Batcher<Request, Answer> {
    queue: mpsc::Sender<PendingCall<Request, Answer>>,
}

impl<Request, Answer> Clone for Batcher<Request, Answer> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<Request: Send + 'static, Answer: Send + 'static> Batcher<Request, Answer> {
    /// Starts the gatherer. `flush` answers a batch of at most `most` requests, in order.
    fn start<Flush, Flight>(kind: &'static str, most: usize, flush: Flush) -> Self
    where
        Flush: Fn(Vec<Request>) -> Flight + Send + 'static,
        Flight: Future<Output = Result<Vec<Answer>>> + Send + 'static,
    {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(gather(kind, most, waiting, flush));
        Self { queue }
    }

    /// Waits for the answer to one request. Dropping this future is harmless: a request that is still queued is not
    /// sent, and the answer to one that was sent is dropped.
    async fn ask(&self, request: Request) -> Result<Answer> {
        let (answer, answered) = oneshot::channel();
        let stopped = || StoreError::Unavailable("the process is stopping".to_owned());
        self.queue.send(PendingCall { request, answer }).await.map_err(|_closed| stopped())?;
        // The sender is dropped without an answer when the flush panics or answers too few.
        answered.await.unwrap_or_else(|_gone| Err(StoreError::Unexpected("the batch call crashed".to_owned())))
    }
}

/// Takes what waits, as soon as a flush may start, until the last [`Batcher`] is gone.
async fn gather<Request, Answer, Flush, Flight>(
    kind: &'static str,
    most: usize,
    mut waiting: mpsc::Receiver<PendingCall<Request, Answer>>,
    flush: Flush,
) where
    Request: Send + 'static,
    Answer: Send + 'static,
    Flush: Fn(Vec<Request>) -> Flight + Send + 'static,
    Flight: Future<Output = Result<Vec<Answer>>> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(FLUSHES));
    // The slot first and the requests second: whoever comes while no slot is free joins the next batch.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let mut taken = Vec::new();
        if waiting.recv_many(&mut taken, most).await == 0 {
            return;
        }
        wait_for_company(&slots, &mut waiting, &mut taken, most).await;
        taken.retain(|waiting| !waiting.answer.is_closed());
        if taken.is_empty() {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most a few hundred elements")]
        metrics::histogram!("waitless_store_batch_size", "operation" => kind).record(taken.len() as f64);
        let (requests, callers): (Vec<_>, Vec<_>) = taken.into_iter().map(|w| (w.request, w.answer)).unzip();
        let flight = flush(requests);
        tokio::spawn(async move {
            let outcome = flight.await;
            drop(slot);
            tell(callers, outcome);
        });
    }
}

/// Gathers what else comes while another flush is under way, for a moment at most.
async fn wait_for_company<T>(slots: &Semaphore, waiting: &mut mpsc::Receiver<T>, taken: &mut Vec<T>, most: usize) {
    let until = tokio::time::Instant::now() + COMPANY;
    while taken.len() < most {
        tokio::select! {
            biased;
            // The other flush has returned, or there is none.
            _free = slots.acquire() => return,
            more = waiting.recv_many(taken, most - taken.len()) => if more == 0 {
                return;
            },
            () = tokio::time::sleep_until(until) => return,
        }
    }
}

/// Gives every caller its own answer, or all of them the batch's error.
fn tell<Answer>(callers: Vec<oneshot::Sender<Result<Answer>>>, outcome: Result<Vec<Answer>>) {
    match outcome {
        Ok(answers) => {
            for (caller, answer) in callers.into_iter().zip(answers) {
                let _gone = caller.send(Ok(answer));
            }
        }
        Err(error) => {
            for caller in callers {
                let _gone = caller.send(Err(error.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    type Sizes = Arc<Mutex<Vec<usize>>>;

    /// A flush that notes its size and waits for `gate` when there is one.
    fn doubling(most: usize, sizes: &Sizes, gate: Option<Arc<Semaphore>>) -> Batcher<u32, u32> {
        let sizes = Arc::clone(sizes);
        Batcher::start("test", most, move |batch: Vec<u32>| {
            sizes.lock().unwrap().push(batch.len());
            let gate = gate.clone();
            async move {
                if let Some(gate) = gate {
                    gate.acquire().await.unwrap().forget();
                }
                Ok(batch.into_iter().map(|n| n * 2).collect())
            }
        })
    }

    #[tokio::test]
    async fn a_lone_caller_is_flushed_at_once() {
        let sizes = Sizes::default();
        let batcher = doubling(10, &sizes, None);
        tokio::time::timeout(Duration::from_secs(5), batcher.ask(21))
            .await
            .unwrap()
            .map(|n| assert_eq!(n, 42))
            .unwrap();
        assert_eq!(*sizes.lock().unwrap(), [1]);
    }

    #[tokio::test]
    async fn callers_that_come_during_two_flushes_share_the_next_ones() {
        let (sizes, gate) = (Sizes::default(), Arc::new(Semaphore::new(0)));
        let batcher = doubling(10, &sizes, Some(Arc::clone(&gate)));
        let ask = |n| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.ask(n).await.unwrap() })
        };
        let mut asked = Vec::new();
        for n in 0..2 {
            asked.push(ask(n));
            while sizes.lock().unwrap().len() <= n as usize {
                tokio::task::yield_now().await;
            }
        }
        asked.extend((2..25).map(ask));
        while batcher.queue.capacity() > QUEUE - 23 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(100);
        let answers: Vec<_> = join_all(asked).await.into_iter().map(std::result::Result::unwrap).collect();
        assert_eq!(answers, (0..25).map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(*sizes.lock().unwrap(), [1, 1, 10, 10, 3]);
    }

    #[tokio::test]
    async fn an_error_of_the_batch_answers_every_caller() {
        let batcher: Batcher<u32, u32> =
            Batcher::start("test", 10, |_| async { Err(StoreError::Unavailable("down".to_owned())) });
        for answer in join_all((0..5).map(|n| batcher.ask(n))).await {
            assert!(matches!(answer, Err(StoreError::Unavailable(why)) if why == "down"));
        }
    }

    #[tokio::test]
    async fn a_panic_of_the_batch_answers_every_caller_and_the_next_batch_goes_on() {
        let calls = Arc::new(AtomicUsize::new(0));
        let batcher: Batcher<u32, u32> = Batcher::start("test", 10, move |batch| {
            let call = calls.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(call >= 3, "a planned panic");
                Ok(batch)
            }
        });
        for _ in 0..3 {
            assert!(matches!(batcher.ask(1).await, Err(StoreError::Unexpected(_))));
        }
        assert_eq!(batcher.ask(7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_caller_that_gave_up_while_queued_is_not_sent() {
        let (sizes, gate) = (Sizes::default(), Arc::new(Semaphore::new(0)));
        let batcher = doubling(10, &sizes, Some(Arc::clone(&gate)));
        let started = Arc::new(Notify::new());
        let mut asked = Vec::new();
        for n in 0..2 {
            let (batcher, started) = (batcher.clone(), Arc::clone(&started));
            asked.push(tokio::spawn(async move {
                started.notify_one();
                batcher.ask(n).await
            }));
            while sizes.lock().unwrap().len() <= n as usize {
                tokio::task::yield_now().await;
            }
        }
        let given_up = tokio::spawn({
            let batcher = batcher.clone();
            async move { batcher.ask(2).await }
        });
        while batcher.queue.capacity() == QUEUE {
            tokio::task::yield_now().await;
        }
        given_up.abort();
        assert!(given_up.await.is_err());
        gate.add_permits(100);
        assert_eq!(batcher.ask(3).await.unwrap(), 6);
        assert_eq!(sizes.lock().unwrap().iter().sum::<usize>(), 3);
    }

    #[tokio::test]
    async fn groups_are_called_apart_and_answered_in_order() {
        let batch = vec![('a', 1), ('b', 2), ('a', 3), ('b', 4)];
        let answers = by_group(batch, |group, requests| async move {
            Ok(requests.into_iter().map(|n| format!("{group}{n}")).collect())
        });
        assert_eq!(answers.await.unwrap(), ["a1", "b2", "a3", "b4"]);
    }
}
