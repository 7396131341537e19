//! What happens to a whole server.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use broker::{Broker, Incoming, PublishError, Settle};
use model::job::Lane;
use model::message::{OutboxMessage, Queue};
use testing::broker_conformance::{SOON, job_message, next, settings};
use testing::eventually;
use testing::rabbitmq::Server;
use tokio::sync::mpsc;

use super::open_at;

const BULK: Queue = Queue::Work(Lane::Bulk);
/// A server on two busy cores takes its time.
const A_WHILE: Duration = Duration::from_secs(60);

/// Publishes each of the batches until it is accepted.
async fn publish_all(broker: &dyn Broker, batches: Vec<Vec<OutboxMessage>>) {
    for batch in batches {
        let mut left = batch;
        eventually(A_WHILE, "a batch to be accepted", async || {
            let outcomes = broker.publish(&left).await;
            left = left.drain(..).zip(outcomes).filter(|(_, outcome)| outcome.is_err()).map(|(one, _)| one).collect();
            left.is_empty()
        })
        .await;
    }
}

/// Takes messages until all of `awaited` have come at least once.
async fn take_all(receiver: &mut mpsc::Receiver<Incoming>, mut awaited: HashSet<String>) {
    while !awaited.is_empty() {
        let Ok(Some(mut incoming)) = tokio::time::timeout(A_WHILE, receiver.recv()).await else {
            panic!("{} messages never came", awaited.len());
        };
        awaited.remove(incoming.message_id.as_ref().unwrap());
        incoming.settle(Settle::Ack);
    }
}

fn batches(count: usize) -> (Vec<Vec<OutboxMessage>>, HashSet<String>) {
    let batches: Vec<Vec<_>> = (0..count).map(|_| (0..20).map(|_| job_message(Lane::Bulk)).collect()).collect();
    let ids = batches.iter().flatten().map(|message| message.id.to_string()).collect();
    (batches, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_stopped_or_killed_while_publishing_and_consuming_loses_nothing() {
    let mut server = Server::start().await.unwrap();
    let here = open_at(&server.url(), settings()).await;
    let there = open_at(&server.url(), settings()).await;
    let mut receiver = there.consume(BULK, 10).await;
    for kill in [false, true] {
        let (batches, mut awaited) = batches(200);
        let trouble = async {
            // Some have come, most have not: now it goes.
            for _ in 0..100 {
                let mut incoming = next(&mut receiver).await;
                awaited.remove(incoming.message_id.as_ref().unwrap());
                incoming.settle(Settle::Ack);
            }
            if kill {
                server.kill();
            } else {
                server.stop().await.unwrap();
            }
            let fault = eventually(SOON, "the loss to be noticed", async || here.check().await.err()).await;
            assert!(!fault.contains('\n') && fault.contains("RabbitMQ at 127.0.0.1"), "{fault}");
            server.start_again().await.unwrap();
            take_all(&mut receiver, awaited).await;
        };
        tokio::join!(publish_all(here.as_ref(), batches), trouble);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_noticed_in_bounded_time_and_used_again_when_it_thaws() {
    let server = Server::start().await.unwrap();
    let here = open_at(&server.url(), settings()).await;
    let mut receiver = here.consume(BULK, 1).await;
    publish_all(here.as_ref(), batches(1).0).await;
    let held = next(&mut receiver).await;
    server.freeze().unwrap();

    let since = Instant::now();
    let outcome = here.publish(&[job_message(Lane::Bulk)]).await.remove(0);
    assert!(matches!(outcome, Err(PublishError::Unavailable(_))), "{outcome:?}");
    assert_eq!(here.depth(BULK).await, None);
    assert!(here.check().await.is_err());
    assert!(since.elapsed() < settings().timeout + Duration::from_secs(6), "{:?}", since.elapsed());

    server.thaw().unwrap();
    let (batches, ids) = batches(2);
    publish_all(here.as_ref(), batches).await;
    drop(held);
    take_all(&mut receiver, ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_closed_by_the_server_come_back_and_what_was_held_comes_again() {
    let vhost = testing::rabbitmq::fresh_vhost().await.unwrap();
    let here = open_at(vhost.url(), settings()).await;
    let message = job_message(Lane::Bulk);
    assert_eq!(here.publish(std::slice::from_ref(&message)).await, [Ok(())]);
    let mut receiver = here.consume(BULK, 1).await;
    let mut held = next(&mut receiver).await;
    let mut closed = 0;
    eventually(SOON, "both connections are closed", async || {
        closed += vhost.close_connections().await.unwrap_or_default();
        closed >= 2
    })
    .await;

    let mut again = next(&mut receiver).await;
    assert_eq!(again.message_id, Some(message.id.to_string()));
    assert!(again.redelivered);
    // The connection it came on is gone, so this is void, and harmless.
    held.settle(Settle::Ack);
    again.settle(Settle::Ack);
    publish_all(here.as_ref(), batches(1).0).await;
    next(&mut receiver).await.settle(Settle::Ack);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_alarm_stops_publishing_but_not_acknowledging() {
    let server = Server::start().await.unwrap();
    let here = open_at(&server.url(), settings()).await;
    let (batches, ids) = batches(2);
    publish_all(here.as_ref(), batches).await;
    server.ctl(&["set_vm_memory_high_watermark", "0.00001"]).await.unwrap();

    let since = Instant::now();
    let blocked = eventually(A_WHILE, "publishing to be blocked", async || {
        match here.publish(&[job_message(Lane::Bulk)]).await.remove(0) {
            Err(PublishError::Unavailable(why)) => Ok(why),
            other => Err(format!("{other:?}")),
        }
    });
    let fault = blocked.await;
    assert!(fault.contains("short of memory"), "{fault}");
    assert!(since.elapsed() < settings().timeout * 2, "{:?}", since.elapsed());
    let mut receiver = here.consume(BULK, 5).await;
    take_all(&mut receiver, ids).await;

    server.ctl(&["set_vm_memory_high_watermark", "0.9"]).await.unwrap();
    eventually(A_WHILE, "publishing to be possible", async || here.check().await).await;
    publish_all(here.as_ref(), self::batches(1).0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_starts_without_its_broker_and_finds_it_later() {
    let mut server = Server::start().await.unwrap();
    let url = server.url();
    server.stop().await.unwrap();
    let since = Instant::now();
    let here = open_at(&url, settings()).await;
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    let mut receiver = here.consume(BULK, 5).await;
    assert!(here.check().await.unwrap_err().contains("cannot be reached"));
    server.start_again().await.unwrap();
    let (batches, ids) = batches(1);
    publish_all(here.as_ref(), batches).await;
    take_all(&mut receiver, ids).await;
}
