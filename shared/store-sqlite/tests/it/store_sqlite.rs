//! The store on SQLite keeps the store's contract, and what is its own: one owner of the file, one writer, many in a commit.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use futures_util::future::join_all;
use model::access::hash_token;
use model::event::Event;
use model::job::JobState;
use model::message::OutboxMessage;
use store::{
    AccessStore as _, AfterCommit, ClaimRequest, Claimed, GroupCommit, JobStore as _, NewApiKey, OutboxStore as _,
    Scope, Store, StoreError, Submitted, SweepStore as _, WorkerStore as _,
};
use store_sqlite::SqliteStore;
use tempfile::TempDir;
use testing::store_conformance::samples::{ana, new_job, worker_info};
use testing::store_conformance::{CommitRecorder, StoreFixture};
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3600);

fn settings(folder: &TempDir) -> configuration::Database {
    configuration::Database {
        url: configuration::Secret::new(format!("sqlite:{}", path(folder))),
        pool: 4,
        acquire_timeout: Duration::from_secs(3),
        statement_timeout: Duration::from_secs(10),
        ca_file: None,
        migrate: true,
    }
}

pub(crate) fn path(folder: &TempDir) -> String {
    folder.path().join("nested/waitless.db").display().to_string()
}

pub(crate) async fn open(after: Arc<dyn AfterCommit>) -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&settings(&folder), after).await.unwrap();
    (Arc::new(store), folder)
}

testing::test_store!(open);

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_a_scope_of_a_later_version_opens_what_is_known_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_in(&folder).await;
    let key = store.create_api_key(new_key("wl_test")).await.unwrap();
    let mut hand = SqliteConnection::establish(&path(&folder)).unwrap();
    let later = "pragma busy_timeout = 10000; update api_keys set scopes = '[\"later\", \"read\"]'";
    hand.batch_execute(later).unwrap();
    let found = store.api_key_by_hash(key.hash).await.unwrap().unwrap();
    assert_eq!(found.scopes, [Scope::Read]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_runs_and_whose_workers_row_is_gone_is_uncovered() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = StoreFixture::open(async |after| {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&settings(&folder), after).await.unwrap());
        (store, ())
    })
    .await;
    let worker = fixture.worker().await;
    let job = fixture.processing(&worker).await;
    fixture.empty_outbox().await;
    assert!(fixture.store.uncovered_jobs().await.unwrap().is_empty());
    let mut hand = SqliteConnection::establish(&path(&folder)).unwrap();
    hand.batch_execute("pragma busy_timeout = 10000; delete from workers").unwrap();
    assert_eq!(fixture.store.uncovered_jobs().await.unwrap(), [job.id]);
}

async fn open_in(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(&settings(folder), Arc::new(CommitRecorder::default())).await.unwrap()
}

fn new_key(name: &str) -> NewApiKey {
    NewApiKey {
        id: Uuid::now_v7(),
        prefix: "wl_test".to_owned(),
        hash: hash_token(name),
        caller: ana(),
        scopes: vec![Scope::Read],
        attributes: model::attributes::Attributes::default(),
        roles: Vec::new(),
        valid_for: None,
    }
}

async fn submit(store: &SqliteStore) -> Uuid {
    let job = new_job(&ana());
    let id = job.id;
    assert!(matches!(store.submit(vec![job]).await.unwrap()[0], Submitted::Created(_)));
    id
}

