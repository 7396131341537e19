//! From the outbox to a queue.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use broker::{PublishError, Settle};
use futures_util::future::join_all;
use model::delivery::Channel;
use model::job::Lane;
use model::message::{Message, OutboxMessage, Queue};
use model::problem::{Problem, ProblemKind};
use uuid::Uuid;

use super::fixture::{BrokerFixture, delivery_message, job_message, next};

const INTERACTIVE: Queue = Queue::Work(Lane::Interactive);

pub async fn what_is_published_is_delivered_as_it_was(fixture: BrokerFixture) {
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    let message = OutboxMessage { traceparent: Some(traceparent), ..job_message(Lane::Interactive) };
    let mut receiver = fixture.there.consume(INTERACTIVE, 1).await;
    fixture.publish(std::slice::from_ref(&message)).await;
    let mut incoming = next(&mut receiver).await;
    assert_eq!(incoming.message_id, Some(message.id.to_string()));
    assert_eq!(serde_json::from_slice::<Message>(&incoming.body).unwrap(), message.message);
    assert_eq!(incoming.traceparent, message.traceparent);
    assert!(!incoming.redelivered);
    incoming.settle(Settle::Ack);
}

pub async fn messages_come_in_the_order_they_were_published(fixture: BrokerFixture) {
    let batch = fixture.publish_jobs(100).await;
    let mut receiver = fixture.there.consume(INTERACTIVE, 10).await;
    for message in batch {
        let mut incoming = next(&mut receiver).await;
        assert_eq!(incoming.message_id, Some(message.id.to_string()));
        incoming.settle(Settle::Ack);
    }
}

pub async fn an_empty_batch_is_no_error(fixture: BrokerFixture) {
    assert!(fixture.here.publish(&[]).await.is_empty());
}

pub async fn a_large_batch_is_confirmed_whole(fixture: BrokerFixture) {
    fixture.publish_jobs(2_000).await;
    fixture.until_ready(2_000).await;
}

pub async fn batches_published_at_once_all_arrive(fixture: BrokerFixture) {
    let batches = join_all((0..20).map(|_| fixture.publish_jobs(50))).await;
    let mut awaited: HashSet<_> = batches.into_iter().flatten().map(|message| message.id.to_string()).collect();
    let mut receiver = fixture.there.consume(INTERACTIVE, 100).await;
    while !awaited.is_empty() {
        let mut incoming = next(&mut receiver).await;
        assert!(awaited.remove(incoming.message_id.as_ref().unwrap()), "it came twice");
        incoming.settle(Settle::Ack);
    }
}

pub async fn a_delayed_message_comes_to_its_own_queue_in_its_time(fixture: BrokerFixture) {
    let delay = Duration::from_millis(300);
    let later = |mut message: OutboxMessage| {
        message.route.delay = Some(delay);
        message
    };
    let (job, delivery) = (later(job_message(Lane::Bulk)), later(delivery_message()));
    let mut jobs = fixture.there.consume(Queue::Work(Lane::Bulk), 5).await;
    let mut deliveries = fixture.there.consume(Queue::Notify(Channel::Email), 5).await;
    let since = Instant::now();
    fixture.publish(&[job.clone(), delivery.clone()]).await;
    for (receiver, message) in [(&mut jobs, job), (&mut deliveries, delivery)] {
        let mut incoming = next(receiver).await;
        assert!(since.elapsed() >= delay, "it came after {:?}", since.elapsed());
        assert_eq!(incoming.message_id, Some(message.id.to_string()));
        assert_eq!(serde_json::from_slice::<Message>(&incoming.body).unwrap(), message.message);
        incoming.settle(Settle::Ack);
        assert!(receiver.try_recv().is_err(), "something else came too");
    }
}

pub async fn a_short_delay_is_not_held_up_by_a_long_one(fixture: BrokerFixture) {
    let [long, short] = [2_500, 300].map(|delay| {
        let mut message = job_message(Lane::Interactive);
        message.route.delay = Some(Duration::from_millis(delay));
        message
    });
    let mut receiver = fixture.there.consume(INTERACTIVE, 5).await;
    fixture.publish(&[long.clone(), short.clone()]).await;
    for message in [short, long] {
        let mut incoming = next(&mut receiver).await;
        assert_eq!(incoming.message_id, Some(message.id.to_string()));
        incoming.settle(Settle::Ack);
    }
}

pub async fn a_delay_that_is_not_configured_waits_in_another_one(fixture: BrokerFixture) {
    let mut message = job_message(Lane::Interactive);
    message.route.delay = Some(Duration::from_secs(7_200));
    let mut receiver = fixture.there.consume(INTERACTIVE, 1).await;
    fixture.publish(std::slice::from_ref(&message)).await;
    assert_eq!(next(&mut receiver).await.message_id, Some(message.id.to_string()));
}

pub async fn a_dead_letter_can_be_published(fixture: BrokerFixture) {
    let error = Problem::new(ProblemKind::QueryFailed, "relation \"lineitem\" does not exist");
    let message = Message::DeadJob {
        job_id: Uuid::now_v7(),
        tenant: "acme".to_owned(),
        report: "pricing-summary".to_owned(),
        error,
    };
    let mut row = job_message(Lane::Bulk);
    row.route.queue = Queue::Dead;
    row.message = message.clone();
    fixture.publish(&[row]).await;
    let mut receiver = fixture.there.consume(Queue::Dead, 1).await;
    let mut incoming = next(&mut receiver).await;
    assert_eq!(serde_json::from_slice::<Message>(&incoming.body).unwrap(), message);
    incoming.settle(Settle::Ack);
}

pub async fn nothing_is_published_after_the_close(fixture: BrokerFixture) {
    fixture.here.close(super::SOON).await;
    let outcomes = fixture.here.publish(&[job_message(Lane::Bulk), job_message(Lane::Bulk)]).await;
    assert_eq!(outcomes.len(), 2);
    for outcome in outcomes {
        assert!(matches!(outcome, Err(PublishError::Unavailable(_))), "{outcome:?}");
    }
    assert!(fixture.here.check().await.is_err());
}
