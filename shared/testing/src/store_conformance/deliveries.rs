//! Deliveries: claimed, sent, put off, failed, fenced.

use std::time::Duration;

use model::delivery::{Channel, Delivery, DeliveryState, Notify};
use model::job::NewJob;
use model::message::{Message, Queue, Route};
use model::retry_schedule::RetryDelay;
use store::{DeliveryEnding, Ending};
use uuid::Uuid;

use super::stage::{Stage, ana, artifact, caller, new_job, until};

const MINUTE: Duration = Duration::from_secs(60);

async fn delivery(stage: &Stage) -> Delivery {
    let worker = stage.worker().await;
    let job = stage.done(&worker).await;
    stage.empty_outbox().await;
    stage.store.deliveries_of_job(job.id).await.unwrap().remove(0)
}

async fn claim(stage: &Stage, id: Uuid, lease: Duration) -> Option<Delivery> {
    stage.store.claim_deliveries(vec![id], lease).await.unwrap().remove(0)
}

async fn settle(stage: &Stage, id: Uuid, attempt: i32, ending: DeliveryEnding) -> bool {
    stage.store.settle_deliveries(vec![(id, attempt, ending)]).await.unwrap().remove(0)
}

async fn read(stage: &Stage, delivery: &Delivery) -> Delivery {
    stage.store.deliveries_of_job(delivery.job_id).await.unwrap().remove(0)
}

pub async fn a_delivery_is_claimed_once_and_sent(stage: Stage) {
    let due = delivery(&stage).await;
    let outcomes = stage.store.claim_deliveries(vec![due.id, due.id, Uuid::now_v7()], MINUTE).await.unwrap();
    let claimed = outcomes[0].clone().expect("it was due");
    assert_eq!((claimed.state, claimed.attempt), (DeliveryState::Sending, 1));
    assert_eq!((claimed.id, &claimed.recipient, claimed.seq), (due.id, &due.recipient, due.seq));
    assert_eq!(outcomes[1..], [None, None]);
    assert_eq!(claim(&stage, due.id, MINUTE).await, None);
    assert!(!settle(&stage, due.id, 2, DeliveryEnding::Sent).await);
    assert!(!settle(&stage, Uuid::now_v7(), 1, DeliveryEnding::Sent).await);
    assert!(settle(&stage, due.id, 1, DeliveryEnding::Sent).await);
    let sent = read(&stage, &due).await;
    assert_eq!(sent.state, DeliveryState::Sent);
    assert!(sent.sent_at.is_some());
    assert!(!settle(&stage, due.id, 1, DeliveryEnding::Sent).await, "once");
    assert_eq!(claim(&stage, due.id, MINUTE).await, None);
    assert_eq!(read(&stage, &due).await, sent);
}

pub async fn a_delivery_put_off_is_claimed_when_it_is_due(stage: Stage) {
    let due = delivery(&stage).await;
    let later = |due_after| {
        DeliveryEnding::RetryLater("421 busy".to_owned(), RetryDelay { queue: Duration::from_secs(5), due_after })
    };
    claim(&stage, due.id, MINUTE).await.unwrap();
    assert!(settle(&stage, due.id, 1, later(Duration::from_millis(10))).await);
    let rung = stage.empty_outbox().await;
    assert_eq!(rung.len(), 1);
    assert_eq!(rung[0].message, Message::SendDelivery { delivery_id: due.id });
    let delay = Some(Duration::from_secs(5));
    assert_eq!(rung[0].route, Route { queue: Queue::Notify(Channel::Email), delay });
    let again = until("the delivery to be due", async || claim(&stage, due.id, MINUTE).await).await;
    assert_eq!((again.state, again.attempt), (DeliveryState::Sending, 2));
    assert!(settle(&stage, due.id, 2, later(MINUTE)).await);
    let put_off = read(&stage, &due).await;
    assert_eq!((put_off.state, put_off.error.as_deref()), (DeliveryState::Pending, Some("421 busy")));
    assert!(put_off.next_attempt_at.unwrap() > stage.store.now().await.unwrap());
    assert_eq!(claim(&stage, due.id, MINUTE).await, None, "not due");
}

pub async fn a_delivery_that_failed_is_final(stage: Stage) {
    let due = delivery(&stage).await;
    claim(&stage, due.id, MINUTE).await.unwrap();
    assert!(settle(&stage, due.id, 1, DeliveryEnding::Failed("550 unknown".to_owned())).await);
    let failed = read(&stage, &due).await;
    assert_eq!((failed.state, failed.error.as_deref()), (DeliveryState::Failed, Some("550 unknown")));
    assert_eq!(failed.sent_at, None);
    assert_eq!(claim(&stage, due.id, MINUTE).await, None);
    assert!(!settle(&stage, due.id, 1, DeliveryEnding::Sent).await);
    assert_eq!(read(&stage, &due).await, failed);
}

