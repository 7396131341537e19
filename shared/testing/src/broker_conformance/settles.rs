//! What becomes of a message that was taken.

use broker::Settle;
use model::job::Lane;
use model::message::Queue;

use super::fixture::{BrokerFixture, next};

const INTERACTIVE: Queue = Queue::Work(Lane::Interactive);

pub async fn an_acknowledged_message_is_gone(fixture: BrokerFixture) {
    fixture.publish_jobs(1).await;
    let mut receiver = fixture.here.consume(INTERACTIVE, 1).await;
    next(&mut receiver).await.settle(Settle::Ack);
    drop(receiver);
    fixture.until_consumers(0).await;
    // A message behind it comes first, so the acknowledged one is not in the queue any more.
    let batch = fixture.publish_jobs(1).await;
    let mut receiver = fixture.there.consume(INTERACTIVE, 2).await;
    assert_eq!(next(&mut receiver).await.message_id, Some(batch[0].id.to_string()));
    fixture.until_ready(0).await;
}

pub async fn a_message_dropped_unsettled_comes_again(fixture: BrokerFixture) {
    let batch = fixture.publish_jobs(1).await;
    let mut receiver = fixture.here.consume(INTERACTIVE, 1).await;
    let first = next(&mut receiver).await;
    assert!(!first.redelivered);
    drop(first);
    let mut second = next(&mut receiver).await;
    assert!(second.redelivered);
    assert_eq!(second.message_id, Some(batch[0].id.to_string()));
    second.settle(Settle::Ack);
}

pub async fn acknowledgements_out_of_order_are_all_kept(fixture: BrokerFixture) {
    let batch = fixture.publish_jobs(20).await;
    let mut receiver = fixture.here.consume(INTERACTIVE, 20).await;
    let mut taken = Vec::new();
    for _ in 0..20 {
        taken.push(next(&mut receiver).await);
    }
    // Every third stays, the others are acknowledged from the back to the front.
    for (_, incoming) in taken.iter_mut().enumerate().rev().filter(|(at, _)| at % 3 != 0) {
        incoming.settle(Settle::Ack);
    }
    drop(receiver);
    drop(taken);
    fixture.until_consumers(0).await;
    fixture.until_ready(7).await;
    let mut left: Vec<_> = batch.iter().step_by(3).map(|message| message.id.to_string()).collect();
    let mut receiver = fixture.there.consume(INTERACTIVE, 1).await;
    while !left.is_empty() {
        let mut incoming = next(&mut receiver).await;
        let id = incoming.message_id.clone().unwrap();
        let at = left.iter().position(|left| *left == id).unwrap_or_else(|| panic!("{id} was acknowledged"));
        left.remove(at);
        incoming.settle(Settle::Ack);
    }
}

pub async fn a_dead_lettered_message_keeps_body_and_id(fixture: BrokerFixture) {
    let batch = fixture.publish_jobs(1).await;
    let mut receiver = fixture.here.consume(INTERACTIVE, 1).await;
    let mut refused = next(&mut receiver).await;
    refused.settle(Settle::DeadLetter);
    let mut dead = fixture.there.consume(Queue::Dead, 1).await;
    let mut letter = next(&mut dead).await;
    assert_eq!(letter.message_id, Some(batch[0].id.to_string()));
    assert_eq!(letter.body, refused.body);
    letter.settle(Settle::Ack);
    assert!(receiver.try_recv().is_err(), "it came back as well");
}

pub async fn a_message_that_comes_back_too_often_is_dead_lettered(fixture: BrokerFixture) {
    let batch = fixture.publish_jobs(1).await;
    let mut receiver = fixture.here.consume(INTERACTIVE, 1).await;
    let mut dead = fixture.there.consume(Queue::Dead, 1).await;
    let mut came = 0;
    let letter = loop {
        tokio::select! {
            incoming = next(&mut receiver) => {
                came += 1;
                drop(incoming);
            }
            letter = next(&mut dead) => break letter,
        }
    };
    assert_eq!(letter.message_id, Some(batch[0].id.to_string()));
    // RabbitMQ counts returns, so it hands a message out once more.
    assert!((3..=4).contains(&came), "the limit is 3, it came {came} times");
}

pub async fn settling_twice_is_harmless(fixture: BrokerFixture) {
    fixture.publish_jobs(2).await;
    let mut receiver = fixture.here.consume(INTERACTIVE, 1).await;
    let mut first = next(&mut receiver).await;
    first.settle(Settle::Ack);
    first.settle(Settle::DeadLetter);
    drop(first);
    next(&mut receiver).await.settle(Settle::Ack);
    drop(receiver);
    fixture.until_consumers(0).await;
    fixture.until_ready(0).await;
    assert_eq!(fixture.there.depth(Queue::Dead).await.unwrap().ready, 0);
}
