//! Workers that are killed or cut off, on PostgreSQL and RabbitMQ.

use std::time::{Duration, Instant};

use configuration::Secret;
use model::job::JobState;
use model::message::Queue;
use model::problem::ProblemKind;
use model::progress::Phase;
use model::transitions::MAX_CRASHES;
use testing::source::SourceDatabase;

use crate::stack::{SOON, Stack, report};

/// A worker as a process of its own, on the places of the stack.
pub(crate) fn worker_process(stack: &Stack, source: &SourceDatabase) -> testing::process::Builder {
    let config = &stack.config;
    testing::process::binary("report-worker")
        .env("WAITLESS_DATABASE__URL", config.database.url.expose())
        .env("WAITLESS_BROKER__URL", config.broker.url.expose())
        .env("WAITLESS_BROKER__RETRY_DELAYS", "300ms,1s")
        .env("WAITLESS_STORAGE__URL", config.storage.url.clone())
        .env("WAITLESS_SERVICE__LINK_SECRET", config.service.link_secret.expose())
        .env("WAITLESS_SOURCES__SHOP__URL", source.url())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_cut_off_stops_its_queries_before_others_take_its_jobs() {
    let source = SourceDatabase::postgres("").await;
    let stack = Stack::real().await;
    let proxy = testing::proxy::start(address(stack.config.database.url.expose())).await.unwrap();
    let mut cut_off =
        stack.through(|config| config.database.url = Secret::new(proxy.url(config.database.url.expose()))).await;
    cut_off.add_source("shop", source.url());
    let worker = cut_off.start_worker().await;
    let id = stack.submit(&report("shop", "select pg_sleep(5)::text as s", "")).await;
    testing::eventually(SOON, "the query runs", async || source.running().await == 1).await;

    let cut = Instant::now();
    proxy.hold();
    testing::eventually(Duration::from_secs(5), "the query is stopped", async || source.running().await == 0).await;
    assert!(cut.elapsed() < Duration::from_millis(2500), "after {:?}", cut.elapsed());

    // Whoever is first, the job is run again, and only that attempt counts.
    proxy.heal();
    let job = stack.wait_for(id, JobState::Done).await;
    assert!(job.attempt >= 2, "attempt {}", job.attempt);
    assert_eq!((job.errors, job.artifacts.len()), (0, 1));
    testing::eventually(SOON, "only the job's file is kept", async || stack.keys().await.len() == 1).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_job_whose_message_was_acknowledged_survives_the_death_of_its_worker() {
    let source = SourceDatabase::postgres("").await;
    let stack = Stack::real().await;
    let mut lost =
        worker_process(&stack, &source).env("WAITLESS_BROKER__HAND_OFF_AFTER", "200ms").start_ready().await.unwrap();
    let id = stack.submit(&report("shop", "select pg_sleep(3)::text as s", "")).await;
    stack.wait_for(id, JobState::Processing).await;
    testing::eventually(SOON, "the message is acknowledged", async || lost.log().contains("carried by the heartbeat"))
        .await;
    lost.kill();
    assert_eq!(stack.backends.broker.depth(Queue::Work(model::job::Lane::Interactive)).await.unwrap().ready, 0);

    let _other = worker_process(&stack, &source).start_ready().await.unwrap();
    let job = stack.wait_for(id, JobState::Done).await;
    assert_eq!((job.attempt, job.crashes, job.errors), (2, 1, 0));
    assert_eq!(stack.keys().await, [job.artifacts[0].object_key.clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_every_worker_fails_and_those_beside_it_are_done() {
    let source = SourceDatabase::postgres("").await;
    let stack = Stack::real().await;
    let start = async || worker_process(&stack, &source).start_ready().await.unwrap();
    let poison = stack.submit(&report("shop", "select pg_sleep(600)::text as s", "")).await;
    let mut neighbours = Vec::new();
    for _ in 0..3 {
        neighbours.push(stack.submit(&report("shop", "select pg_sleep(3)::text as s", "")).await);
    }
    for crash in 1..=MAX_CRASHES {
        let mut worker = start().await;
        testing::eventually(Duration::from_secs(60), "the poison works", async || {
            let job = stack.job(poison).await;
            let works = job.state == JobState::Processing && job.progress.phase != Phase::Waiting;
            if works && job.attempt >= crash { Ok(()) } else { Err(format!("{job:?}")) }
        })
        .await;
        worker.kill();
    }
    let _last = start().await;
    let failed = stack.wait_for(poison, JobState::Failed).await;
    assert_eq!((failed.crashes, failed.errors), (MAX_CRASHES, 0));
    assert_eq!(failed.error.unwrap().kind, ProblemKind::WorkersLost);
    for id in neighbours {
        let job = stack.wait_for(id, JobState::Done).await;
        assert!(job.errors == 0 && job.crashes < MAX_CRASHES, "{job:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_asked_to_stop_hands_back_and_exits_well() {
    let source = SourceDatabase::postgres("").await;
    let stack = Stack::real().await;
    let worker = worker_process(&stack, &source).env("WAITLESS_SERVICE__SHUTDOWN_GRACE", "2s");
    let mut worker = worker.start_ready().await.unwrap();
    let id = stack.submit(&report("shop", "select pg_sleep(600)::text as s", "")).await;
    testing::eventually(SOON, "the query runs", async || source.running().await == 1).await;
    worker.terminate().unwrap();
    let status = worker.wait(Duration::from_secs(10)).await.unwrap();
    assert!(status.success(), "{status}:\n{}", worker.log());
    let job = stack.job(id).await;
    assert_eq!((job.state, job.errors, job.crashes, job.interruptions), (JobState::Pending, 0, 0, 1));
    assert_eq!(source.running().await, 0);
    stack.cancel(id).await;
}

/// Takes `host:port` out of a URL.
fn address(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default().to_owned()
}