pub async fn a_lease_that_is_over_is_taken_and_the_former_claim_fenced(stage: Stage) {
    let due = delivery(&stage).await;
    claim(&stage, due.id, Duration::from_millis(30)).await.unwrap();
    let second = until("the lease to be over", async || claim(&stage, due.id, MINUTE).await).await;
    assert_eq!(second.attempt, 2);
    let before = read(&stage, &due).await;
    assert!(!settle(&stage, due.id, 1, DeliveryEnding::Failed("too late".to_owned())).await);
    assert!(!settle(&stage, due.id, 1, DeliveryEnding::Sent).await);
    assert_eq!(read(&stage, &due).await, before);
    let endings = vec![(due.id, 1, DeliveryEnding::Sent), (due.id, 2, DeliveryEnding::Sent)];
    assert_eq!(stage.store.settle_deliveries(endings).await.unwrap(), [false, true]);
}

pub async fn a_recipient_named_twice_is_told_once(stage: Stage) {
    let worker = stage.worker().await;
    let to = |to: &str| Notify::by_email(to);
    let notify = vec![to("ana@example.com"), to("ben@example.com"), to("ana@example.com")];
    let job = stage.submit(NewJob { notify, ..new_job(&ana()) }).await;
    let job = stage.claim(&worker, job.id).await;
    stage.settle(&job, Ending::Done(vec![artifact(&job)])).await;
    let deliveries = stage.store.deliveries_of_job(job.id).await.unwrap();
    let mut told: Vec<_> = deliveries.iter().map(|delivery| delivery.recipient.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["ana@example.com", "ben@example.com"]);
}

pub async fn deliveries_are_listed_by_tenant_and_state(stage: Stage) {
    let worker = stage.worker().await;
    let (first, second) = (stage.done(&worker).await, stage.failed(&worker).await);
    let theirs = stage.submit(new_job(&caller("globex", "ana"))).await;
    let theirs = stage.claim(&worker, theirs.id).await;
    stage.settle(&theirs, Ending::Done(vec![artifact(&theirs)])).await;
    let list = async |tenant, state, limit| -> Vec<Uuid> {
        stage.store.deliveries(tenant, state, limit).await.unwrap().into_iter().map(|d| d.job_id).collect()
    };
    assert_eq!(list("acme", None, 10).await, [second.id, first.id]);
    assert_eq!(list("acme", None, 1).await, [second.id]);
    assert_eq!(list("globex", None, 10).await, [theirs.id]);
    assert!(list("nobody", None, 10).await.is_empty());
    let sent = stage.store.deliveries_of_job(first.id).await.unwrap().remove(0);
    claim(&stage, sent.id, MINUTE).await.unwrap();
    settle(&stage, sent.id, 1, DeliveryEnding::Sent).await;
    assert_eq!(list("acme", Some(DeliveryState::Sent), 10).await, [first.id]);
    assert_eq!(list("acme", Some(DeliveryState::Pending), 10).await, [second.id]);
    assert!(stage.store.deliveries_of_job(Uuid::now_v7()).await.unwrap().is_empty());
}

pub async fn due_deliveries_are_rung(stage: Stage) {
    let due = delivery(&stage).await;
    let ring = async |grace| stage.store.ring_due_deliveries(Channel::Email, grace, 10).await.unwrap();
    assert_eq!(ring(MINUTE).await, 0, "it was rung just now");
    until("the delivery to be silent", async || (ring(Duration::ZERO).await == 1).then_some(())).await;
    let rung = stage.empty_outbox().await;
    assert_eq!(rung.len(), 1);
    assert_eq!(rung[0].message, Message::SendDelivery { delivery_id: due.id });
    assert_eq!(rung[0].route, Route::now(Queue::Notify(Channel::Email)));
    assert_eq!(ring(MINUTE).await, 0);
    claim(&stage, due.id, MINUTE).await.unwrap();
    assert_eq!(ring(Duration::ZERO).await, 0, "somebody is at it");
    settle(&stage, due.id, 1, DeliveryEnding::Sent).await;
    assert_eq!(ring(Duration::ZERO).await, 0, "it is sent");
    let leased = delivery(&stage).await;
    claim(&stage, leased.id, Duration::from_millis(10)).await.unwrap();
    until("the lease to be over", async || (ring(Duration::ZERO).await == 1).then_some(())).await;
    assert_eq!(stage.empty_outbox().await[0].message, Message::SendDelivery { delivery_id: leased.id });
}
