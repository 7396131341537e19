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

use super::stage::{Stage, TestWorker, until};

/// Asks again as the broker does, until the store has noticed that the holder is gone.
async fn take_over(stage: &Stage, worker: &TestWorker, job_id: Uuid) -> Claimed {
    until("the take-over", async || match stage.try_claim(worker, job_id, true).await {
        Claimed::Held => None,
        other => Some(other),
    })
    .await
}

pub async fn a_claim_starts_the_next_attempt(stage: Stage) {
    let worker = stage.worker().await;
    let pending = stage.pending().await;
    stage.recorder.take();
    let job = stage.claim(&worker, pending.id).await;
    assert_eq!((job.state, job.attempt, job.worker_id), (JobState::Processing, 1, Some(worker.id)));
    assert_eq!((job.seq, job.errors, job.crashes, job.interruptions), (2, 0, 0, 0));
    assert!(job.started_at.is_some());
    assert_eq!((&job.params, &job.traceparent), (&pending.params, &pending.traceparent));
    assert_eq!(stage.job(job.id).await, job);
    let events = stage.events(&job).await;
    assert_eq!((events[1].kind, events[1].state, events[1].attempt), (EventKind::Started, JobState::Processing, 1));
    assert_eq!(stage.recorder.take(), (Vec::new(), vec![events[1].clone()]));
}

pub async fn a_job_is_claimed_once_by_many_workers_at_once(stage: Stage) {
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(stage.worker().await);
    }
    let mut jobs = Vec::new();
    for _ in 0..20 {
        jobs.push(stage.pending().await.id);
    }
    let claims = (0..8).map(|n| {
        let (store, worker, mut jobs) = (Arc::clone(&stage.store), workers[n % 4].id, jobs.clone());
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

pub async fn a_job_named_twice_in_one_batch_is_claimed_once(stage: Stage) {
    let worker = stage.worker().await;
    let request = ClaimRequest { job_id: stage.pending().await.id, redelivered: false, alone: false };
    let outcomes = stage.store.claim(worker.id, vec![request, request]).await.unwrap();
    assert!(matches!(outcomes[0], Claimed::Yes(_)), "{:?}", outcomes[0]);
    assert_eq!(outcomes[1], Claimed::Held);
    assert_eq!(stage.job(request.job_id).await.attempt, 1);
}

pub async fn a_retry_that_is_not_due_is_not_claimed(stage: Stage) {
    let worker = stage.worker().await;
    let job = stage.retrying(&worker, Duration::from_secs(3600)).await;
    for redelivered in [false, true] {
        match stage.try_claim(&worker, job.id, redelivered).await {
            Claimed::NotDue(left) => {
                assert!(left > Duration::from_secs(3000) && left <= Duration::from_secs(3600), "{left:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stage.job(job.id).await, job);
}

pub async fn a_retry_that_is_due_is_claimed(stage: Stage) {
    let worker = stage.worker().await;
    let job = stage.retrying(&worker, Duration::from_millis(10)).await;
    let claimed = until("the retry to be due", async || match stage.try_claim(&worker, job.id, false).await {
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

pub async fn a_final_or_unknown_job_is_gone(stage: Stage) {
    let worker = stage.worker().await;
    let (done, failed, cancelled) = (stage.done(&worker).await, stage.failed(&worker).await, stage.pending().await);
    stage.store.cancel(&cancelled.caller, cancelled.id).await.unwrap();
    for id in [done.id, failed.id, cancelled.id, Uuid::now_v7()] {
        for redelivered in [false, true] {
            assert_eq!(stage.try_claim(&worker, id, redelivered).await, Claimed::Gone);
        }
    }
}

pub async fn a_redelivered_job_with_a_live_holder_is_held(stage: Stage) {
    let (mut holder, other) = (stage.worker().await, stage.worker().await);
    let job = stage.processing(&holder).await;
    holder.heartbeat.beat(Vec::new()).await.unwrap();
    let before = stage.snapshot(&job).await;
    for worker in [&holder, &other] {
        for redelivered in [false, true] {
            assert_eq!(stage.try_claim(worker, job.id, redelivered).await, Claimed::Held);
        }
    }
    assert_eq!(stage.snapshot(&job).await, before);
}

pub async fn a_redelivered_job_whose_holder_is_gone_is_taken_over(stage: Stage) {
    let (holder, other) = (stage.worker().await, stage.worker().await);
    let job = stage.processing(&holder).await;
    drop(holder);
    let Claimed::Yes(taken) = take_over(&stage, &other, job.id).await else { panic!("not taken over") };
    assert_eq!((taken.state, taken.attempt, taken.worker_id), (JobState::Processing, 2, Some(other.id)));
    assert_eq!((taken.errors, taken.crashes, taken.interruptions), (0, 1, 0));
    let kinds: Vec<_> = stage.events(&job).await.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Submitted, EventKind::Started, EventKind::WorkerLost, EventKind::Started]);
    assert_eq!(stage.settle(&job, Ending::Failed(super::stage::problem())).await, Settled::TooLate);
}

pub async fn a_take_over_releases_all_jobs_of_the_lost_worker(stage: Stage) {
    let (holder, other) = (stage.worker().await, stage.worker().await);
    let (first, second) = (stage.processing(&holder).await, stage.processing(&holder).await);
    stage.empty_outbox().await;
    drop(holder);
    assert!(matches!(take_over(&stage, &other, first.id).await, Claimed::Yes(_)));
    let second = stage.job(second.id).await;
    assert_eq!((second.state, second.crashes, second.worker_id), (JobState::Pending, 1, None));
    let rung = stage.empty_outbox().await;
    assert!(
        rung.iter().any(|row| row.message == model::message::Message::RunJob { job_id: second.id }),
        "nobody would hear of the second job: {rung:?}"
    );
}

pub async fn a_take_over_after_the_last_crash_fails_the_job(stage: Stage) {
    let mut holder = stage.worker().await;
    let job = stage.processing(&holder).await;
    for crash in 1..=MAX_CRASHES {
        let next = stage.worker().await;
        drop(std::mem::replace(&mut holder, next));
        match take_over(&stage, &holder, job.id).await {
            Claimed::Yes(taken) => assert_eq!((taken.crashes, taken.attempt), (crash, crash + 1)),
            Claimed::MustRunAlone => {
                assert_eq!(crash, ALONE_FROM_CRASHES);
                stage.claim_alone(&holder, job.id).await;
            }
            Claimed::Gone => assert_eq!(crash, MAX_CRASHES),
            other => panic!("{other:?}"),
        }
    }
    let job = stage.job(job.id).await;
    assert_eq!((job.state, job.crashes, job.attempt), (JobState::Failed, MAX_CRASHES, MAX_CRASHES));
    assert_eq!(job.error.unwrap().kind, ProblemKind::WorkersLost);
}
