//! The database is the truth: while it is away nothing is promised, and nothing is forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use model::job::JobState;
use testing::eventually;

use crate::client::{Answer, quick, slow};
use crate::rabbitmq::ServerChoice;
use crate::stack::{SOON, Stack};

/// Cuts every session but the asking one.
const TERMINATE: &str = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()
    and backend_type = 'client backend'";

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_cut_and_a_server_that_restarts_cost_no_job() {
    let mut stack = Stack::start(2).await;
    let client = stack.client.clone();
    let enough = Arc::new(AtomicBool::new(false));
    let enough_yet = Arc::clone(&enough);
    let submitting = tokio::spawn(async move {
        // As long as the faults take, so that each of them meets jobs and submits.
        while !enough_yet.load(Ordering::Relaxed) {
            client.submit_many(8, &quick().with_mail()).await;
            client.submit_many(4, &slow(150).with_mail()).await;
        }
    });
    for _ in 0..5 {
        stack.wait_until_some_are(JobState::Processing, 1).await;
        stack.postgres.sql(TERMINATE).await.unwrap();
    }
    stack.postgres.stop().await.unwrap();
    stack.postgres.start_again().await.unwrap();
    stack.wait_until_some_are(JobState::Processing, 1).await;
    stack.postgres.kill();
    stack.postgres.start_again().await.unwrap();
    enough.store(true, Ordering::Relaxed);
    submitting.await.unwrap();
    stack.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_down_submits_are_told_when_to_come_back_and_workers_stop_their_jobs() {
    let mut stack = Stack::start(2).await;
    let running = stack.client.submit_many(4, &slow(30_000)).await;
    for id in &running {
        stack.wait_for(*id, JobState::Processing).await;
    }
    stack.client.submit_many(20, &quick().with_mail()).await;
    stack.postgres.kill();
    let wish = quick().with_mail();
    let waiting: Vec<usize> = (0..6).map(|_| stack.client.note(&wish)).collect();
    for place in &waiting {
        stack.client.try_once(*place, &wish, None).await;
        let (answer, took) = stack.client.operations()[*place].answers[0].clone();
        assert!(matches!(answer, Answer::Unavailable(Some(1..=60))), "{answer:?}");
        assert!(took < Duration::from_secs(6), "a 503 took {took:?}");
    }
    for worker in &stack.workers {
        eventually(SOON, "the worker stops its jobs", async || worker.log().contains("this worker stops its jobs"))
            .await;
    }
    stack.postgres.start_again().await.unwrap();
    // The same client comes back with the same keys.
    for place in waiting {
        eventually(SOON, "it is accepted", async || match stack.client.try_once(place, &wish, None).await {
            Answer::Accepted(id) => Ok(id),
            other => Err(format!("{other:?}")),
        })
        .await;
    }
    for id in running {
        // Nobody waits half a minute again for this proof.
        eventually(SOON, "the job runs again", async || stack.job(id).await.attempt >= 2).await;
        stack.cancel(id).await;
    }
    stack.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_pooler_of_transactions_everything_works() {
    let mut stack = Stack::prepare(ServerChoice::SharedServer, Vec::new()).await;
    let pooler = testing::postgres::Pooler::start(&stack.postgres.url(), 6).await.unwrap();
    stack.set("WAITLESS_DATABASE__URL", pooler.url());
    stack.add_gateway().await;
    stack.add_worker().await;
    stack.add_worker().await;
    stack.add_notifier().await;
    let wish = quick().with_mail();
    let submits = (0..40).map(|_| async {
        let place = stack.client.note(&wish);
        stack.client.try_once(place, &wish, None).await
    });
    for answer in futures_util::future::join_all(submits).await {
        assert!(matches!(answer, Answer::Accepted(_)), "{answer:?}");
    }
    // A killed worker is missed by its heartbeat, and only a killed one.
    let id = stack.client.submit(&slow(3_000)).await;
    let holder = stack.holder(id).await;
    let mut killed = stack.workers.remove(holder);
    killed.kill();
    let since = Instant::now();
    eventually(SOON, "the job runs again", async || stack.job(id).await.attempt == 2).await;
    println!("a killed worker's job ran again after {:?}", since.elapsed());
    assert!(since.elapsed() < Duration::from_secs(3), "after {:?}", since.elapsed());
    assert_eq!(stack.job(id).await.crashes, 1);
    let alive = "select host from workers where heartbeat_at > now() - interval '2 seconds' and lock_key is null";
    eventually(SOON, "the other worker lives", async || stack.postgres.sql(alive).await.unwrap().len() == 1).await;
    stack.settle().await;
    for process in stack.gateways.iter().chain(&stack.workers).chain(&stack.notifiers) {
        let log = process.log();
        assert!(!log.contains("prepared statement") && !log.contains("the sweeper cannot do this"), "{log}");
    }
}
