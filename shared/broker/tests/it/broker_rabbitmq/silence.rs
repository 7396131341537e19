//! Queues that do not answer although their server does.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use broker::{Broker, Incoming, PublishError, Settle};
use model::delivery::Channel;
use model::job::Lane;
use model::message::{OutboxMessage, Queue};
use testing::broker_conformance::{delivery_message, job_message, next, settings};
use testing::eventually;
use testing::rabbitmq::Server;
use tokio::sync::mpsc;

use super::open_at;

const BULK: Queue = Queue::Work(Lane::Bulk);
const INTERACTIVE: Queue = Queue::Work(Lane::Interactive);
/// Patience with a queue, its deletion, and two busy cores.
const A_WHILE: Duration = Duration::from_secs(90);

/// Publishes until it is accepted, and returns the errors until then.
async fn insist(broker: &dyn Broker, message: &OutboxMessage) -> Vec<PublishError> {
    let mut errors = Vec::new();
    eventually(A_WHILE, &format!("a message for {} to be accepted", message.route.queue.name()), async || {
        let outcome = broker.publish(std::slice::from_ref(message)).await.remove(0);
        errors.extend(outcome.clone().err());
        outcome
    })
    .await;
    errors
}

/// Takes messages until this one has come, and tells whether any of them came for the second time.
async fn take_until(receiver: &mut mpsc::Receiver<Incoming>, message: &OutboxMessage) -> bool {
    let (id, mut again) = (message.id.to_string(), false);
    loop {
        // The message comes in time, and the consumer goes on.
        let mut incoming = tokio::time::timeout(A_WHILE, receiver.recv()).await.unwrap().unwrap();
        again |= incoming.redelivered;
        incoming.settle(Settle::Ack);
        if incoming.message_id.as_ref() == Some(&id) {
            return again;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_without_a_leader_is_made_anew_while_the_others_go_on() {
    let server = Server::start().await.unwrap();
    let here = open_at(&server.url(), settings()).await;
    let there = open_at(&server.url(), settings()).await;
    let mut others = there.consume(INTERACTIVE, 5).await;
    let mut silent = there.consume(BULK, 5).await;
    for (queue, receiver) in [(Lane::Interactive, &mut others), (Lane::Bulk, &mut silent)] {
        here.publish(&[job_message(queue)]).await.remove(0).unwrap();
        next(receiver).await.settle(Settle::Ack);
    }
    server.silence_queue(&BULK.name()).await.unwrap();

    let since = Instant::now();
    let mut doubted = 0;
    // Both processes publish to it, so both find out and neither may delete what the other has made.
    let mut answered = HashSet::new();
    while answered.len() < 2 {
        assert!(since.elapsed() < A_WHILE, "the queue was not made anew");
        for (at, broker) in [&here, &there].into_iter().enumerate() {
            let (bulk, interactive) = (job_message(Lane::Bulk), job_message(Lane::Interactive));
            let outcomes = broker.publish(&[bulk, interactive.clone()]).await;
            assert_eq!(outcomes[1], Ok(()), "after {:?}", since.elapsed());
            assert!(!take_until(&mut others, &interactive).await, "the other consumer lost its session");
            match &outcomes[0] {
                Ok(()) => drop(answered.insert(at)),
                Err(PublishError::Silent(queue)) => {
                    assert_eq!(*queue, BULK.name());
                    doubted += 1;
                }
                // Just deleted, and not declared yet.
                Err(PublishError::Refused(why)) => assert!(why.contains("no queue takes"), "{why}"),
                Err(other) => panic!("{other}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("answered again after {:?}, {doubted} publishes were refused at once", since.elapsed());
    assert!(doubted > 0, "nobody noticed");
    let message = job_message(Lane::Bulk);
    insist(here.as_ref(), &message).await;
    take_until(&mut silent, &message).await;
}

/// Patience, deletion, and two cores that are busy with other tests. Patience that had doubled with each time would take longer.
const MENDED_WITHIN: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_refuses_everybody_at_once_is_made_anew_each_time() {
    let server = Server::start().await.unwrap();
    let here = open_at(&server.url(), settings()).await;
    let mut receiver = here.consume(BULK, 5).await;
    let mut mended = Vec::new();
    for round in 0..4 {
        let before = job_message(Lane::Bulk);
        insist(here.as_ref(), &before).await;
        take_until(&mut receiver, &before).await;
        server.break_queue(&BULK.name()).await.unwrap();
        let since = Instant::now();
        let (bulk, interactive) = (job_message(Lane::Bulk), job_message(Lane::Interactive));
        // The broker is well, and so is every other queue.
        here.publish(&[interactive]).await.remove(0).unwrap();
        let errors = insist(here.as_ref(), &bulk).await;
        take_until(&mut receiver, &bulk).await;
        mended.push(since.elapsed());
        println!(
            "round {round}: mended after {:?}; {} errors, first {:?}",
            since.elapsed(),
            errors.len(),
            errors.first()
        );
    }
    assert!(mended.iter().all(|took| *took < MENDED_WITHIN), "{mended:?}");
}

/// A queue that was deleted is declared anew at once by whoever consumes it. A server killed less than a second later knows of it, and
/// has not written down which process it has; at each further start it finds the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_was_declared_anew_just_before_its_server_was_killed_is_used_again_after_every_start() {
    let mut server = Server::start().await.unwrap();
    let here = open_at(&server.url(), settings()).await;
    let mut receiver = here.consume(BULK, 5).await;
    let first = job_message(Lane::Bulk);
    insist(here.as_ref(), &first).await;
    take_until(&mut receiver, &first).await;
    server.ctl(&["delete_queue", &BULK.name()]).await.unwrap();
    // Part of the fault: late enough for the queue to be there again, and too soon for the server to have saved it.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let mut mended = Vec::new();
    for round in 0..3 {
        server.kill();
        server.start_again().await.unwrap();
        let since = Instant::now();
        let message = job_message(Lane::Bulk);
        let errors = insist(here.as_ref(), &message).await;
        take_until(&mut receiver, &message).await;
        mended.push(since.elapsed());
        println!(
            "round {round}: used again after {:?}; {} errors, last {:?}",
            since.elapsed(),
            errors.len(),
            errors.last()
        );
    }
    println!("{:?}", server.log().lines().filter(|line| line.contains("could not be restarted")).collect::<Vec<_>>());
    assert!(mended.iter().all(|took| *took < MENDED_WITHIN), "{mended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_queue_of_a_server_killed_right_after_their_declaration_is_used_again() {
    let mut server = Server::start().await.unwrap();
    let here = open_at(&server.url(), settings()).await;
    here.check().await.unwrap();
    server.kill();
    server.start_again().await.unwrap();
    let started = "ra system 'quorum_queues' running pre init for";
    println!("{:?}", server.log().lines().filter(|line| line.contains(started)).collect::<Vec<_>>());
    let there = open_at(&server.url(), settings()).await;
    let use_lane = async |lane: Lane| {
        let mut receiver = there.consume(Queue::Work(lane), 5).await;
        let message = job_message(lane);
        insist(here.as_ref(), &message).await;
        take_until(&mut receiver, &message).await;
        // Also by way of each delay queue.
        for delay in settings().retry_delays.delays() {
            let mut delayed = job_message(lane);
            delayed.route.delay = Some(*delay);
            insist(here.as_ref(), &delayed).await;
            take_until(&mut receiver, &delayed).await;
        }
    };
    let use_mail = async {
        let mut receiver = there.consume(Queue::Notify(Channel::Email), 5).await;
        let message = delivery_message();
        insist(here.as_ref(), &message).await;
        take_until(&mut receiver, &message).await;
    };
    let dead = OutboxMessage { route: model::message::Route::now(Queue::Dead), ..job_message(Lane::Bulk) };
    tokio::join!(use_lane(Lane::Interactive), use_lane(Lane::Bulk), use_mail, insist(here.as_ref(), &dead));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_slow_with_everything_keeps_its_queues() {
    let server = Server::start().await.unwrap();
    let here = open_at(&server.url(), settings()).await;
    let kept = job_message(Lane::Bulk);
    here.publish(std::slice::from_ref(&kept)).await.remove(0).unwrap();
    // The log that all quorum queues write to, as on a disk that hangs.
    server.ctl(&["eval", "sys:suspend(ra_log_wal)."]).await.unwrap();
    let since = Instant::now();
    let patience = Duration::from_secs(20);
    while since.elapsed() < patience {
        let outcome = here.publish(&[job_message(Lane::Bulk)]).await.remove(0);
        assert!(outcome.is_err());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.ctl(&["eval", "sys:resume(ra_log_wal)."]).await.unwrap();
    insist(here.as_ref(), &job_message(Lane::Bulk)).await;
    let mut receiver = here.consume(BULK, 1).await;
    take_until(&mut receiver, &kept).await;
}
