//! Cancel and replay.

use std::sync::Arc;
use std::time::Duration;

use model::delivery::DeliveryEvent;
use model::event::EventKind;
use model::job::{Job, JobState};
use model::message::{Message, Queue, Route};
use store::{Changed, Ending, Settled};

use super::stage::{Stage, ana, artifact, settlement};

async fn assert_cancelled(stage: &Stage, before: &Job) {
    stage.empty_outbox().await;
    let changed = stage.store.cancel(&ana(), before.id).await.unwrap();
    let job = stage.job(before.id).await;
    assert_eq!(changed, Changed::Yes(Box::new(job.clone())));
    assert_eq!((job.state, job.seq, job.attempt), (JobState::Cancelled, before.seq + 1, before.attempt));
    assert_eq!((job.worker_id, job.next_attempt_at), (None, None));
    assert!(job.finished_at.is_some());
    let event = stage.events(&job).await.pop().unwrap();
    assert_eq!((event.kind, event.state), (EventKind::Cancelled, JobState::Cancelled));
    assert_eq!(stage.recorder.take(), (Vec::new(), vec![event]));
    assert!(stage.store.deliveries_of_job(job.id).await.unwrap().is_empty());
    assert_eq!(stage.store.cancel(&ana(), job.id).await.unwrap(), Changed::WrongState(Box::new(job)));
}

pub async fn a_pending_job_is_cancelled(stage: Stage) {
    let job = stage.pending().await;
    assert_cancelled(&stage, &job).await;
}

pub async fn a_processing_job_is_cancelled_and_its_attempt_fenced(stage: Stage) {
    let worker = stage.worker().await;
    let job = stage.processing(&worker).await;
    assert_cancelled(&stage, &job).await;
    let before = stage.snapshot(&job).await;
    assert_eq!(stage.settle(&job, Ending::Done(vec![artifact(&job)])).await, Settled::TooLate);
    assert_eq!(stage.snapshot(&job).await, before);
    let (outbox, events) = stage.recorder.take();
    assert!(outbox.is_empty() && events.is_empty(), "no success goes out after a cancel");
}

pub async fn a_retrying_job_is_cancelled(stage: Stage) {
    let worker = stage.worker().await;
    let job = stage.retrying(&worker, Duration::from_secs(60)).await;
    assert_cancelled(&stage, &job).await;
}

pub async fn a_final_job_is_not_cancelled(stage: Stage) {
    let worker = stage.worker().await;
    for job in [stage.done(&worker).await, stage.failed(&worker).await] {
        let before = stage.snapshot(&job).await;
        assert_eq!(stage.store.cancel(&ana(), job.id).await.unwrap(), Changed::WrongState(Box::new(job.clone())));
        assert_eq!(stage.snapshot(&job).await, before);
    }
}

pub async fn a_failed_job_is_replayed_with_its_counters_at_zero(stage: Stage) {
    let worker = stage.worker().await;
    let claimed = stage.processing(&worker).await;
    stage.settle(&claimed, Ending::HandBack).await;
    let claimed = stage.claim(&worker, claimed.id).await;
    stage.settle(&claimed, Ending::Failed(super::stage::problem())).await;
    let failed = stage.job(claimed.id).await;
    assert_eq!((failed.errors, failed.interruptions, failed.attempt), (1, 1, 2));
    stage.empty_outbox().await;
    let changed = stage.store.replay(&ana(), failed.id).await.unwrap();
    let job = stage.job(failed.id).await;
    assert_eq!(changed, Changed::Yes(Box::new(job.clone())));
    assert_eq!((job.state, job.errors, job.crashes, job.interruptions), (JobState::Pending, 0, 0, 0));
    assert_eq!((job.attempt, job.seq), (failed.attempt, failed.seq + 1));
    assert_eq!((&job.error, job.finished_at, job.worker_id), (&None, None, None));
    let (outbox, events) = stage.recorder.take();
    assert_eq!(events[0].kind, EventKind::Replayed);
    assert_eq!(outbox.len(), 1);
    assert_eq!(outbox[0].message, Message::RunJob { job_id: job.id });
    assert_eq!(outbox[0].route, Route::now(Queue::Work(job.lane)));
    assert_eq!(stage.claim(&worker, job.id).await.attempt, failed.attempt + 1);
}

pub async fn only_failed_jobs_are_replayed(stage: Stage) {
    let worker = stage.worker().await;
    let cancelled = stage.pending().await;
    stage.store.cancel(&ana(), cancelled.id).await.unwrap();
    for job in [
        stage.pending().await,
        stage.processing(&worker).await,
        stage.retrying(&worker, Duration::from_secs(60)).await,
        stage.done(&worker).await,
        stage.job(cancelled.id).await,
    ] {
        let before = stage.snapshot(&job).await;
        assert_eq!(stage.store.replay(&ana(), job.id).await.unwrap(), Changed::WrongState(Box::new(job.clone())));
        assert_eq!(stage.snapshot(&job).await, before);
    }
}

pub async fn a_replayed_job_tells_its_recipients_again(stage: Stage) {
    let worker = stage.worker().await;
    let failed = stage.failed(&worker).await;
    stage.store.replay(&ana(), failed.id).await.unwrap();
    let claimed = stage.claim(&worker, failed.id).await;
    assert_eq!(stage.settle(&claimed, Ending::Done(vec![artifact(&claimed)])).await, Settled::As(JobState::Done));
    let mut told: Vec<_> = stage.store.deliveries_of_job(failed.id).await.unwrap();
    told.sort_by_key(|delivery| delivery.seq);
    let told: Vec<_> = told.iter().map(|delivery| (delivery.event, delivery.seq)).collect();
    assert_eq!(told, [(DeliveryEvent::Failed, 3), (DeliveryEvent::Done, 6)]);
}

pub async fn one_of_many_cancels_and_finishes_wins(stage: Stage) {
    let worker = stage.worker().await;
    for _ in 0..10 {
        let job = stage.processing(&worker).await;
        let barrier = Arc::new(tokio::sync::Barrier::new(3));
        let ended = (0..2).map(|_| {
            let (store, barrier) = (Arc::clone(&stage.store), Arc::clone(&barrier));
            let settlement = settlement(&job, Ending::Done(vec![artifact(&job)]));
            tokio::spawn(async move {
                barrier.wait().await;
                store.settle(vec![settlement]).await.unwrap().remove(0)
            })
        });
        let ended: Vec<_> = ended.collect();
        barrier.wait().await;
        let cancelled = matches!(stage.store.cancel(&ana(), job.id).await.unwrap(), Changed::Yes(_));
        let mut finished = 0;
        for end in ended {
            finished += usize::from(end.await.unwrap() == Settled::As(JobState::Done));
        }
        assert_eq!(finished + usize::from(cancelled), 1);
        let kept = stage.job(job.id).await;
        assert_eq!(kept.state, if cancelled { JobState::Cancelled } else { JobState::Done });
        assert_eq!(kept.seq, 3);
        assert_eq!(kept.artifacts.len(), finished);
        assert_eq!(stage.store.deliveries_of_job(job.id).await.unwrap().len(), finished);
    }
}
