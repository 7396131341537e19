//! What is told after a commit, and what a dropped call leaves behind.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use store::{Changed, ClaimRequest, Ending};

use super::stage::{Stage, ana, artifact, keyed_job, new_job, problem, retry_after, settlement, until};

pub async fn what_is_told_is_committed_already(stage: Stage) {
    let faults = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::new(Mutex::new(0));
    let (store, runtime) = (Arc::downgrade(&stage.store), tokio::runtime::Handle::current());
    stage.recorder.watch({
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
    let worker = stage.worker().await;
    stage.done(&worker).await;
    let failed = stage.failed(&worker).await;
    stage.store.replay(&ana(), failed.id).await.unwrap();
    stage.store.cancel(&ana(), failed.id).await.unwrap();
    assert_eq!(*faults.lock().unwrap(), Vec::<String>::new());
    assert_eq!(*seen.lock().unwrap(), 8);
}

pub async fn every_call_tells_exactly_its_own_rows(stage: Stage) {
    let worker = stage.worker().await;
    let jobs: Vec<_> = (0..6).map(|_| new_job(&ana())).collect();
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    let told = |rows, events| {
        let (outbox, facts) = stage.recorder.take();
        assert_eq!((outbox.len(), facts.len()), (rows, events));
    };
    stage.store.submit(jobs).await.unwrap();
    told(6, 6);
    let requests = ids.iter().map(|&job_id| ClaimRequest { job_id, redelivered: false, alone: false }).collect();
    stage.store.claim(worker.id, requests).await.unwrap();
    told(0, 6);
    let mut held = Vec::new();
    for id in &ids {
        held.push(stage.job(*id).await);
    }
    let batch = vec![
        settlement(&held[0], Ending::Done(vec![artifact(&held[0])])),
        settlement(&held[1], retry_after(Duration::from_secs(60))),
        settlement(&held[2], Ending::Failed(problem())),
        settlement(&held[3], Ending::HandBack),
    ];
    stage.store.settle(batch).await.unwrap();
    // A mail; a delayed doorbell; a mail and a dead letter; a doorbell.
    told(1 + 1 + 2 + 1, 4);
    stage.store.cancel(&ana(), ids[4]).await.unwrap();
    told(0, 1);
    stage.store.replay(&ana(), ids[2]).await.unwrap();
    told(1, 1);
    assert_eq!(stage.store.outbox_backlog().await.unwrap().0, 6 + 5 + 1);
    drop(worker);
    until("the lost job", async || {
        let released = stage.store.release_lost_jobs(Duration::from_secs(60)).await.unwrap();
        (released == [ids[5]]).then_some(())
    })
    .await;
    told(1, 1);
}

pub async fn a_call_that_changes_nothing_tells_nothing(stage: Stage) {
    let worker = stage.worker().await;
    let job = stage.submit(keyed_job(&ana(), "key", "body")).await;
    let held = stage.claim(&worker, job.id).await;
    stage.settle(&held, Ending::Failed(problem())).await;
    stage.recorder.take();
    stage.store.submit(vec![keyed_job(&ana(), "key", "body"), keyed_job(&ana(), "key", "other")]).await.unwrap();
    stage.try_claim(&worker, job.id, true).await;
    stage.settle(&held, Ending::HandBack).await;
    assert!(matches!(stage.store.cancel(&ana(), job.id).await.unwrap(), Changed::WrongState(_)));
    stage.store.release_lost_jobs(Duration::from_secs(60)).await.unwrap();
    let (outbox, events) = stage.recorder.take();
    assert!(outbox.is_empty() && events.is_empty(), "{outbox:?} {events:?}");
}

pub async fn a_dropped_call_leaves_nothing_half_done(stage: Stage) {
    let mut batches = Vec::new();
    for n in 0..30 {
        let jobs: Vec<_> = (0..20).map(|_| new_job(&ana())).collect();
        batches.push(jobs.iter().map(|job| job.id).collect::<Vec<_>>());
        let patience = Duration::from_micros(n * 150);
        let _given_up = tokio::time::timeout(patience, stage.store.submit(jobs)).await;
    }
    // The next call must find a store in order, whatever became of the dropped ones.
    let last = stage.pending().await;
    let written = until("the dropped calls to have ended whole", async || {
        let mut written = 1;
        for batch in &batches {
            let mut there = 0;
            for id in batch {
                there += usize::from(stage.store.job_by_id(*id).await.unwrap().is_some());
            }
            if there != 0 && there != batch.len() {
                return None;
            }
            written += there;
        }
        let rows = stage.store.outbox_backlog().await.unwrap().0;
        (rows == written as u64).then_some(written)
    })
    .await;
    let (outbox, events) = stage.recorder.take();
    assert_eq!((outbox.len(), events.len()), (written, written));
    assert_eq!(stage.events(&last).await.len(), 1);
}
