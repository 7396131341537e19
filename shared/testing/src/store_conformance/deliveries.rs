//! Deliveries: claimed, sent, put off, failed, fenced.

use std::time::Duration;

use model::delivery::{Channel, Delivery, DeliveryState, Notify};
use model::job::NewJob;
use model::message::{Message, Queue, Route};
use model::retry_schedule::RetryDelay;
use store::{DeliveryEnding, Ending, FailedDeliveries};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture};
use super::samples::{ana, artifact, caller, new_job};
use crate::eventually;

const MINUTE: Duration = Duration::from_secs(60);

async fn delivery(fixture: &StoreFixture) -> Delivery {
    let worker = fixture.worker().await;
    let job = fixture.done(&worker).await;
    fixture.empty_outbox().await;
    fixture.store.deliveries_of_job(job.id).await.unwrap().remove(0)
}

async fn claim(fixture: &StoreFixture, id: Uuid, lease: Duration) -> Option<Delivery> {
    fixture.store.claim_deliveries(vec![id], lease).await.unwrap().remove(0)
}

async fn settle(fixture: &StoreFixture, id: Uuid, attempt: i32, ending: DeliveryEnding) -> bool {
    fixture.store.settle_deliveries(vec![(id, attempt, ending)]).await.unwrap().remove(0)
}

async fn read(fixture: &StoreFixture, delivery: &Delivery) -> Delivery {
    fixture.store.deliveries_of_job(delivery.job_id).await.unwrap().remove(0)
}

pub async fn a_delivery_is_claimed_once_and_sent(fixture: StoreFixture) {
    let due = delivery(&fixture).await;
    let outcomes = fixture.store.claim_deliveries(vec![due.id, due.id, Uuid::now_v7()], MINUTE).await.unwrap();
    let claimed = outcomes[0].clone().expect("it was due");
    assert_eq!((claimed.state, claimed.attempt), (DeliveryState::Sending, 1));
    assert_eq!((claimed.id, &claimed.recipient, claimed.seq), (due.id, &due.recipient, due.seq));
    assert_eq!(outcomes[1..], [None, None]);
    assert_eq!(fixture.store.delivery_recipient(due.id).await.unwrap(), Some(due.recipient.clone()));
    assert_eq!(fixture.store.delivery_recipient(Uuid::now_v7()).await.unwrap(), None);
    assert_eq!(claim(&fixture, due.id, MINUTE).await, None);
    assert!(!settle(&fixture, due.id, 2, DeliveryEnding::Sent).await);
    assert!(!settle(&fixture, Uuid::now_v7(), 1, DeliveryEnding::Sent).await);
    assert!(settle(&fixture, due.id, 1, DeliveryEnding::Sent).await);
    let sent = read(&fixture, &due).await;
    assert_eq!(sent.state, DeliveryState::Sent);
    assert!(sent.sent_at.is_some());
    assert!(!settle(&fixture, due.id, 1, DeliveryEnding::Sent).await, "once");
    assert_eq!(claim(&fixture, due.id, MINUTE).await, None);
    assert_eq!(read(&fixture, &due).await, sent);
}

pub async fn a_delivery_put_off_is_claimed_when_it_is_due(fixture: StoreFixture) {
    let due = delivery(&fixture).await;
    let later = |due_after| {
        DeliveryEnding::RetryLater("421 busy".to_owned(), RetryDelay { queue: Duration::from_secs(5), due_after })
    };
    claim(&fixture, due.id, MINUTE).await.unwrap();
    assert!(settle(&fixture, due.id, 1, later(Duration::from_millis(10))).await);
    let rung = fixture.empty_outbox().await;
    assert_eq!(rung.len(), 1);
    assert_eq!(rung[0].message, Message::SendDelivery { delivery_id: due.id });
    let delay = Some(Duration::from_secs(5));
    assert_eq!(rung[0].route, Route { queue: Queue::Notify(Channel::Email), delay });
    let again = eventually(SOON, "the delivery to be due", async || claim(&fixture, due.id, MINUTE).await).await;
    assert_eq!((again.state, again.attempt), (DeliveryState::Sending, 2));
    assert!(settle(&fixture, due.id, 2, later(MINUTE)).await);
    let put_off = read(&fixture, &due).await;
    assert_eq!((put_off.state, put_off.error.as_deref()), (DeliveryState::Pending, Some("421 busy")));
    assert!(put_off.next_attempt_at.unwrap() > fixture.store.now().await.unwrap());
    assert_eq!(claim(&fixture, due.id, MINUTE).await, None, "not due");
}

