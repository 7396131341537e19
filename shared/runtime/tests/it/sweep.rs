//! What crashes, lost messages and time leave behind is found and set going again, and nothing else is touched.

mod doorbells;
mod removals;

use std::collections::HashSet;
use std::time::Duration;

use broker::{Broker, Incoming, Settle};
use bytes::Bytes;
use configuration::{Config, Secret};
use model::artifact::{Format, object_key};
use model::job::{Job, JobState, Lane};
use model::message::{Message, Queue};
use runtime::sweep::{Cleanup, Sweeper};
use runtime::{Backends, BackgroundTasks};
use store::{ClaimRequest, Claimed, Ending, Settled};
use tempfile::TempDir;
use testing::broker_conformance::{SOON, next, settings};
use testing::eventually;
use testing::store_conformance::samples::{self, ana, artifact, new_job, settlement, worker_info};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const INTERACTIVE: Queue = Queue::Work(Lane::Interactive);

/// Settings under which nothing sweeps by itself soon, and what is silent is silent at once.
fn config(folder: &TempDir) -> Config {
    let mut config = Config::embedded(folder.path()).unwrap();
    config.broker = settings();
    config.sweeper.every = Duration::from_secs(3_600);
    config.sweeper.grace = Duration::from_millis(1);
    config.sweeper.orphan_grace = Duration::ZERO;
    config
}

async fn open(config: &Config) -> (Backends, BackgroundTasks) {
    let (backends, background) = Backends::open(config).await.unwrap();
    let version = samples::VERSION;
    backends.store.save_report_version(version, "pricing-summary", "title = \"Pricing summary\"").await.unwrap();
    (backends, background)
}

/// Runs the movers, and stops them with the stage.
struct Stage {
    backends: Backends,
    config: Config,
    stop: CancellationToken,
    background: tokio::task::JoinHandle<()>,
    _folder: TempDir,
}

impl Stage {
    async fn set(adjust: impl FnOnce(&mut Config)) -> Self {
        let folder = TempDir::new().unwrap();
        let mut config = config(&folder);
        adjust(&mut config);
        let (backends, background) = open(&config).await;
        let stop = CancellationToken::new();
        let background = tokio::spawn(background.run_until_stopped(stop.clone()));
        Self { backends, config, stop, background, _folder: folder }
    }

    /// A sweeper that is past its first look.
    async fn sweeper(&self) -> Sweeper {
        let mut sweeper = Sweeper::new(self.backends.clone(), &self.config);
        sweeper.sweep().await;
        sweeper
    }

    async fn submit(&self, count: usize) -> Vec<Uuid> {
        submit(&self.backends, count).await
    }

    async fn until_ready(&self, ready: u64) {
        until_ready(self.backends.broker.as_ref(), ready).await;
        // The row goes after its message; before, its job does not count as silent.
        let store = &self.backends.store;
        eventually(SOON, "the outbox to be empty", async || store.outbox_backlog().await.unwrap().0 == 0).await;
    }

    async fn ready(&self) -> u64 {
        self.backends.broker.depth(INTERACTIVE).await.unwrap().ready
    }

    /// A job that a worker finished, with its file in the storage.
    async fn done(&self, retention: Duration) -> (Job, String) {
        let mut job = new_job(&ana());
        job.retention_ms = i64::try_from(retention.as_millis()).unwrap();
        let id = job.id;
        self.backends.store.submit(vec![job]).await.unwrap();
        let worker = worker_info();
        let _heartbeat = self.backends.store.register_worker(worker.clone()).await.unwrap();
        let job = claim(&self.backends, worker.id, id).await;
        let artifact = artifact(&job);
        let key = artifact.object_key.clone();
        self.store_file(&key).await;
        let settled = self.backends.store.settle(vec![settlement(&job, Ending::Done(vec![artifact]))]).await.unwrap();
        assert_eq!(settled, [Settled::As(JobState::Done)]);
        (job, key)
    }

    async fn store_file(&self, key: &str) {
        let mut upload = self.backends.storage.create(key, "text/csv", "report.csv").await.unwrap();
        upload.write(Bytes::from_static(b"a,b\r\n1,2\r\n")).await.unwrap();
        upload.finish().await.unwrap();
    }

