//! What was rung in vain is rung again, and nothing that still waits.

use std::time::Duration;

use broker::Settle;
use model::delivery::Channel;
use model::job::Lane;
use model::message::Queue;
use model::retry_schedule::RetryDelay;
use store::{Ending, WorkerInfo};
use testing::broker_conformance::{SOON, next};
use testing::eventually;
use testing::store_conformance::samples::{self, settlement, worker_info};

use super::{INTERACTIVE, Stage, claim, take};

const MAILS: Queue = Queue::Notify(Channel::Email);

#[tokio::test(flavor = "multi_thread")]
async fn a_long_backlog_is_not_rung_again() {
    let stage = Stage::set(|_| {}).await;
    let mut sweeper = stage.sweeper().await;
    stage.submit(500).await;
    stage.until_ready(500).await;
    for _ in 0..20 {
        sweeper.sweep().await;
    }
    assert_eq!(stage.backends.store.outbox_backlog().await.unwrap().0, 0);
    assert_eq!(stage.ready().await, 500);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_has_taken_and_not_begun_yet_is_not_rung_again() {
    let stage = Stage::set(|_| {}).await;
    let mut sweeper = stage.sweeper().await;
    let info = WorkerInfo { lanes: vec![Lane::Interactive], concurrency: 10, ..worker_info() };
    let _beating = stage.backends.store.register_worker(info).await.unwrap();
    stage.submit(50).await;
    stage.until_ready(50).await;
    let mut deliveries = stage.backends.broker.consume(INTERACTIVE, 10).await;
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(next(&mut deliveries).await);
    }
    for _ in 0..20 {
        sweeper.sweep().await;
    }
    assert_eq!(stage.backends.store.outbox_backlog().await.unwrap().0, 0);
    assert_eq!(stage.ready().await, 40);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_whose_messages_were_lost_are_rung_again() {
    let stage = Stage::set(|_| {}).await;
    let mut sweeper = stage.sweeper().await;
    stage.submit(50).await;
    stage.until_ready(50).await;
    // Somebody takes twenty messages and forgets them.
    let mut thief = stage.backends.broker.consume(INTERACTIVE, 1).await;
    for _ in 0..20 {
        take(&mut thief).await;
    }
    drop(thief);
    stage.until_ready(30).await;
    eventually(SOON, "the lost ones to be rung", async || {
        sweeper.sweep().await;
        stage.ready().await == 50
    })
    .await;
    stage.until_ready(50).await;
    sweeper.sweep().await;
    assert_eq!(stage.ready().await, 50, "more were rung than were lost");
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_nobody_takes_are_rung_once() {
    let stage = Stage::set(|_| {}).await;
    let mut sweeper = stage.sweeper().await;
    for _ in 0..20 {
        let (job, _) = stage.done(Duration::from_secs(3_600)).await;
        assert_eq!(stage.backends.store.deliveries_of_job(job.id).await.unwrap().len(), 1);
    }
    let mails = async || stage.backends.broker.depth(MAILS).await.unwrap().ready;
    eventually(SOON, "a message for each", async || mails().await == 20).await;
    for _ in 0..20 {
        sweeper.sweep().await;
    }
    eventually(SOON, "what was published to be forgotten", async || {
        stage.backends.store.outbox_backlog().await.unwrap().0 == 0
    })
    .await;
    assert_eq!(mails().await, 20);
    // Lost messages are rung again, and only those.
    let mut thief = stage.backends.broker.consume(MAILS, 1).await;
    for _ in 0..7 {
        next(&mut thief).await.settle(Settle::Ack);
    }
    drop(thief);
    eventually(SOON, "the lost ones to be rung", async || {
        sweeper.sweep().await;
        mails().await == 20
    })
    .await;
    sweeper.sweep().await;
    assert_eq!(mails().await, 20, "more were rung than were lost");
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overdue_retries_nobody_takes_are_rung_once() {
    let stage = Stage::set(|_| {}).await;
    let mut sweeper = stage.sweeper().await;
    let worker = worker_info();
    let _heartbeat = stage.backends.store.register_worker(worker.clone()).await.unwrap();
    let mut receiver = stage.backends.broker.consume(INTERACTIVE, 1).await;
    for id in stage.submit(10).await {
        take(&mut receiver).await;
        let job = claim(&stage.backends, worker.id, id).await;
        let delay = RetryDelay { queue: stage.config.broker.retry_delays.delays()[0], due_after: Duration::ZERO };
        let ending = Ending::RetryLater(samples::problem(), delay);
        stage.backends.store.settle(vec![settlement(&job, ending)]).await.unwrap();
    }
    drop(receiver);
    stage.until_ready(10).await;
    for _ in 0..20 {
        sweeper.sweep().await;
    }
    assert_eq!((stage.backends.store.outbox_backlog().await.unwrap().0, stage.ready().await), (0, 10));
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ringing_keeps_to_its_rate() {
    let stage = Stage::set(|config| config.sweeper.ring_rate = 10).await;
    let mut sweeper = stage.sweeper().await;
    stage.submit(200).await;
    stage.until_ready(200).await;
    let mut thief = stage.backends.broker.consume(INTERACTIVE, 100).await;
    for _ in 0..200 {
        take(&mut thief).await;
    }
    drop(thief);
    stage.until_ready(0).await;
    let since = std::time::Instant::now();
    for _ in 0..20 {
        sweeper.sweep().await;
    }
    let most = 10.0 * (since.elapsed().as_secs_f64() + 1.0) + 1.0;
    eventually(SOON, "the first to be rung", async || stage.ready().await >= 10).await;
    assert!((stage.ready().await as f64) <= most, "{} were rung", stage.ready().await);
    stage.strike().await;
}