pub async fn a_delivery_that_failed_is_final(fixture: StoreFixture) {
    let due = delivery(&fixture).await;
    claim(&fixture, due.id, MINUTE).await.unwrap();
    assert!(settle(&fixture, due.id, 1, DeliveryEnding::Failed("550 unknown".to_owned())).await);
    let failed = read(&fixture, &due).await;
    assert_eq!((failed.state, failed.error.as_deref()), (DeliveryState::Failed, Some("550 unknown")));
    assert_eq!(failed.sent_at, None);
    assert_eq!(claim(&fixture, due.id, MINUTE).await, None);
    assert!(!settle(&fixture, due.id, 1, DeliveryEnding::Sent).await);
    assert_eq!(read(&fixture, &due).await, failed);
}

pub async fn a_lease_that_is_over_is_taken_and_the_former_claim_fenced(fixture: StoreFixture) {
    let due = delivery(&fixture).await;
    claim(&fixture, due.id, Duration::from_millis(30)).await.unwrap();
    let second = eventually(SOON, "the lease to be over", async || claim(&fixture, due.id, MINUTE).await).await;
    assert_eq!(second.attempt, 2);
    let before = read(&fixture, &due).await;
    assert!(!settle(&fixture, due.id, 1, DeliveryEnding::Failed("too late".to_owned())).await);
    assert!(!settle(&fixture, due.id, 1, DeliveryEnding::Sent).await);
    assert_eq!(read(&fixture, &due).await, before);
    let endings = vec![(due.id, 1, DeliveryEnding::Sent), (due.id, 2, DeliveryEnding::Sent)];
    assert_eq!(fixture.store.settle_deliveries(endings).await.unwrap(), [false, true]);
}

pub async fn a_recipient_named_twice_is_told_once(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let to = |to: &str| Notify::by_email(to);
    let notify = vec![to("ana@example.com"), to("ben@example.com"), to("ana@example.com")];
    let job = fixture.submit(NewJob { notify, ..new_job(&ana()) }).await;
    let job = fixture.claim(&worker, job.id).await;
    fixture.settle(&job, Ending::Done(vec![artifact(&job)])).await;
    let deliveries = fixture.store.deliveries_of_job(job.id).await.unwrap();
    let mut told: Vec<_> = deliveries.iter().map(|delivery| delivery.recipient.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["ana@example.com", "ben@example.com"]);
}

pub async fn deliveries_are_listed_by_tenant_and_state(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let (first, second) = (fixture.done(&worker).await, fixture.failed(&worker).await);
    let theirs = fixture.submit(new_job(&caller("globex", "ana"))).await;
    let theirs = fixture.claim(&worker, theirs.id).await;
    fixture.settle(&theirs, Ending::Done(vec![artifact(&theirs)])).await;
    let list = async |tenant, state, limit| -> Vec<Uuid> {
        fixture.store.deliveries(tenant, state, limit).await.unwrap().into_iter().map(|d| d.job_id).collect()
    };
    assert_eq!(list("acme", None, 10).await, [second.id, first.id]);
    assert_eq!(list("acme", None, 1).await, [second.id]);
    assert_eq!(list("globex", None, 10).await, [theirs.id]);
    assert!(list("nobody", None, 10).await.is_empty());
    let sent = fixture.store.deliveries_of_job(first.id).await.unwrap().remove(0);
    claim(&fixture, sent.id, MINUTE).await.unwrap();
    settle(&fixture, sent.id, 1, DeliveryEnding::Sent).await;
    assert_eq!(list("acme", Some(DeliveryState::Sent), 10).await, [first.id]);
    assert_eq!(list("acme", Some(DeliveryState::Pending), 10).await, [second.id]);
    assert!(fixture.store.deliveries_of_job(Uuid::now_v7()).await.unwrap().is_empty());
}

