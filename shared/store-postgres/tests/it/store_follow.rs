//! Followers on PostgreSQL, where a leader and those who follow it change in two transactions.

use std::sync::Arc;
use std::time::Duration;

use configuration::Secret;
use model::event::EventKind;
use model::job::{Job, JobState, NewJob};
use model::reuse::{LinkSeed, Reuse};
use store::{AfterCommit, Ending, Store};
use store_postgres::PostgresStore;
use testing::postgres::Database;
use testing::store_conformance::{StoreFixture, samples};

async fn set() -> (StoreFixture, Arc<Database>) {
    let database = Arc::new(testing::postgres::fresh_store_database().await.unwrap());
    let at = Arc::clone(&database);
    let fixture = StoreFixture::open(async move |after: Arc<dyn AfterCommit>| {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = configuration::Config::embedded(folder.path()).unwrap().database;
        settings.url = Secret::new(at.url());
        let store: Arc<dyn Store> = Arc::new(PostgresStore::open(&settings, after).await.unwrap());
        (store, at)
    })
    .await;
    (fixture, database)
}

fn reusing() -> NewJob {
    let job = samples::new_job(&samples::ana());
    let links = job.formats.iter().map(|format| LinkSeed::new("a secret of the tests", *format)).collect();
    let fingerprint = model::access::hash_token("one");
    NewJob { reuse: Some(Reuse { fingerprint, max_age: Duration::from_secs(60), links, made_from: None }), ..job }
}

async fn kinds(fixture: &StoreFixture, job: &Job) -> Vec<EventKind> {
    fixture.events(job).await.iter().map(|event| event.kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_left_behind_by_a_crash_are_brought_up_to_their_leader_by_legal_steps() {
    let (fixture, database) = set().await;
    let worker = fixture.worker().await;
    let leader = fixture.submit(reusing()).await;
    let (waiting, running) = (fixture.submit(reusing()).await, fixture.submit(reusing()).await);
    // With nobody counted, the leader's changes are told to nobody: as if the process had died behind each of them.
    database.sql("update jobs set joined = 0 where joined is not null").await.unwrap();
    let claimed = fixture.claim(&worker, leader.id).await;
    database.sql(&format!("update jobs set leader_id = null where id = '{}'", waiting.id)).await.unwrap();
    assert!(fixture.store.lead_followers(10).await.unwrap() > 0);
    database.sql(&format!("update jobs set leader_id = '{}' where id = '{}'", leader.id, waiting.id)).await.unwrap();
    assert_eq!(fixture.job(running.id).await.state, JobState::Processing);
    fixture.settle(&claimed, Ending::HandBack).await;
    let claimed = fixture.claim(&worker, leader.id).await;
    fixture.settle(&claimed, Ending::Done(vec![samples::artifact(&claimed)])).await;
    assert_eq!(fixture.job(waiting.id).await.state, JobState::Pending);
    assert!(fixture.store.lead_followers(10).await.unwrap() > 0);
    for follower in [&waiting, &running] {
        let done = fixture.job(follower.id).await;
        assert_eq!((done.state, done.attempt, done.artifacts.len()), (JobState::Done, 2, 1));
        assert_eq!(fixture.store.deliveries_of_job(follower.id).await.unwrap().len(), 1);
    }
    assert_eq!(kinds(&fixture, &waiting).await, [EventKind::Submitted, EventKind::Started, EventKind::Done]);
    let story = [EventKind::Submitted, EventKind::Started, EventKind::HandedBack, EventKind::Started, EventKind::Done];
    assert_eq!(kinds(&fixture, &running).await, story);
    assert_eq!(fixture.store.lead_followers(10).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_whose_leader_ended_long_ago_is_uncovered() {
    let (fixture, database) = set().await;
    let worker = fixture.worker().await;
    let leader = fixture.submit(reusing()).await;
    let follower = fixture.submit(reusing()).await;
    database.sql("update jobs set joined = 0 where joined is not null").await.unwrap();
    let claimed = fixture.claim(&worker, leader.id).await;
    fixture.settle(&claimed, Ending::Done(vec![samples::artifact(&claimed)])).await;
    assert!(fixture.store.uncovered_jobs().await.unwrap().is_empty(), "the sweeper has it");
    let long_ago = format!("update jobs set finished_at = now() - interval '1 minute' where id = '{}'", leader.id);
    database.sql(&long_ago).await.unwrap();
    assert_eq!(fixture.store.uncovered_jobs().await.unwrap(), [follower.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_runs_and_whose_workers_row_is_gone_is_uncovered() {
    let (fixture, database) = set().await;
    let worker = fixture.worker().await;
    let job = fixture.processing(&worker).await;
    fixture.empty_outbox().await;
    assert!(fixture.store.uncovered_jobs().await.unwrap().is_empty());
    database.sql("delete from workers").await.unwrap();
    assert_eq!(fixture.store.uncovered_jobs().await.unwrap(), [job.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_of_a_job_that_a_heartbeat_hands_back_go_back_with_it() {
    let (fixture, database) = set().await;
    let mut worker = fixture.worker().await;
    let leader = fixture.submit(reusing()).await;
    let follower = fixture.submit(reusing()).await;
    fixture.claim(&worker, leader.id).await;
    assert_eq!(fixture.job(follower.id).await.state, JobState::Processing);
    // The answer to the claim was lost: the worker knows of no job.
    database.sql("update jobs set started_at = started_at - interval '20 seconds'").await.unwrap();
    assert!(worker.heartbeat.beat(Vec::new()).await.unwrap().is_empty());
    for job in [&leader, &follower] {
        assert_eq!(fixture.job(job.id).await.state, JobState::Pending);
        let story = [EventKind::Submitted, EventKind::Started, EventKind::HandedBack];
        assert_eq!(kinds(&fixture, job).await, story);
    }
}
