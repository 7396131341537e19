//! From the commit to the broker: at once, never lost, and from memory only as long as the broker takes it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use broker::{BroadcastReceiver, Broker, InProcess, Incoming, PublishError, QueueDepth, Settle};
use configuration::Config;
use model::event::Broadcast;
use model::job::Lane;
use model::message::{Message, OutboxMessage, Queue};
use runtime::outbox::{Outbox, OutboxReceiver, Relay};
use store::{AfterCommit, OUTBOX_LEASE, Store, Submitted};
use tempfile::TempDir;
use testing::broker_conformance::{SOON, next, settings};
use testing::eventually;
use testing::store_conformance::samples::{ana, new_job};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const INTERACTIVE: Queue = Queue::Work(Lane::Interactive);

/// What stands between relay and queues.
#[derive(Debug, Default)]
struct Moods {
    away: AtomicBool,
    refusing: AtomicBool,
}

/// An in-process broker that can be away, or refuse everything.
#[derive(Debug)]
struct MoodyBroker {
    inner: InProcess,
    moods: Moods,
}

#[async_trait]
impl Broker for MoodyBroker {
    async fn publish(&self, batch: &[OutboxMessage]) -> Vec<Result<(), PublishError>> {
        if self.moods.away.load(Ordering::SeqCst) {
            return batch.iter().map(|_| Err(PublishError::Unavailable("away".to_owned()))).collect();
        }
        if self.moods.refusing.load(Ordering::SeqCst) {
            return batch.iter().map(|_| Err(PublishError::Refused("full".to_owned()))).collect();
        }
        self.inner.publish(batch).await
    }
    async fn consume(&self, queue: Queue, prefetch: u16) -> mpsc::Receiver<Incoming> {
        self.inner.consume(queue, prefetch).await
    }
    fn broadcast(&self, message: Broadcast) {
        self.inner.broadcast(message);
    }
    fn subscribe(&self) -> BroadcastReceiver {
        self.inner.subscribe()
    }
    async fn depth(&self, queue: Queue) -> Option<QueueDepth> {
        self.inner.depth(queue).await
    }
    async fn check(&self) -> Result<(), String> {
        if self.moods.away.load(Ordering::SeqCst) { Err("away".to_owned()) } else { Ok(()) }
    }
    async fn close(&self, grace: Duration) {
        self.inner.close(grace).await;
    }
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
}

/// A store with its outbox, and a broker.
struct Stage {
    _folder: TempDir,
    store: Arc<dyn Store>,
    broker: Arc<MoodyBroker>,
    receiver: Option<OutboxReceiver>,
}

impl Stage {
    async fn set() -> Self {
        let folder = TempDir::new().unwrap();
        let (outbox, receiver) = Outbox::new();
        let store = open_store(&folder, outbox).await;
        let broker = Arc::new(MoodyBroker { inner: InProcess::new(&settings()), moods: Moods::default() });
        Self { _folder: folder, store, broker, receiver: Some(receiver) }
    }

    fn start_relay(&mut self) -> (CancellationToken, JoinHandle<()>) {
        let receiver = self.receiver.take().unwrap();
        let relay = Relay::new(receiver, Arc::clone(&self.store), self.broker.clone());
        let stop = CancellationToken::new();
        (stop.clone(), tokio::spawn(relay.run_until_stopped(stop)))
    }

    async fn submit(&self, count: usize) -> HashSet<Uuid> {
        let jobs: Vec<_> = (0..count).map(|_| new_job(&ana())).collect();
        let ids = jobs.iter().map(|job| job.id).collect();
        for outcome in self.store.submit(jobs).await.unwrap() {
            assert!(matches!(outcome, Submitted::Created(_)), "{outcome:?}");
        }
        ids
    }

    async fn until_outbox_is_empty(&self) {
        eventually(SOON, "the outbox to be empty", async || {
            let (rows, _) = self.store.outbox_backlog().await.unwrap();
            if rows == 0 { Ok(()) } else { Err(format!("{rows} rows")) }
        })
        .await;
    }
}

async fn open_store(folder: &TempDir, after_commit: Arc<dyn AfterCommit>) -> Arc<dyn Store> {
    let config = Config::embedded(folder.path()).unwrap();
    let store = runtime::open_store(&config.database, after_commit).await.unwrap();
    let version = testing::store_conformance::samples::VERSION;
    store.save_report_version(version, "pricing-summary", "title = \"Pricing summary\"").await.unwrap();
    store
}