pub async fn due_deliveries_are_rung(fixture: StoreFixture) {
    let due = delivery(&fixture).await;
    let ring = async |grace| fixture.store.ring_due_deliveries(Channel::Email, grace, 10).await.unwrap();
    let count = async || fixture.store.count_due_deliveries(Channel::Email, Duration::ZERO, 1000).await.unwrap();
    assert_eq!(ring(MINUTE).await, 0, "it was rung just now");
    eventually(SOON, "the delivery to be counted", async || (count().await == 1).then_some(())).await;
    eventually(SOON, "the delivery to be silent", async || (ring(Duration::ZERO).await == 1).then_some(())).await;
    let rung = fixture.empty_outbox().await;
    assert_eq!(rung.len(), 1);
    assert_eq!(rung[0].message, Message::SendDelivery { delivery_id: due.id });
    assert_eq!(rung[0].route, Route::now(Queue::Notify(Channel::Email)));
    assert_eq!(ring(MINUTE).await, 0);
    claim(&fixture, due.id, MINUTE).await.unwrap();
    assert_eq!(ring(Duration::ZERO).await, 0, "somebody is at it");
    settle(&fixture, due.id, 1, DeliveryEnding::Sent).await;
    assert_eq!(ring(Duration::ZERO).await, 0, "it is sent");
    let leased = delivery(&fixture).await;
    claim(&fixture, leased.id, Duration::from_millis(10)).await.unwrap();
    eventually(SOON, "the lease to be over", async || (ring(Duration::ZERO).await == 1).then_some(())).await;
    assert_eq!(fixture.empty_outbox().await[0].message, Message::SendDelivery { delivery_id: leased.id });
}

pub async fn a_delivery_that_was_passed_in_its_queue_is_rung_and_one_that_still_waits_is_not(fixture: StoreFixture) {
    let ring = async || fixture.store.ring_passed_deliveries(Channel::Email, Duration::ZERO, 10).await.unwrap();
    let passed = delivery(&fixture).await;
    let later = fixture.store.now().await.unwrap() + Duration::from_millis(2);
    eventually(SOON, "time to pass", async || (fixture.store.now().await.unwrap() > later).then_some(())).await;
    assert_eq!(ring().await, 0, "nothing that was rung later is being sent");
    let sending = delivery(&fixture).await;
    claim(&fixture, sending.id, MINUTE).await.unwrap();
    delivery(&fixture).await;
    assert_eq!(ring().await, 1);
    assert_eq!(fixture.empty_outbox().await[0].message, Message::SendDelivery { delivery_id: passed.id });
    assert_eq!(ring().await, 0);
}

pub async fn a_failed_delivery_is_sent_again_when_somebody_asks(fixture: StoreFixture) {
    let fail = async |why: &str| {
        let due = delivery(&fixture).await;
        claim(&fixture, due.id, MINUTE).await.unwrap();
        settle(&fixture, due.id, 1, DeliveryEnding::Failed(why.to_owned())).await;
        due
    };
    let again = async |tenant, which| fixture.store.send_again(tenant, which, 10).await.unwrap();
    let long_failed = fail("550 unknown").await;
    let later = fixture.store.now().await.unwrap() + Duration::from_millis(2);
    let since =
        eventually(SOON, "time to pass", async || Some(fixture.store.now().await.unwrap()).filter(|now| *now > later))
            .await;
    let (first, second) = (fail("550 quota").await, fail("550 quota").await);
    let pending = delivery(&fixture).await;
    let long_ago =
        FailedDeliveries::Between { since: since - Duration::from_secs(60), until: since - Duration::from_secs(30) };
    let failed_since = FailedDeliveries::Between { since, until: since + Duration::from_secs(60) };
    assert_eq!(again("acme", long_ago).await, 0, "none had failed by then");
    assert_eq!(again("globex", FailedDeliveries::One(first.id)).await, 0, "it is another tenant's");
    assert_eq!(again("globex", failed_since).await, 0);
    assert_eq!(again("acme", FailedDeliveries::One(pending.id)).await, 0, "it has not failed");
    assert_eq!(again("acme", FailedDeliveries::One(first.id)).await, 1);
    assert_eq!(again("acme", FailedDeliveries::One(first.id)).await, 0, "once");
    assert_eq!(again("acme", failed_since).await, 1);
    let rung: Vec<Message> = fixture.empty_outbox().await.into_iter().map(|row| row.message).collect();
    assert_eq!(rung, [first.id, second.id].map(|delivery_id| Message::SendDelivery { delivery_id }));
    assert_eq!(read(&fixture, &long_failed).await.state, DeliveryState::Failed);
    let claimed = claim(&fixture, first.id, MINUTE).await.expect("it is due at once");
    assert_eq!((claimed.attempt, claimed.id), (2, first.id));
    assert!(settle(&fixture, first.id, 2, DeliveryEnding::Sent).await);
    assert_eq!((read(&fixture, &first).await.state, read(&fixture, &first).await.error), (DeliveryState::Sent, None));
}
