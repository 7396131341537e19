//! The store on PostgreSQL: the contract, and what only PostgreSQL can do or suffer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use configuration::Secret;
use model::job::JobState;
use store::{
    AfterCommit, AttemptProgress, ClaimRequest, Claimed, Ending, FeedCursor, Settled, Store, StoreError, Submitted,
};
use store_postgres::PostgresStore;
use testing::eventually;
use testing::postgres::{Database, Server};
use testing::store_conformance::{CommitRecorder, SOON, StoreFixture, TestWorker, samples};
use uuid::Uuid;

/// The embedded defaults, on this database.
fn settings(url: &str) -> configuration::Database {
    let folder = tempfile::tempdir().unwrap();
    let mut database = configuration::Config::embedded(folder.path()).unwrap().database;
    database.url = Secret::new(url);
    database
}

pub(super) async fn open_at(url: &str, after: Arc<dyn AfterCommit>) -> PostgresStore {
    PostgresStore::open(&settings(url), after).await.unwrap()
}

pub(crate) async fn open(after: Arc<dyn AfterCommit>) -> (Arc<dyn Store>, Database) {
    let database = testing::postgres::fresh_store_database().await.unwrap();
    let store = open_at(database.url(), after).await;
    (Arc::new(store), database)
}

testing::test_store!(open);

/// A fixture that keeps its database at hand.
pub(crate) async fn set() -> (StoreFixture, Arc<Database>) {
    let database = Arc::new(testing::postgres::fresh_store_database().await.unwrap());
    let at = Arc::clone(&database);
    let fixture = StoreFixture::open(async move |after: Arc<dyn AfterCommit>| {
        let store: Arc<dyn Store> = Arc::new(open_at(at.url(), after).await);
        (store, at)
    })
    .await;
    (fixture, database)
}

/// Ends the session that holds the worker's lock, as the end of its process would, and waits until it is gone: one that
/// lingers has a test of its own.
pub(crate) async fn cut_off(database: &Database, worker: Uuid) {
    let ended = database
        .sql(&format!(
            "select pg_terminate_backend(pid, 5000) from pg_locks where locktype = 'advisory' and objsubid = 1
             and (classid::bigint << 32 | objid::bigint) = waitless_lock_key('{worker}')"
        ))
        .await
        .unwrap();
    assert_eq!(ended.len(), 1, "one session holds the lock");
}

fn progress_of(job_id: Uuid, attempt: i32, rows: u64) -> AttemptProgress {
    AttemptProgress { job_id, attempt, progress: samples::progress(rows) }
}

