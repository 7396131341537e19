//! Who gets what, and how much at once.

use std::collections::HashSet;

use broker::{Incoming, QueueDepth, Settle};
use model::delivery::Channel;
use model::job::Lane;
use model::message::Queue;
use tokio::sync::mpsc;

use super::fixture::{BrokerFixture, delivery_message, job_message, next};

const INTERACTIVE: Queue = Queue::Work(Lane::Interactive);

async fn take(receiver: &mut mpsc::Receiver<Incoming>, count: usize) -> Vec<Incoming> {
    let mut taken = Vec::new();
    for _ in 0..count {
        taken.push(next(receiver).await);
    }
    taken
}

pub async fn at_most_prefetch_messages_are_out_at_once(fixture: BrokerFixture) {
    fixture.publish_jobs(6).await;
    let mut receiver = fixture.here.consume(INTERACTIVE, 2).await;
    let mut out = take(&mut receiver, 2).await;
    fixture.until_ready(4).await;
    assert!(receiver.try_recv().is_err(), "a third message came before one was settled");
    out[1].settle(Settle::Ack);
    let _third = next(&mut receiver).await;
    fixture.until_ready(3).await;
}

pub async fn two_consumers_share_a_queue(fixture: BrokerFixture) {
    let mut one = fixture.here.consume(INTERACTIVE, 1).await;
    let mut two = fixture.there.consume(INTERACTIVE, 1).await;
    fixture.until_consumers(2).await;
    let batch = fixture.publish_jobs(2).await;
    // Each holds its message, so the second can only be the other's.
    let (first, second) = (next(&mut one).await, next(&mut two).await);
    let came: HashSet<_> = [&first, &second].into_iter().filter_map(|incoming| incoming.message_id.clone()).collect();
    assert_eq!(came, batch.iter().map(|message| message.id.to_string()).collect());
}

pub async fn queues_are_apart(fixture: BrokerFixture) {
    let (interactive, bulk, mail) = (job_message(Lane::Interactive), job_message(Lane::Bulk), delivery_message());
    fixture.publish(&[interactive.clone(), bulk.clone(), mail.clone()]).await;
    let queues = [INTERACTIVE, Queue::Work(Lane::Bulk), Queue::Notify(Channel::Email)];
    for (queue, message) in queues.into_iter().zip([interactive, bulk, mail]) {
        let mut receiver = fixture.there.consume(queue, 5).await;
        let mut incoming = next(&mut receiver).await;
        assert_eq!(incoming.message_id, Some(message.id.to_string()), "{queue:?}");
        incoming.settle(Settle::Ack);
        assert!(receiver.try_recv().is_err(), "something else came to {queue:?}");
    }
}

pub async fn a_dropped_receiver_gives_back_what_it_had_not_taken(fixture: BrokerFixture) {
    let batch = fixture.publish_jobs(3).await;
    let mut receiver = fixture.here.consume(INTERACTIVE, 3).await;
    let held = next(&mut receiver).await;
    drop(receiver);
    let mut other = fixture.there.consume(INTERACTIVE, 3).await;
    let given_back: HashSet<_> =
        take(&mut other, 2).await.into_iter().filter_map(|incoming| incoming.message_id).collect();
    assert_eq!(given_back, batch[1..].iter().map(|message| message.id.to_string()).collect());
    drop(held);
}

pub async fn what_was_taken_can_be_settled_after_the_receiver_is_dropped(fixture: BrokerFixture) {
    fixture.publish_jobs(2).await;
    let mut receiver = fixture.here.consume(INTERACTIVE, 2).await;
    let mut taken = take(&mut receiver, 2).await;
    drop(receiver);
    taken[0].settle(Settle::Ack);
    let dropped = taken.remove(1).message_id;
    let mut other = fixture.there.consume(INTERACTIVE, 2).await;
    let mut again = next(&mut other).await;
    assert_eq!(again.message_id, dropped);
    assert!(again.redelivered);
    again.settle(Settle::Ack);
    drop(other);
    fixture.until_consumers(0).await;
    fixture.until_ready(0).await;
}

pub async fn depth_counts_waiting_messages_and_consumers(fixture: BrokerFixture) {
    assert_eq!(fixture.here.depth(INTERACTIVE).await, Some(QueueDepth { ready: 0, consumers: 0 }));
    fixture.publish_jobs(5).await;
    fixture.until_ready(5).await;
    let mut receiver = fixture.there.consume(INTERACTIVE, 2).await;
    let out = take(&mut receiver, 2).await;
    fixture.until_ready(3).await;
    fixture.until_consumers(1).await;
    drop(receiver);
    drop(out);
    fixture.until_consumers(0).await;
    fixture.until_ready(5).await;
}

pub async fn a_healthy_broker_checks_out(fixture: BrokerFixture) {
    assert_eq!(fixture.here.check().await, Ok(()));
    assert_eq!(fixture.there.check().await, Ok(()));
    assert!(["rabbitmq", "in-process"].contains(&fixture.here.kind()));
}