/// Takes messages until all of the jobs have been rung for.
async fn take_all(receiver: &mut mpsc::Receiver<Incoming>, mut awaited: HashSet<Uuid>) {
    while !awaited.is_empty() {
        let mut incoming = next(receiver).await;
        let Message::RunJob { job_id } = serde_json::from_slice(&incoming.body).unwrap() else { panic!("not a job") };
        awaited.remove(&job_id);
        incoming.settle(Settle::Ack);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_row_is_published_at_once_and_then_deleted() {
    let mut stage = Stage::set().await;
    let (_stop, _relay) = stage.start_relay();
    let mut receiver = stage.broker.consume(INTERACTIVE, 10).await;
    for _ in 0..5 {
        let submitted = stage.submit(1).await;
        let since = Instant::now();
        take_all(&mut receiver, submitted).await;
        assert!(
            since.elapsed() < Duration::from_millis(500),
            "it took {:?}, so a timer was in between",
            since.elapsed()
        );
    }
    stage.until_outbox_is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_are_published_and_deleted_to_the_last() {
    let mut stage = Stage::set().await;
    let (_stop, _relay) = stage.start_relay();
    let mut receiver = stage.broker.consume(INTERACTIVE, 100).await;
    let mut submitted = HashSet::new();
    for _ in 0..10 {
        submitted.extend(stage.submit(300).await);
    }
    take_all(&mut receiver, submitted).await;
    stage.until_outbox_is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_wait_in_the_database_while_the_broker_is_away() {
    let mut stage = Stage::set().await;
    let (_stop, _relay) = stage.start_relay();
    stage.broker.moods.away.store(true, Ordering::SeqCst);
    let mut submitted = stage.submit(700).await;
    // More than the relay notices the broker's absence with: these it does not even try.
    submitted.extend(stage.submit(700).await);
    assert_eq!(stage.store.outbox_backlog().await.unwrap().0, 1_400);
    stage.broker.moods.away.store(false, Ordering::SeqCst);
    let mut receiver = stage.broker.consume(INTERACTIVE, 100).await;
    take_all(&mut receiver, submitted).await;
    stage.until_outbox_is_empty().await;
    // And from memory again.
    let one = stage.submit(1).await;
    let since = Instant::now();
    take_all(&mut receiver, one).await;
    assert!(since.elapsed() < Duration::from_millis(500), "{:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_is_tried_again() {
    let mut stage = Stage::set().await;
    let (_stop, _relay) = stage.start_relay();
    stage.broker.moods.refusing.store(true, Ordering::SeqCst);
    let submitted = stage.submit(3).await;
    let backlog = stage.store.outbox_backlog().await.unwrap().0;
    assert_eq!(backlog, 3, "a refused row was deleted");
    stage.broker.moods.refusing.store(false, Ordering::SeqCst);
    let mut receiver = stage.broker.consume(INTERACTIVE, 10).await;
    take_all(&mut receiver, submitted).await;
    stage.until_outbox_is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_dead_process_are_published_by_another_after_their_lease() {
    let mut stage = Stage::set().await;
    // The process dies between commit and publish: nobody holds the other end of its outbox any more.
    drop(stage.receiver.take());
    let submitted = stage.submit(20).await;
    let since = Instant::now();
    let (_, receiver) = Outbox::new();
    stage.receiver = Some(receiver);
    let (_stop, _relay) = stage.start_relay();
    let mut receiver = stage.broker.consume(INTERACTIVE, 10).await;
    take_all(&mut receiver, submitted).await;
    assert!(since.elapsed() >= OUTBOX_LEASE - Duration::from_millis(500), "it was taken from its writer");
    assert!(since.elapsed() < OUTBOX_LEASE + Duration::from_secs(4), "{:?}", since.elapsed());
    stage.until_outbox_is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_relay_publishes_what_was_committed_before() {
    let mut stage = Stage::set().await;
    let (stop, relay) = stage.start_relay();
    stage.submit(1_000).await;
    stop.cancel();
    relay.await.unwrap();
    assert_eq!(stage.broker.depth(INTERACTIVE).await.unwrap().ready, 1_000);
    assert_eq!(stage.store.outbox_backlog().await.unwrap().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_broadcast_after_their_commit() {
    let mut stage = Stage::set().await;
    let (_stop, _relay) = stage.start_relay();
    let mut events = stage.broker.subscribe();
    let job = stage.submit(1).await.into_iter().next().unwrap();
    let heard = tokio::time::timeout(SOON, events.recv()).await.unwrap().unwrap();
    let Broadcast::Event(event) = heard.as_ref() else { panic!("{heard:?}") };
    assert_eq!((event.job_id, event.seq), (job, 1));
    assert!(stage.store.job_by_id(job).await.unwrap().is_some(), "it was told before it was there");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_rows_survive_a_broker_whose_disk_is_wiped() {
    let mut server = testing::rabbitmq::Server::start().await.unwrap();
    let url = configuration::Secret::new(server.url());
    let broker = broker::open(&configuration::Broker { url, ..settings() }).await.unwrap();
    let folder = TempDir::new().unwrap();
    let (outbox, receiver) = Outbox::new();
    let store = open_store(&folder, outbox).await;
    let relay = Relay::new(receiver, Arc::clone(&store), Arc::clone(&broker));
    let stop = CancellationToken::new();
    let relay = tokio::spawn(relay.run_until_stopped(stop.clone()));

    server.kill();
    let jobs: Vec<_> = (0..50).map(|_| new_job(&ana())).collect();
    let submitted = jobs.iter().map(|job| job.id).collect();
    store.submit(jobs).await.unwrap();
    server.wipe().await.unwrap();
    let mut consumer = broker.consume(INTERACTIVE, 10).await;
    take_all(&mut consumer, submitted).await;
    eventually(SOON, "the outbox to be empty", async || store.outbox_backlog().await.unwrap().0 == 0).await;
    stop.cancel();
    relay.await.unwrap();
}