async fn redelivered(fixture: &StoreFixture, worker: &TestWorker, job: Uuid) -> Claimed {
    fixture.try_claim(worker, job, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_workers_session_ended_is_taken_over_at_once() {
    let (fixture, database) = set().await;
    let (lost, next) = (fixture.worker().await, fixture.worker().await);
    let (job, other) = (fixture.processing(&lost).await, fixture.processing(&lost).await);
    cut_off(&database, lost.id).await;
    let start = Instant::now();
    let Claimed::Yes(taken) = redelivered(&fixture, &next, job.id).await else { panic!("it is free") };
    let took = start.elapsed();
    assert_eq!((taken.attempt, taken.crashes, taken.worker_id), (2, 1, Some(next.id)));
    assert!(took < Duration::from_millis(100), "{took:?}");
    // All jobs of the lost worker are released with it, and it can no longer finish any.
    assert_eq!(fixture.job(other.id).await.state, JobState::Pending);
    let late = fixture.settle(&job, Ending::Done(vec![samples::artifact(&job)])).await;
    assert_eq!(late, Settled::TooLate);
    assert!(fixture.store.uncovered_jobs().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_with_a_live_holder_is_held_after_a_short_look() {
    let (fixture, _database) = set().await;
    let (holder, next) = (fixture.worker().await, fixture.worker().await);
    let job = fixture.processing(&holder).await;
    let before = fixture.job(job.id).await;
    let start = Instant::now();
    assert_eq!(redelivered(&fixture, &next, job.id).await, Claimed::Held);
    assert!(start.elapsed() > Duration::from_millis(40), "a session that is just ending gets its time");
    assert_eq!(fixture.job(job.id).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_survives_the_end_of_its_session_and_keeps_its_jobs() {
    let (fixture, database) = set().await;
    let (mut worker, other) = (fixture.worker().await, fixture.worker().await);
    let job = fixture.processing(&worker).await;
    cut_off(&database, worker.id).await;
    let lost = worker.heartbeat.beat(vec![progress_of(job.id, 1, 5)]).await.unwrap();
    assert!(lost.is_empty());
    assert_eq!(fixture.job(job.id).await.progress, samples::progress(5));
    assert_eq!(redelivered(&fixture, &other, job.id).await, Claimed::Held, "the lock is held again");
    assert!(fixture.store.release_lost_jobs(Duration::from_secs(60)).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_hears_at_once_that_its_session_ended() {
    let (fixture, database) = set().await;
    let (mut worker, other) = (fixture.worker().await, fixture.worker().await);
    let job = fixture.processing(&worker).await;
    let quiet = tokio::time::timeout(Duration::from_millis(200), worker.heartbeat.cut_off()).await;
    assert!(quiet.is_err(), "nothing happened yet");
    cut_off(&database, worker.id).await;
    tokio::time::timeout(Duration::from_secs(5), worker.heartbeat.cut_off()).await.unwrap();
    assert!(worker.heartbeat.beat(vec![progress_of(job.id, 1, 5)]).await.unwrap().is_empty());
    assert_eq!(redelivered(&fixture, &other, job.id).await, Claimed::Held, "the lock is held again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_over_in_the_moment_without_a_lock_costs_the_job_no_crash() {
    let (fixture, database) = set().await;
    let (mut worker, next) = (fixture.worker().await, fixture.worker().await);
    let job = fixture.processing(&worker).await;
    cut_off(&database, worker.id).await;
    let Claimed::Yes(taken) = redelivered(&fixture, &next, job.id).await else { panic!("it is free") };
    assert_eq!((taken.attempt, taken.crashes, taken.interruptions), (2, 1, 0));
    let lost = worker.heartbeat.beat(vec![progress_of(job.id, 1, 5)]).await.unwrap();
    assert_eq!(lost, [(job.id, 1)]);
    let job = fixture.job(job.id).await;
    assert_eq!((job.worker_id, job.crashes, job.interruptions), (Some(next.id), 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_whose_former_session_lingers_lives_on_without_the_lock() {
    let (fixture, database) = set().await;
    // Somebody else holds the lock, as a session does whose client's host vanished.
    let info = samples::worker_info();
    let (client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let key = i64::from_be_bytes(info.id.as_bytes()[..8].try_into().unwrap());
    client.execute("select pg_advisory_lock($1)", &[&key]).await.unwrap();
    let id = info.id;
    let mut worker = TestWorker { id, heartbeat: fixture.store.register_worker(info).await.unwrap() };
    let job = fixture.processing(&worker).await;
    assert!(worker.heartbeat.beat(vec![progress_of(job.id, 1, 1)]).await.unwrap().is_empty());
    drop(client);
    eventually(SOON, "the lock to be taken", async || {
        worker.heartbeat.beat(vec![progress_of(job.id, 1, 2)]).await.unwrap();
        let held = database.sql("select pid from pg_locks where locktype = 'advisory' and granted").await.unwrap();
        let ours = database.sql("select pid from pg_stat_activity where application_name = 'waitless'").await.unwrap();
        held.first().is_some_and(|pid| ours.contains(pid)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_answer_was_lost_is_handed_back_by_the_heartbeat() {
    let (fixture, database) = set().await;
    let mut worker = fixture.worker().await;
    let (known, stray) = (fixture.processing(&worker).await, fixture.processing(&worker).await);
    // Younger claims may be on their way to the worker still.
    worker.heartbeat.beat(vec![progress_of(known.id, 1, 1)]).await.unwrap();
    assert_eq!(fixture.job(stray.id).await.state, JobState::Processing);
    database.sql("update jobs set started_at = started_at - interval '20 seconds'").await.unwrap();
    fixture.empty_outbox().await;
    assert!(worker.heartbeat.beat(vec![progress_of(known.id, 1, 2)]).await.unwrap().is_empty());
    let back = fixture.job(stray.id).await;
    assert_eq!((back.state, back.interruptions, back.crashes), (JobState::Pending, 1, 0));
    assert_eq!(fixture.job(known.id).await.state, JobState::Processing);
    let rung = fixture.empty_outbox().await;
    assert_eq!(rung.len(), 1, "its lane is rung");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_that_lease_at_once_never_get_the_same_row() {
    let (fixture, _database) = set().await;
    fixture.store.submit((0..400).map(|_| samples::new_job(&samples::ana())).collect()).await.unwrap();
    let ids = fixture.recorder.take().0.into_iter().map(|row| row.id).collect();
    fixture.store.release_outbox(ids).await.unwrap();
    let relays = (0..6).map(|_| {
        let store = Arc::clone(&fixture.store);
        tokio::spawn(async move {
            let mut leased = Vec::new();
            loop {
                let rows = store.lease_outbox(25).await.unwrap();
                assert!(rows.len() <= 25);
                if rows.is_empty() {
                    return leased;
                }
                leased.extend(rows.into_iter().map(|row| row.id));
            }
        })
    });
    let mut leased: Vec<_> =
        futures_util::future::join_all(relays).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(leased.len(), 400);
    leased.sort();
    leased.dedup();
    assert_eq!(leased.len(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_never_skips_an_event_that_commits_late() {
    let (fixture, database) = set().await;
    let start = fixture.store.feed_end().await.unwrap();
    // A transaction that has its number early and its commit late.
    let (client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let late = Uuid::now_v7();
    client
        .batch_execute(&format!(
            "begin; insert into events (job_id, seq, tenant, principal, kind, state, attempt)
             values ('{late}', 1, 'acme', 'ana', 'submitted', 'pending', 0)"
        ))
        .await
        .unwrap();
    let early = fixture.pending().await;
    let between = fixture.store.events_of_caller(&samples::ana(), start, 10).await.unwrap();
    assert!(between.is_empty(), "what follows an open transaction waits for it: {between:?}");
    client.batch_execute("commit").await.unwrap();
    let mut cursor = start;
    let mut seen = Vec::new();
    eventually(SOON, "both events", async || {
        for (at, event) in fixture.store.events_of_caller(&samples::ana(), cursor, 1).await.unwrap() {
            assert!(at > cursor);
            cursor = at;
            seen.push(event.job_id);
        }
        (seen.len() == 2).then_some(())
    })
    .await;
    assert_eq!(seen, [late, early.id], "in the order of the transactions");
    assert!(FeedCursor::default() < start);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dropped_caller_began_is_ended_and_told() {
    let (fixture, database) = set().await;
    let (client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("begin; lock table outbox in access exclusive mode").await.unwrap();
    let job = samples::new_job(&samples::ana());
    let id = job.id;
    let submit = fixture.store.submit(vec![job]);
    assert!(tokio::time::timeout(Duration::from_millis(50), submit).await.is_err(), "it waits for the lock");
    client.batch_execute("rollback").await.unwrap();
    eventually(SOON, "the job", async || fixture.store.job_by_id(id).await.unwrap()).await;
    eventually(SOON, "the news of it", async || (fixture.recorder.take().0.len() == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_on_after_a_restart_of_the_server() {
    let mut server = Server::start().await.unwrap();
    let url = server.url();
    let fixture = StoreFixture::open(async move |after: Arc<dyn AfterCommit>| {
        let store: Arc<dyn Store> = Arc::new(open_at(&url, after).await);
        (store, ())
    })
    .await;
    let mut worker = fixture.worker().await;
    let job = fixture.processing(&worker).await;
    server.stop().await.unwrap();
    for outcome in [
        fixture.store.submit(vec![samples::new_job(&samples::ana())]).await.map(drop),
        fixture.store.check().await,
        worker.heartbeat.beat(Vec::new()).await.map(drop),
        fixture.store.lease_outbox(1).await.map(drop),
    ] {
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    }
    server.start_again().await.unwrap();
    // Nobody's lock is taken yet, and that is nobody's fault.
    assert!(fixture.store.release_lost_jobs(Duration::from_secs(2)).await.unwrap().is_empty());
    let other = fixture.worker().await;
    assert_eq!(redelivered(&fixture, &other, job.id).await, Claimed::Held);
    assert!(worker.heartbeat.beat(vec![progress_of(job.id, 1, 3)]).await.unwrap().is_empty());
    assert_eq!(fixture.settle(&job, Ending::Done(vec![samples::artifact(&job)])).await, Settled::As(JobState::Done));
    fixture.pending().await;
    assert!(fixture.store.uncovered_jobs().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_cut_down_or_frozen_is_unavailable_in_time() {
    let mut server = Server::start().await.unwrap();
    let mut database = settings(&server.url());
    database.statement_timeout = Duration::from_millis(500);
    database.acquire_timeout = Duration::from_millis(500);
    let store = PostgresStore::open(&database, Arc::new(CommitRecorder::default())).await.unwrap();
    store.check().await.unwrap();
    server.freeze().unwrap();
    let start = Instant::now();
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    server.thaw().unwrap();
    eventually(SOON, "the server to be back", async || store.check().await.ok()).await;
    server.kill();
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    server.start_again().await.unwrap();
    eventually(SOON, "the server to be back", async || store.check().await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_server_is_unavailable_and_not_at_fault() {
    let (fixture, database) = set().await;
    let name = database.url().rsplit('/').next().unwrap().to_owned();
    database.sql(&format!("alter database {name} set default_transaction_read_only = on")).await.unwrap();
    database
        .sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'waitless' \
              and datname = current_database()",
        )
        .await
        .unwrap();
    eventually(SOON, "a refusal", async || {
        let refused = fixture.store.submit(vec![samples::new_job(&samples::ana())]).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        refused.is_err_and(|error| error.to_string().contains("read-only")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_start_together_migrate_once() {
    let database = testing::postgres::fresh_database().await.unwrap();
    let configuration = settings(database.url());
    let starts = (0..4).map(|_| PostgresStore::migrate(&configuration));
    for outcome in futures_util::future::join_all(starts).await {
        outcome.unwrap();
    }
    let versions = database.sql("select version from __diesel_schema_migrations").await.unwrap();
    let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap();
    assert_eq!(versions.len(), folders.count());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_too_old_is_told_with_what_to_do() {
    let database = testing::postgres::fresh_database().await.unwrap();
    let mut configuration = settings(database.url());
    configuration.migrate = false;
    let refused = PostgresStore::open(&configuration, Arc::new(CommitRecorder::default())).await.unwrap_err();
    assert!(refused.to_string().contains("run `waitless migrate` first"), "{refused}");
    PostgresStore::migrate(&configuration).await.unwrap();
    PostgresStore::open(&configuration, Arc::new(CommitRecorder::default())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_one_transaction() {
    let (fixture, database) = set().await;
    let outcomes = fixture.store.submit((0..200).map(|_| samples::new_job(&samples::ana())).collect()).await.unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Submitted::Created(_))));
    let transactions = database.sql("select distinct xid from events").await.unwrap();
    assert_eq!(transactions.len(), 1);
    let requests = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Submitted::Created(job) => Some(ClaimRequest { job_id: job.id, redelivered: false, alone: false }),
            _ => None,
        })
        .collect();
    let worker = fixture.worker().await;
    let claimed = fixture.store.claim(worker.id, requests).await.unwrap();
    assert!(claimed.iter().all(|claim| matches!(claim, Claimed::Yes(_))));
    let transactions = database.sql("select distinct xid from events where kind = 'started'").await.unwrap();
    assert_eq!(transactions.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_written_without_touching_an_index() {
    let (fixture, database) = set().await;
    let mut worker = fixture.worker().await;
    let job = fixture.processing(&worker).await;
    for rows in 0..50 {
        worker.heartbeat.beat(vec![progress_of(job.id, 1, rows)]).await.unwrap();
    }
    // A session tells its statistics when it has nothing to do, at the latest when it ends.
    drop(worker);
    let hot = eventually(SOON, "the statistics", async || {
        let rows = database
            .sql("select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'jobs' and n_tup_upd >= 51")
            .await
            .unwrap();
        rows.first().map(|row| row[1].clone().unwrap().parse::<u32>().unwrap())
    })
    .await;
    // The claim changes indexed columns, and now and then a page is full.
    assert!(hot >= 40, "{hot} of 51 updates were HOT");
}
