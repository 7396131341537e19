//! What operators and accidents do to queues and bindings.

use std::collections::HashSet;

use broker::{Broker, PublishError, Settle};
use model::job::Lane;
use model::message::{OutboxMessage, Queue};
use testing::broker_conformance::{SOON, broadcast, job_message, next, settings};
use testing::eventually;
use tokio::sync::broadcast::error::RecvError;

use super::{open, open_at};

const BULK: Queue = Queue::Work(Lane::Bulk);

fn refused(outcome: &Result<(), PublishError>) -> bool {
    matches!(outcome, Err(PublishError::Refused(_)))
}

/// Publishes until it is accepted: the topology may be in the making.
async fn publish(broker: &dyn Broker, message: &OutboxMessage) {
    eventually(SOON, "the message to be accepted", async || {
        broker.publish(std::slice::from_ref(message)).await.remove(0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unroutable_message_is_refused_and_its_queue_is_made_again() {
    let (broker, _, server) = open(settings()).await;
    server.delete_queue(&BULK.name()).await.unwrap();
    let message = job_message(Lane::Bulk);
    let outcome = broker.publish(std::slice::from_ref(&message)).await.remove(0);
    assert_eq!(outcome, Err(PublishError::Refused("no queue takes `bulk`".to_owned())));
    publish(broker.as_ref(), &message).await;
    let mut receiver = broker.consume(BULK, 1).await;
    next(&mut receiver).await.settle(Settle::Ack);
}

#[tokio::test(flavor = "multi_thread")]
async fn returned_messages_are_told_from_accepted_ones_in_one_batch() {
    let (broker, _, server) = open(settings()).await;
    for round in 0..5 {
        eventually(SOON, "the queue to be there", async || server.delete_queue(&BULK.name()).await).await;
        // Unroutable ones in clusters of changing size, at changing places.
        let lane = |at: usize| if (at * at + round) % 7 < 3 { Lane::Bulk } else { Lane::Interactive };
        let batch: Vec<_> = (0..200).map(|at| job_message(lane(at))).collect();
        let outcomes = broker.publish(&batch).await;
        for (message, outcome) in batch.iter().zip(outcomes) {
            assert_eq!(refused(&outcome), message.route.queue == BULK, "{outcome:?}");
            assert_eq!(outcome.is_ok(), message.route.queue != BULK, "{outcome:?}");
        }
        publish(broker.as_ref(), &job_message(Lane::Bulk)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_messages() {
    let (broker, _, server) = open(settings()).await;
    let policy =
        serde_json::json!({"pattern": "^waitless.work.bulk", "definition": {"max-length": 5}, "apply-to": "queues"});
    server.manage("PUT", "/api/policies/{vhost}/full", Some(&policy)).await.unwrap();
    let mut accepted = 0;
    eventually(SOON, "a message to be refused", async || {
        let outcome = broker.publish(&[job_message(Lane::Bulk)]).await.remove(0);
        accepted += u32::from(outcome.is_ok());
        matches!(outcome, Err(PublishError::Refused(why)) if why.contains("full"))
    })
    .await;
    assert!(accepted >= 5, "only {accepted} were accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_is_made_again_and_found_by_its_consumers() {
    let (here, there, server) = open(settings()).await;
    let mut receiver = there.consume(BULK, 2).await;
    for _ in 0..5 {
        publish(here.as_ref(), &job_message(Lane::Bulk)).await;
        next(&mut receiver).await.settle(Settle::Ack);
    }
    server.delete_queue(&BULK.name()).await.unwrap();
    // RabbitMQ 3.10 attaches the old consumer to the new queue, and takes the first five messages for ones it had before: they
    // reach nobody. The sweeper rings again for such jobs, as is done here, and that is what gives the consumer away.
    let mut rung = HashSet::new();
    eventually(SOON, "every message to come", async || {
        let message = job_message(Lane::Bulk);
        publish(here.as_ref(), &message).await;
        rung.insert(message.id.to_string());
        while let Ok(mut incoming) = receiver.try_recv() {
            rung.remove(incoming.message_id.as_ref().unwrap());
            incoming.settle(Settle::Ack);
        }
        if rung.len() <= 1 { Ok(()) } else { Err(format!("{} did not", rung.len())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_queue_goes_on() {
    let (here, there, server) = open(settings()).await;
    here.publish(&[job_message(Lane::Bulk), job_message(Lane::Bulk)]).await;
    server.purge(&BULK.name()).await.unwrap();
    let message = job_message(Lane::Bulk);
    publish(here.as_ref(), &message).await;
    let mut receiver = there.consume(BULK, 2).await;
    assert_eq!(next(&mut receiver).await.message_id, Some(message.id.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_binding_is_made_again() {
    let (broker, _, server) = open(settings()).await;
    let binding = format!("/api/bindings/{{vhost}}/e/waitless.work.v1/q/{}/bulk", BULK.name());
    server.manage("DELETE", &binding, None).await.unwrap();
    let message = job_message(Lane::Bulk);
    assert!(refused(&broker.publish(std::slice::from_ref(&message)).await[0]));
    publish(broker.as_ref(), &message).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_with_other_arguments_is_reported_in_one_line_until_it_is_gone() {
    let server = testing::rabbitmq::fresh_vhost().await.unwrap();
    let arguments =
        serde_json::json!({"durable": true, "arguments": {"x-queue-type": "quorum", "x-delivery-limit": 5}});
    let path = format!("/api/queues/{{vhost}}/{}", BULK.name());
    server.manage("PUT", &path, Some(&arguments)).await.unwrap();

    let broker = open_at(server.url(), settings()).await;
    let fault = broker.check().await.unwrap_err();
    for part in ["queue waitless.work.bulk.v1 exists with other settings", "inequivalent arg", "delete it"] {
        assert!(fault.contains(part), "{fault}");
    }
    assert!(!fault.contains('\n') && !fault.contains("guest"), "{fault}");
    let outcome = broker.publish(&[job_message(Lane::Bulk)]).await.remove(0);
    assert!(matches!(outcome, Err(PublishError::Unavailable(_))), "{outcome:?}");

    server.delete_queue(&BULK.name()).await.unwrap();
    eventually(SOON, "the broker to be in order", async || broker.check().await).await;
    publish(broker.as_ref(), &job_message(Lane::Bulk)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_newest_dead_letters_are_kept_and_nothing_else_has_a_bound() {
    let (_broker, _, server) = open(settings()).await;
    let queues = server.manage("GET", "/api/queues/{vhost}?columns=name,arguments", None).await.unwrap();
    let mut shown: Vec<_> = queues.as_array().unwrap().iter().map(ToString::to_string).collect();
    shown.sort();
    insta::assert_snapshot!(shown.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_takes_events_only_while_somebody_listens_there() {
    let (here, there, server) = open(settings()).await;
    let own_queues = async || -> usize {
        server.queues().await.unwrap().iter().filter(|queue| queue.starts_with("amq.gen")).count()
    };
    assert_eq!(own_queues().await, 0);
    for _ in 0..2 {
        let mut listening = there.subscribe();
        let told = tokio::time::timeout(SOON, listening.recv()).await.unwrap();
        assert!(
            matches!(told, Err(RecvError::Lagged(_))),
            "what was sent before is missed, and that is said: {told:?}"
        );
        here.broadcast(broadcast(1));
        tokio::time::timeout(SOON, listening.recv()).await.unwrap().unwrap();
        assert_eq!(own_queues().await, 1);
        drop(listening);
        eventually(SOON, "the queue to be gone", async || {
            here.broadcast(broadcast(2));
            own_queues().await == 0
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_is_told_of_the_gap_when_the_connection_was_lost() {
    let (_, there, server) = open(settings()).await;
    let mut listening = there.subscribe();
    for _ in 0..2 {
        let told = tokio::time::timeout(SOON, listening.recv()).await.unwrap();
        assert!(matches!(told, Err(RecvError::Lagged(_))), "{told:?}");
        eventually(SOON, "the connections to be closed", async || server.close_connections().await.unwrap() > 0).await;
    }
}
