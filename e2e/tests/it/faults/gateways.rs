//! Gateways come and go; clients ask another one.

use std::time::{Duration, Instant};

use model::job::JobState;
use testing::eventually;

use crate::client::{Answer, quick, slow};
use crate::rabbitmq::ServerChoice;
use crate::stack::{Options, SOON, Stack};
use crate::watcher::Seen;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_never_answered_asks_again_and_has_one_job() {
    let mut stack = Stack::start_with(Options { gateways: 2, workers: 1, notifiers: 1, ..Options::default() }).await;
    let wish = quick().with_mail();
    for _ in 0..2 {
        let first = stack.gateways[0].url();
        let proxy = testing::proxy::start(first.trim_start_matches("http://")).await.unwrap();
        // The request arrives, is committed, and its answer never comes.
        proxy.hold_answers();
        let (client, place) = (stack.client.clone(), stack.client.note(&wish));
        let (asking, through) = (wish.clone(), proxy.url(&first));
        let asked = tokio::spawn(async move { client.try_once(place, &asking, Some(&through)).await });
        let key = stack.client.operations()[place].key.clone();
        eventually(SOON, "the submit is committed", async || {
            let rows = stack.postgres.sql(&format!("select job_id from idempotency where key = '{key}'")).await;
            rows.is_ok_and(|rows| rows.len() == 1)
        })
        .await;
        stack.kill_gateway(0);
        proxy.cut();
        assert_eq!(asked.await.unwrap(), Answer::Nothing);
        let again = stack.client.try_once(place, &wish, None).await;
        let once_more = stack.client.try_once(place, &wish, None).await;
        assert!(matches!(again, Answer::Accepted(_)) && again == once_more, "{again:?}, {once_more:?}");
        stack.add_gateway().await;
    }
    stack.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doorbells_of_a_killed_gateway_are_sent_by_two_others_once_the_broker_is_back() {
    let rabbitmq = ServerChoice::OwnServer(testing::rabbitmq::Options::default());
    let options = Options { gateways: 3, workers: 2, notifiers: 2, rabbitmq, ..Options::default() };
    let mut stack = Stack::start_with(options).await;
    stack.rabbitmq.server_mut().kill();
    let jobs = stack.client.submit_many(90, &quick().with_mail()).await;
    stack.kill_gateway(0);
    stack.rabbitmq.server_mut().start_again().await.unwrap();
    stack.settle().await;
    for id in jobs {
        assert_eq!(stack.job(id).await.attempt, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_killed_under_load_lose_nothing_they_promised() {
    let mut stack = Stack::start_with(Options { gateways: 2, workers: 2, notifiers: 1, ..Options::default() }).await;
    let client = stack.client.clone();
    let submitting = tokio::spawn(async move { client.submit_many(400, &quick().with_mail()).await });
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(6) && !submitting.is_finished() {
        stack.kill_gateway(0);
        stack.add_gateway().await;
    }
    submitting.await.unwrap();
    stack.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_comes_back_with_the_last_id_sees_every_event_once() {
    let mut stack = Stack::start_with(Options { gateways: 1, workers: 1, notifiers: 1, ..Options::default() }).await;
    let id = stack.client.submit(&slow(3_000)).await;
    let mut seen = Seen::default();
    seen.read(stack.client.watch(id, None).await.unwrap(), 2).await;
    // The worker is lost while nobody watches, and the gateway is another one afterwards.
    stack.wait_for(id, JobState::Processing).await;
    stack.kill_gateway(0);
    stack.workers.remove(0).kill();
    stack.add_worker().await;
    stack.add_gateway().await;
    let last = seen.last.clone();
    seen.read(stack.client.watch(id, last.as_deref()).await.unwrap(), usize::MAX).await;
    let job = stack.wait_for(id, JobState::Done).await;
    let seqs: Vec<i64> = seen.events.iter().map(|(seq, _)| *seq).collect();
    assert!(seqs.iter().copied().eq(1..=job.seq), "{:?} of {}", seen.events, job.seq);
    let finals =
        seen.events.iter().filter(|(_, name)| matches!(name.as_str(), "done" | "failed" | "cancelled")).count();
    assert_eq!(finals, 1, "{:?}", seen.events);
    stack.settle().await;
}
