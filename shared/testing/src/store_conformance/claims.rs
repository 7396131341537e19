//! Claims and take-overs.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use model::event::EventKind;
use model::job::JobState;
use model::problem::ProblemKind;
use model::transitions::{ALONE_FROM_CRASHES, MAX_CRASHES};
use store::{ClaimRequest, Claimed, Ending, Settled};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture, TestWorker};
use crate::eventually;

/// Asks again as the broker does, until the store has noticed that the holder is gone.
async fn take_over(fixture: &StoreFixture, worker: &TestWorker, job_id: Uuid) -> Claimed {
    eventually(SOON, "the take-over", async || match fixture.try_claim(worker, job_id, true).await {
        Claimed::Held => None,
        other => Some(other),
    })
    .await
}

pub async fn a_claim_starts_the_next_attempt(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let pending = fixture.pending().await;
    fixture.recorder.take();
    let job = fixture.claim(&worker, pending.id).await;
    assert_eq!((job.state, job.attempt, job.worker_id), (JobState::Processing, 1, Some(worker.id)));
    assert_eq!((job.seq, job.errors, job.crashes, job.interruptions), (2, 0, 0, 0));
    assert!(job.started_at.is_some());
    assert_eq!((&job.params, &job.traceparent), (&pending.params, &pending.traceparent));
    assert_eq!(fixture.job(job.id).await, job);
    let events = fixture.events(&job).await;
    assert_eq!((events[1].kind, events[1].state, events[1].attempt), (EventKind::Started, JobState::Processing, 1));
    assert_eq!(fixture.recorder.take(), (Vec::new(), vec![events[1].clone()]));
}

pub async fn a_job_is_claimed_once_by_many_workers_at_once(fixture: StoreFixture) {
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(fixture.worker().await);
    }
    let mut jobs = Vec::new();
    for _ in 0..20 {
        jobs.push(fixture.pending().await.id);
    }
    let claims = (0..8).map(|n| {
        let (store, worker, mut jobs) = (Arc::clone(&fixture.store), workers[n % 4].id, jobs.clone());
        // Other orders, so that implementations that lock rows one by one would block each other.
        jobs.rotate_left(n * 2);
        tokio::spawn(async move {
            let requests =
                jobs.into_iter().map(|job_id| ClaimRequest { job_id, redelivered: false, alone: false }).collect();
            store.claim(worker, requests).await.unwrap()
        })
    });
    let outcomes: Vec<_> = join_all(claims).await.into_iter().flat_map(Result::unwrap).collect();
    let mut claimed: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Claimed::Yes(job) => Some(job.id),
            Claimed::Held => None,
            other => panic!("{other:?}"),
        })
        .collect();
    claimed.sort();
    jobs.sort();
    assert_eq!(claimed, jobs);
}

pub async fn a_job_named_twice_in_one_batch_is_claimed_once(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let request = ClaimRequest { job_id: fixture.pending().await.id, redelivered: false, alone: false };
    let outcomes = fixture.store.claim(worker.id, vec![request, request]).await.unwrap();
    assert!(matches!(outcomes[0], Claimed::Yes(_)), "{:?}", outcomes[0]);
    assert_eq!(outcomes[1], Claimed::Held);
    assert_eq!(fixture.job(request.job_id).await.attempt, 1);
}