    async fn has_file(&self, key: &str) -> bool {
        self.backends.storage.size(key).await.unwrap().is_some()
    }

    async fn strike(self) {
        self.stop.cancel();
        self.background.await.unwrap();
    }
}

async fn submit(backends: &Backends, count: usize) -> Vec<Uuid> {
    let jobs: Vec<_> = (0..count).map(|_| new_job(&ana())).collect();
    let ids = jobs.iter().map(|job| job.id).collect();
    backends.store.submit(jobs).await.unwrap();
    ids
}

async fn claim(backends: &Backends, worker: Uuid, job_id: Uuid) -> Job {
    let request = ClaimRequest { job_id, redelivered: false, alone: false };
    match backends.store.claim(worker, vec![request]).await.unwrap().remove(0) {
        Claimed::Yes(job) => *job,
        other => panic!("not claimed: {other:?}"),
    }
}

async fn until_ready(broker: &dyn Broker, ready: u64) {
    eventually(SOON, &format!("{ready} ready messages"), async || {
        let depth = broker.depth(INTERACTIVE).await;
        if depth.is_some_and(|depth| depth.ready == ready) { Ok(()) } else { Err(format!("{depth:?}")) }
    })
    .await;
}

async fn take(receiver: &mut mpsc::Receiver<Incoming>) -> Uuid {
    let mut incoming = next(receiver).await;
    let Message::RunJob { job_id } = serde_json::from_slice(&incoming.body).unwrap() else { panic!("not a job") };
    incoming.settle(Settle::Ack);
    job_id
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_process_that_starts_rings_everything_that_waits() {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder);
    // Not by the usual grace: at once.
    config.sweeper.grace = Duration::from_secs(3_600);
    let (backends, background) = open(&config).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(background.run_until_stopped(stop.clone()));
    submit(&backends, 2_500).await;
    until_ready(backends.broker.as_ref(), 2_500).await;
    stop.cancel();
    running.await.unwrap();
    drop(backends);

    let (backends, background) = open(&config).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(background.run_until_stopped(stop.clone()));
    until_ready(backends.broker.as_ref(), 2_500).await;
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_workers_job_is_pending_and_rung() {
    let stage = Stage::set(|config| config.worker.heartbeat = Duration::from_millis(50)).await;
    let mut sweeper = stage.sweeper().await;
    let mut receiver = stage.backends.broker.consume(INTERACTIVE, 1).await;
    let id = stage.submit(1).await.remove(0);
    assert_eq!(take(&mut receiver).await, id);
    let worker = worker_info();
    let heartbeat = stage.backends.store.register_worker(worker.clone()).await.unwrap();
    claim(&stage.backends, worker.id, id).await;
    drop(heartbeat);
    eventually(SOON, "the job to be released", async || {
        sweeper.sweep().await;
        stage.backends.store.job_by_id(id).await.unwrap().unwrap().state == JobState::Pending
    })
    .await;
    assert_eq!(take(&mut receiver).await, id);
    let job = stage.backends.store.job_by_id(id).await.unwrap().unwrap();
    assert_eq!((job.crashes, job.errors), (1, 0));
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_files_and_orphans_go_and_others_stay() {
    let stage = Stage::set(|_| {}).await;
    let (_, expired) = stage.done(Duration::from_millis(1)).await;
    let (_, kept) = stage.done(Duration::from_secs(3_600)).await;
    let orphan = object_key(Uuid::now_v7(), 1, Uuid::now_v7(), Format::Csv);
    stage.store_file(&orphan).await;
    let mut cleanup = Cleanup::new(stage.backends.clone(), &stage.config);
    eventually(SOON, "the files to go", async || {
        cleanup.clean_up().await;
        !stage.has_file(&expired).await && !stage.has_file(&orphan).await
    })
    .await;
    assert!(stage.has_file(&kept).await);
    assert!(stage.backends.store.expired_artifacts(10).await.unwrap().is_empty(), "it is tried again and again");
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_usage_goes_with_the_clean_up() {
    let stage = Stage::set(|config| config.sweeper.usage_retention = Duration::from_millis(1)).await;
    stage.submit(2).await;
    let mut cleanup = Cleanup::new(stage.backends.clone(), &stage.config);
    let used = async || {
        let (store, since) = (&stage.backends.store, chrono::DateTime::UNIX_EPOCH);
        store.usage_by_principal("acme", since).await.unwrap().len()
    };
    assert_eq!(used().await, 1);
    eventually(SOON, "the usage to go", async || {
        cleanup.clean_up().await;
        used().await == 0
    })
    .await;
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_young_orphan_may_still_be_wanted() {
    let stage = Stage::set(|config| config.sweeper.orphan_grace = Duration::from_secs(3_600)).await;
    let orphan = object_key(Uuid::now_v7(), 1, Uuid::now_v7(), Format::Csv);
    stage.store_file(&orphan).await;
    Cleanup::new(stage.backends.clone(), &stage.config).clean_up().await;
    assert!(stage.has_file(&orphan).await);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_a_running_attempt_is_never_aborted_and_one_of_an_attempt_that_ended_is() {
    // By its date every upload is old enough.
    let stage = Stage::set(|_| {}).await;
    let begin = async |key: &str| {
        let mut upload = stage.backends.storage.create(key, "text/csv", "numbers.csv").await.unwrap();
        for _ in 0..3 {
            upload.write(Bytes::from(vec![b'x'; 2 << 20])).await.unwrap();
        }
        upload
    };
    let worker = worker_info();
    let _heartbeat = stage.backends.store.register_worker(worker.clone()).await.unwrap();
    let running = claim(&stage.backends, worker.id, stage.submit(1).await.remove(0)).await;
    let key = object_key(running.id, running.attempt, Uuid::now_v7(), Format::Csv);
    let live = begin(&key).await;
    // What a killed worker leaves.
    std::mem::forget(begin(&object_key(Uuid::now_v7(), 1, Uuid::now_v7(), Format::Csv)).await);
    let mut cleanup = Cleanup::new(stage.backends.clone(), &stage.config);
    let storage = &stage.backends.storage;
    let left = async || storage.stale_uploads(Duration::ZERO).await.unwrap();
    eventually(SOON, "only the running one is left", async || {
        cleanup.clean_up().await;
        left().await.len() == 1
    })
    .await;
    cleanup.clean_up().await;
    assert_eq!(left().await[0].key.as_deref(), Some(key.as_str()));
    live.finish().await.unwrap();
    assert!(stage.has_file(&key).await);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_rung_again_when_every_real_queue_is_purged() {
    let server = testing::rabbitmq::fresh_vhost().await.unwrap();
    let stage = Stage::set(|config| {
        config.broker = configuration::Broker { url: Secret::new(server.url()), ..settings() };
        config.sweeper.every = Duration::from_millis(100);
        config.sweeper.grace = Duration::from_millis(500);
    })
    .await;
    let mut lost: HashSet<_> = stage.submit(40).await.into_iter().collect();
    stage.until_ready(40).await;
    for queue in server.queues().await.unwrap() {
        server.purge(&queue).await.unwrap();
    }
    let mut receiver = stage.backends.broker.consume(INTERACTIVE, 10).await;
    while !lost.is_empty() {
        lost.remove(&take(&mut receiver).await);
    }
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_not_rung_at() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stage = Stage::set(|config| {
        config.broker = configuration::Broker { url: Secret::new(format!("amqp://{nobody}")), ..settings() };
    })
    .await;
    let mut sweeper = stage.sweeper().await;
    stage.submit(5).await;
    let rows = eventually(SOON, "the rows to be leased", async || {
        let rows = stage.backends.store.lease_outbox(10).await.unwrap();
        (rows.len() == 5).then_some(rows)
    })
    .await;
    stage.backends.store.delete_outbox(rows.into_iter().map(|row| row.id).collect()).await.unwrap();
    eventually(SOON, "the jobs to be silent", async || {
        stage.backends.store.count_silent(Lane::Interactive, stage.config.sweeper.grace, 1000).await.unwrap() == 5
    })
    .await;
    for _ in 0..3 {
        sweeper.sweep().await;
    }
    assert_eq!(stage.backends.store.outbox_backlog().await.unwrap().0, 0, "rows pile up that nobody can publish");
    stage.strike().await;
}
