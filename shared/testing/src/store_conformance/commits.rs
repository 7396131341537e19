//! What is told after a commit, and what a dropped call leaves behind.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use store::{Changed, ClaimRequest, Ending};

use super::fixture::{SOON, StoreFixture};
use super::samples::{ana, artifact, keyed_job, new_job, problem, retry_after, settlement};
use crate::eventually;

pub async fn what_is_told_is_committed_already(fixture: StoreFixture) {
    let faults = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::new(Mutex::new(0));
    let (store, runtime) = (Arc::downgrade(&fixture.store), tokio::runtime::Handle::current());
    fixture.recorder.observe({
        let (faults, seen) = (Arc::clone(&faults), Arc::clone(&seen));
        move |_outbox, events| {
            let Some(store) = store.upgrade() else { return };
            for event in events {
                let read = store.events_of_job(&event.caller, event.job_id, event.seq - 1, 1);
                let wait = || runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), read).await });
                let read = match tokio::runtime::Handle::try_current() {
                    Ok(_) => tokio::task::block_in_place(wait),
                    Err(_) => wait(),
                };
                *seen.lock().unwrap() += 1;
                if !matches!(&read, Ok(Ok(read)) if read.first() == Some(event)) {
                    faults.lock().unwrap().push(format!("{event:?} was told, {read:?} was read"));
                }
            }
        }
    });
    let worker = fixture.worker().await;
    fixture.done(&worker).await;
    let failed = fixture.failed(&worker).await;
    fixture.store.replay(&ana(), failed.id).await.unwrap();
    fixture.store.cancel(&ana(), failed.id).await.unwrap();
    assert_eq!(*faults.lock().unwrap(), Vec::<String>::new());
    assert_eq!(*seen.lock().unwrap(), 8);
}

pub async fn every_call_tells_exactly_its_own_rows(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let jobs: Vec<_> = (0..6).map(|_| new_job(&ana())).collect();
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    let told = |rows, events| {
        let (outbox, facts) = fixture.recorder.take();
        assert_eq!((outbox.len(), facts.len()), (rows, events));
    };
    fixture.store.submit(jobs).await.unwrap();
    told(6, 6);
    let requests = ids.iter().map(|&job_id| ClaimRequest { job_id, redelivered: false, alone: false }).collect();
    fixture.store.claim(worker.id, requests).await.unwrap();
    told(0, 6);
    let mut held = Vec::new();
    for id in &ids {
        held.push(fixture.job(*id).await);
    }
    let batch = vec![
        settlement(&held[0], Ending::Done(vec![artifact(&held[0])])),
        settlement(&held[1], retry_after(Duration::from_secs(60))),
        settlement(&held[2], Ending::Failed(problem())),
        settlement(&held[3], Ending::HandBack),
    ];
    fixture.store.settle(batch).await.unwrap();
    // A mail; a delayed doorbell; a mail and a dead letter; a doorbell.
    told(1 + 1 + 2 + 1, 4);
    fixture.store.cancel(&ana(), ids[4]).await.unwrap();
    told(0, 1);
    fixture.store.replay(&ana(), ids[2]).await.unwrap();
    told(1, 1);
    assert_eq!(fixture.store.outbox_backlog().await.unwrap().0, 6 + 5 + 1);
    drop(worker);
    eventually(SOON, "the lost job", async || {
        let released = fixture.store.release_lost_jobs(Duration::from_secs(60)).await.unwrap();
        (released == [ids[5]]).then_some(())
    })
    .await;
    told(1, 1);
}

pub async fn a_call_that_changes_nothing_tells_nothing(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let job = fixture.submit(keyed_job(&ana(), "key", "body")).await;
    let held = fixture.claim(&worker, job.id).await;
    fixture.settle(&held, Ending::Failed(problem())).await;
    fixture.recorder.take();
    fixture.store.submit(vec![keyed_job(&ana(), "key", "body"), keyed_job(&ana(), "key", "other")]).await.unwrap();
    fixture.try_claim(&worker, job.id, true).await;
    fixture.settle(&held, Ending::HandBack).await;
    assert!(matches!(fixture.store.cancel(&ana(), job.id).await.unwrap(), Changed::WrongState(_)));
    fixture.store.release_lost_jobs(Duration::from_secs(60)).await.unwrap();
    let (outbox, events) = fixture.recorder.take();
    assert!(outbox.is_empty() && events.is_empty(), "{outbox:?} {events:?}");
}

pub async fn a_dropped_call_leaves_nothing_half_done(fixture: StoreFixture) {
    let mut batches = Vec::new();
    for n in 0..30 {
        let jobs: Vec<_> = (0..20).map(|_| new_job(&ana())).collect();
        batches.push(jobs.iter().map(|job| job.id).collect::<Vec<_>>());
        let patience = Duration::from_micros(n * 150);
        let _given_up = tokio::time::timeout(patience, fixture.store.submit(jobs)).await;
    }
    // The next call must find a store in order, whatever became of the dropped ones.
    let last = fixture.pending().await;
    let written = eventually(SOON, "the dropped calls to have ended whole", async || {
        let mut written = 1;
        for batch in &batches {
            let mut there = 0;
            for id in batch {
                there += usize::from(fixture.store.job_by_id(*id).await.unwrap().is_some());
            }
            if there != 0 && there != batch.len() {
                return None;
            }
            written += there;
        }
        let rows = fixture.store.outbox_backlog().await.unwrap().0;
        (rows == written as u64).then_some(written)
    })
    .await;
    let (outbox, events) = fixture.recorder.take();
    assert_eq!((outbox.len(), events.len()), (written, written));
    assert_eq!(fixture.events(&last).await.len(), 1);
}