pub async fn a_retry_that_is_not_due_is_not_claimed(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let job = fixture.retrying(&worker, Duration::from_secs(3600)).await;
    for redelivered in [false, true] {
        match fixture.try_claim(&worker, job.id, redelivered).await {
            Claimed::NotDue(left) => {
                assert!(left > Duration::from_secs(3000) && left <= Duration::from_secs(3600), "{left:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fixture.job(job.id).await, job);
}

pub async fn a_retry_that_is_due_is_claimed(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let job = fixture.retrying(&worker, Duration::from_millis(10)).await;
    let claimed =
        eventually(SOON, "the retry to be due", async || match fixture.try_claim(&worker, job.id, false).await {
            Claimed::Yes(job) => Some(job),
            Claimed::NotDue(left) => {
                assert!(left <= Duration::from_millis(10));
                None
            }
            other => panic!("{other:?}"),
        })
        .await;
    assert_eq!((claimed.state, claimed.attempt, claimed.errors), (JobState::Processing, 2, 1));
    assert_eq!(claimed.next_attempt_at, None);
}

pub async fn a_final_or_unknown_job_is_gone(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let (done, failed, cancelled) =
        (fixture.done(&worker).await, fixture.failed(&worker).await, fixture.pending().await);
    fixture.store.cancel(&cancelled.caller, cancelled.id).await.unwrap();
    for id in [done.id, failed.id, cancelled.id, Uuid::now_v7()] {
        for redelivered in [false, true] {
            assert_eq!(fixture.try_claim(&worker, id, redelivered).await, Claimed::Gone);
        }
    }
}

pub async fn a_redelivered_job_with_a_live_holder_is_held(fixture: StoreFixture) {
    let (mut holder, other) = (fixture.worker().await, fixture.worker().await);
    let job = fixture.processing(&holder).await;
    holder.heartbeat.beat(Vec::new()).await.unwrap();
    let before = fixture.snapshot(&job).await;
    for worker in [&holder, &other] {
        for redelivered in [false, true] {
            assert_eq!(fixture.try_claim(worker, job.id, redelivered).await, Claimed::Held);
        }
    }
    assert_eq!(fixture.snapshot(&job).await, before);
}

pub async fn a_redelivered_job_whose_holder_is_gone_is_taken_over(fixture: StoreFixture) {
    let (holder, other) = (fixture.worker().await, fixture.worker().await);
    let job = fixture.processing(&holder).await;
    drop(holder);
    let Claimed::Yes(taken) = take_over(&fixture, &other, job.id).await else { panic!("not taken over") };
    assert_eq!((taken.state, taken.attempt, taken.worker_id), (JobState::Processing, 2, Some(other.id)));
    assert_eq!((taken.errors, taken.crashes, taken.interruptions), (0, 1, 0));
    let kinds: Vec<_> = fixture.events(&job).await.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Submitted, EventKind::Started, EventKind::WorkerLost, EventKind::Started]);
    assert_eq!(fixture.settle(&job, Ending::Failed(super::samples::problem())).await, Settled::TooLate);
}

pub async fn a_take_over_releases_all_jobs_of_the_lost_worker(fixture: StoreFixture) {
    let (holder, other) = (fixture.worker().await, fixture.worker().await);
    let (first, second) = (fixture.processing(&holder).await, fixture.processing(&holder).await);
    fixture.empty_outbox().await;
    drop(holder);
    assert!(matches!(take_over(&fixture, &other, first.id).await, Claimed::Yes(_)));
    let second = fixture.job(second.id).await;
    assert_eq!((second.state, second.crashes, second.worker_id), (JobState::Pending, 1, None));
    let rung = fixture.empty_outbox().await;
    assert!(
        rung.iter().any(|row| row.message == model::message::Message::RunJob { job_id: second.id }),
        "nobody would hear of the second job: {rung:?}"
    );
}

pub async fn a_take_over_after_the_last_crash_fails_the_job(fixture: StoreFixture) {
    let mut holder = fixture.worker().await;
    let job = fixture.processing(&holder).await;
    for crash in 1..=MAX_CRASHES {
        let next = fixture.worker().await;
        drop(std::mem::replace(&mut holder, next));
        match take_over(&fixture, &holder, job.id).await {
            Claimed::Yes(taken) => assert_eq!((taken.crashes, taken.attempt), (crash, crash + 1)),
            Claimed::MustRunAlone => {
                assert_eq!(crash, ALONE_FROM_CRASHES);
                fixture.claim_alone(&holder, job.id).await;
            }
            Claimed::Gone => assert_eq!(crash, MAX_CRASHES),
            other => panic!("{other:?}"),
        }
    }
    let job = fixture.job(job.id).await;
    assert_eq!((job.state, job.crashes, job.attempt), (JobState::Failed, MAX_CRASHES, MAX_CRASHES));
    assert_eq!(job.error.unwrap().kind, ProblemKind::WorkersLost);
}