async fn claim(store: &SqliteStore, worker: Uuid, job_id: Uuid, redelivered: bool) -> Claimed {
    store.claim(worker, vec![ClaimRequest { job_id, redelivered, alone: false }]).await.unwrap().remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_runs_jobs_and_others_may_still_write() {
    let folder = tempfile::tempdir().unwrap();
    let (service, command) = (open_in(&folder).await, open_in(&folder).await);
    let heartbeat = service.register_worker(worker_info()).await.unwrap();
    match command.register_worker(worker_info()).await.map(drop) {
        Err(StoreError::Unavailable(why)) => {
            assert!(why.contains("another process runs jobs on this database"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    let load = (0..200).map(|_| {
        let service = service.clone();
        tokio::spawn(async move { submit(&service).await })
    });
    let load: Vec<_> = load.collect();
    for n in 0..20 {
        command.create_api_key(new_key(&n.to_string())).await.unwrap();
    }
    assert!(join_all(load).await.into_iter().all(|job| job.is_ok()));
    assert_eq!(service.api_keys(None).await.unwrap().len(), 20);
    assert_eq!(command.count_unfinished("acme", 1000).await.unwrap(), 200);
    drop(heartbeat);
    drop(service);
    command.register_worker(worker_info()).await.map(drop).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_service_knows_that_the_former_one_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let former = open_in(&folder).await;
    let info = worker_info();
    let heartbeat = former.register_worker(info.clone()).await.unwrap();
    let (first, second) = (submit(&former).await, submit(&former).await);
    for job in [first, second] {
        assert!(matches!(claim(&former, info.id, job, false).await, Claimed::Yes(_)));
    }
    drop(heartbeat);
    drop(former);
    let service = open_in(&folder).await;
    assert!(service.release_lost_jobs(HOUR).await.unwrap().is_empty(), "it does not own the file yet");
    let info = worker_info();
    let _heartbeat = service.register_worker(info.clone()).await.unwrap();
    let Claimed::Yes(taken) = claim(&service, info.id, first, true).await else { panic!("not taken over") };
    assert_eq!((taken.attempt, taken.crashes), (2, 1));
    let second = service.job_by_id(second).await.unwrap().unwrap();
    assert_eq!((second.state, second.crashes), (JobState::Pending, 1));
    assert!(service.release_lost_jobs(HOUR).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_in(&folder).await;
    let job = submit(&store).await;
    drop(store);
    let store = open_in(&folder).await;
    assert_eq!(store.job_by_id(job).await.unwrap().unwrap().id, job);
    assert_eq!(store.outbox_backlog().await.unwrap().0, 1);
}

/// Holds the writer up inside the first commit's telling, and counts the tellings.
#[derive(Debug)]
struct Held {
    told: mpsc::Sender<usize>,
    go_on: std::sync::Mutex<mpsc::Receiver<()>>,
}

impl AfterCommit for Held {
    fn committed(&self, outbox: Vec<OutboxMessage>, _events: Vec<Event>) {
        self.told.send(outbox.len()).unwrap();
        let _closed = self.go_on.lock().unwrap().recv();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_all_kinds_share_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (told, tellings) = mpsc::channel();
    let (release, go_on) = mpsc::channel();
    let after = Arc::new(Held { told, go_on: go_on.into() });
    let store = SqliteStore::open(&settings(&folder), after).await.unwrap();
    let begin = |count| -> Vec<_> {
        let one = |store: SqliteStore| tokio::spawn(async move { submit(&store).await });
        (0..count).map(|_| one(store.clone())).collect()
    };
    let first = begin(1);
    assert_eq!(tellings.recv_timeout(Duration::from_secs(10)).unwrap(), 1);
    let others = begin(30);
    let key = tokio::spawn({
        let store = store.clone();
        async move { store.create_api_key(new_key("key")).await.unwrap() }
    });
    // What was begun while the first commit was being told is queued when the writer says so; only then it may go on.
    testing::eventually(Duration::from_secs(10), "31 callers to queue", async || store.waiting() == 31).await;
    drop(release);
    for submitted in first.into_iter().chain(others) {
        submitted.await.unwrap();
    }
    key.await.unwrap();
    assert_eq!(tellings.try_iter().collect::<Vec<_>>(), [30]);
}

#[derive(Debug)]
struct Panicking;

impl AfterCommit for Panicking {
    fn committed(&self, _outbox: Vec<OutboxMessage>, _events: Vec<Event>) {
        panic!("a planned panic");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_panics_does_not_stop_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&settings(&folder), Arc::new(Panicking)).await.unwrap();
    for _ in 0..3 {
        submit(&store).await;
    }
    assert_eq!(store.count_unfinished("acme", 10).await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_locked_by_somebody_else_is_unavailable_until_it_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let database = configuration::Database { acquire_timeout: Duration::from_millis(100), ..settings(&folder) };
    let recorder = Arc::new(CommitRecorder::default());
    let store = SqliteStore::open(&database, recorder.clone()).await.unwrap();
    let mut stranger = SqliteConnection::establish(&path(&folder)).unwrap();
    stranger.batch_execute("begin immediate").unwrap();
    for _ in 0..2 {
        let refused = store.submit(vec![new_job(&ana())]).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    assert_eq!(store.count_unfinished("acme", 10).await.unwrap(), 0, "readers go on");
    stranger.batch_execute("commit").unwrap();
    submit(&store).await;
    assert_eq!(store.count_unfinished("acme", 10).await.unwrap(), 1);
    assert_eq!(recorder.take().1.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_must_not_exist_cannot_exist() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_in(&folder).await;
    let worker = worker_info();
    let _heartbeat = store.register_worker(worker.clone()).await.unwrap();
    submit(&store).await;
    let held = submit(&store).await;
    claim(&store, worker.id, held, false).await;
    let mut hand = SqliteConnection::establish(&path(&folder)).unwrap();
    for wrong in [
        "update jobs set state = 'lost'",
        "update jobs set worker_id = null where state = 'processing'",
        "update jobs set worker_id = zeroblob(16) where state = 'pending'",
        "update jobs set state = 'retrying', worker_id = null",
        "update jobs set state = 'done', worker_id = null",
        "update jobs set state = 'failed', worker_id = null, finished_at = 1",
        "update jobs set state = 'processing', worker_id = zeroblob(16) where attempt = 0",
        "update jobs set attempt = -1",
        "update jobs set seq = 0",
        "update jobs set params = '{'",
        "insert into events (job_id, seq, tenant, principal, kind, state, attempt, at) \
         select job_id, seq, tenant, principal, kind, state, attempt, at from events limit 1",
        "update outbox set delay_ms = 0",
        "update workers set lanes = 'all'",
    ] {
        let refused = hand.batch_execute(wrong);
        assert!(refused.is_err(), "{wrong}");
    }
    assert_eq!(store.job_by_id(held).await.unwrap().unwrap().state, JobState::Processing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_is_told_from_one_that_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("nested")).unwrap();
    std::fs::write(path(&folder), "a letter to a friend, and certainly no database of anybody's".repeat(20)).unwrap();
    let refused = SqliteStore::open(&settings(&folder), Arc::new(CommitRecorder::default())).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("not a database")));
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_one_by_one_are_gathered_and_each_gets_its_own_answer() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_in(&folder).await;
    let worker = worker_info();
    let _heartbeat = store.register_worker(worker.clone()).await.unwrap();
    let jobs = GroupCommit::new(Arc::new(store.clone()), store::TurnRules::default());
    let lives = (0..100).map(|n| {
        let (jobs, worker_id) = (jobs.clone(), worker.id);
        tokio::spawn(async move {
            let job = new_job(&ana());
            let id = job.id;
            let Submitted::Created(created) = jobs.submit(job).await.unwrap() else { panic!("not created") };
            assert_eq!(created.id, id);
            let request = ClaimRequest { job_id: id, redelivered: false, alone: false };
            let Claimed::Yes(held) = jobs.claim(worker_id, request).await.unwrap() else { panic!("not claimed") };
            assert_eq!((held.id, held.attempt), (id, 1));
            let artifact = testing::store_conformance::samples::artifact(&held);
            let (ending, reached) = if n % 2 == 0 {
                (store::Ending::Done(vec![artifact]), JobState::Done)
            } else {
                (store::Ending::HandBack, JobState::Pending)
            };
            let settlement = testing::store_conformance::samples::settlement(&held, ending);
            assert_eq!(jobs.settle(settlement).await.unwrap(), store::Settled::As(reached));
        })
    });
    join_all(lives).await.into_iter().for_each(Result::unwrap);
    assert_eq!(store.count_unfinished("acme", 1000).await.unwrap(), 50);
}
