//! The outbox as the relay sees it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use model::delivery::Notify;
use model::job::NewJob;
use store::{DeliveryEnding, Ending};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture};
use super::samples::{ana, new_job, problem, retry_after};
use crate::eventually;

pub async fn a_committed_row_belongs_to_its_writer_until_the_lease_is_over(fixture: StoreFixture) {
    fixture.pending().await;
    assert!(fixture.store.lease_outbox(10).await.unwrap().is_empty());
    let told = fixture.recorder.take().0;
    let leased = eventually(SOON, "the writer's lease to be over", async || {
        let leased = fixture.store.lease_outbox(10).await.unwrap();
        (!leased.is_empty()).then_some(leased)
    })
    .await;
    assert_eq!(leased, told);
    assert!(fixture.store.lease_outbox(10).await.unwrap().is_empty(), "it is leased to us now");
    let (rows, age) = fixture.store.outbox_backlog().await.unwrap();
    assert_eq!(rows, 1);
    assert!((4.0..60.0).contains(&age), "{age}");
}

pub async fn a_released_row_is_leased_again(fixture: StoreFixture) {
    fixture.pending().await;
    let told = fixture.recorder.take().0;
    for _ in 0..3 {
        fixture.store.release_outbox(vec![told[0].id]).await.unwrap();
        assert_eq!(fixture.store.lease_outbox(10).await.unwrap(), told);
        assert!(fixture.store.lease_outbox(10).await.unwrap().is_empty());
    }
}

pub async fn a_deleted_row_is_gone(fixture: StoreFixture) {
    fixture.pending().await;
    fixture.pending().await;
    let told = fixture.recorder.take().0;
    let unknown = Uuid::now_v7();
    fixture.store.delete_outbox(vec![told[0].id, unknown]).await.unwrap();
    fixture.store.release_outbox(vec![told[0].id, told[1].id, unknown]).await.unwrap();
    assert_eq!(fixture.store.lease_outbox(10).await.unwrap(), told[1..]);
    fixture.store.delete_outbox(vec![told[1].id]).await.unwrap();
    assert_eq!(fixture.store.outbox_backlog().await.unwrap(), (0, 0.0));
}

pub async fn two_relays_never_get_the_same_row(fixture: StoreFixture) {
    let jobs = (0..200).map(|_| new_job(&ana())).collect();
    fixture.store.submit(jobs).await.unwrap();
    let ids: Vec<_> = fixture.recorder.take().0.into_iter().map(|row| row.id).collect();
    fixture.store.release_outbox(ids.clone()).await.unwrap();
    let barrier = Arc::new(tokio::sync::Barrier::new(6));
    let relays = (0..6).map(|_| {
        let (store, barrier) = (Arc::clone(&fixture.store), Arc::clone(&barrier));
        tokio::spawn(async move {
            let mut taken = Vec::new();
            barrier.wait().await;
            loop {
                let rows = store.lease_outbox(7).await.unwrap();
                assert!(rows.len() <= 7);
                if rows.is_empty() {
                    return taken;
                }
                taken.extend(rows.into_iter().map(|row| row.id));
            }
        })
    });
    let taken: Vec<_> = join_all(relays).await.into_iter().flat_map(Result::unwrap).collect();
    // A relay may stop early when the rest is locked by the others, but what is taken is taken once.
    let distinct: BTreeSet<_> = taken.iter().copied().collect();
    assert_eq!(taken.len(), distinct.len());
    let rest: BTreeSet<_> = fixture.store.lease_outbox(1000).await.unwrap().into_iter().map(|row| row.id).collect();
    assert!(rest.is_disjoint(&distinct));
    assert_eq!(rest.union(&distinct).copied().collect::<BTreeSet<_>>(), ids.into_iter().collect());
}

pub async fn rows_are_leased_oldest_first_up_to_the_limit(fixture: StoreFixture) {
    for _ in 0..10 {
        fixture.pending().await;
    }
    let told = fixture.recorder.take().0;
    fixture.store.release_outbox(told.iter().rev().map(|row| row.id).collect()).await.unwrap();
    for part in told.chunks(4) {
        assert_eq!(fixture.store.lease_outbox(4).await.unwrap(), part);
    }
}

pub async fn every_kind_of_row_is_read_back_as_it_was_written(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    fixture.done(&worker).await;
    fixture.retrying(&worker, Duration::from_secs(60)).await;
    let to = ["ana@example.com", "ben@example.com"];
    let notify = to.map(Notify::by_email).to_vec();
    let job = fixture.submit(NewJob { notify, traceparent: None, ..new_job(&ana()) }).await;
    let job = fixture.claim(&worker, job.id).await;
    fixture.settle(&job, Ending::Failed(problem())).await;
    let job = fixture.processing(&worker).await;
    fixture.settle(&job, Ending::HandBack).await;
    let done = fixture.done(&worker).await;
    let delivery = fixture.store.deliveries_of_job(done.id).await.unwrap().remove(0);
    fixture.store.claim_deliveries(vec![delivery.id], Duration::from_secs(60)).await.unwrap();
    let Ending::RetryLater(_, delay) = retry_after(Duration::from_secs(1)) else { panic!("not a retry") };
    let ending = DeliveryEnding::RetryLater("421 busy".to_owned(), delay);
    fixture.store.settle_deliveries(vec![(delivery.id, 1, ending)]).await.unwrap();
    let mut told = fixture.recorder.take().0;
    assert_eq!(told.len(), 13, "{told:#?}");
    fixture.store.release_outbox(told.iter().map(|row| row.id).collect()).await.unwrap();
    let mut leased = fixture.store.lease_outbox(100).await.unwrap();
    told.sort_by_key(|row| row.id);
    leased.sort_by_key(|row| row.id);
    assert_eq!(leased, told);
}
