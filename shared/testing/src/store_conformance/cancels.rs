//! Cancel and replay.

use std::sync::Arc;
use std::time::Duration;

use model::delivery::DeliveryEvent;
use model::event::EventKind;
use model::job::{Job, JobState};
use model::message::{Message, Queue, Route};
use store::{Changed, Ending, Settled};

use super::fixture::StoreFixture;
use super::samples::{ana, artifact, settlement};

async fn assert_cancelled(fixture: &StoreFixture, before: &Job) {
    fixture.empty_outbox().await;
    let changed = fixture.store.cancel(&ana(), before.id).await.unwrap();
    let job = fixture.job(before.id).await;
    assert_eq!(changed, Changed::Yes(Box::new(job.clone())));
    assert_eq!((job.state, job.seq, job.attempt), (JobState::Cancelled, before.seq + 1, before.attempt));
    assert_eq!((job.worker_id, job.next_attempt_at), (None, None));
    assert!(job.finished_at.is_some());
    let event = fixture.events(&job).await.pop().unwrap();
    assert_eq!((event.kind, event.state), (EventKind::Cancelled, JobState::Cancelled));
    assert_eq!(fixture.recorder.take(), (Vec::new(), vec![event]));
    assert!(fixture.store.deliveries_of_job(job.id).await.unwrap().is_empty());
    assert_eq!(fixture.store.cancel(&ana(), job.id).await.unwrap(), Changed::WrongState(Box::new(job)));
}

pub async fn a_pending_job_is_cancelled(fixture: StoreFixture) {
    let job = fixture.pending().await;
    assert_cancelled(&fixture, &job).await;
}

pub async fn a_processing_job_is_cancelled_and_its_attempt_fenced(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let job = fixture.processing(&worker).await;
    assert_cancelled(&fixture, &job).await;
    let before = fixture.snapshot(&job).await;
    assert_eq!(fixture.settle(&job, Ending::Done(vec![artifact(&job)])).await, Settled::TooLate);
    assert_eq!(fixture.snapshot(&job).await, before);
    let (outbox, events) = fixture.recorder.take();
    assert!(outbox.is_empty() && events.is_empty(), "no success goes out after a cancel");
}

pub async fn a_retrying_job_is_cancelled(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let job = fixture.retrying(&worker, Duration::from_secs(60)).await;
    assert_cancelled(&fixture, &job).await;
}

pub async fn a_final_job_is_not_cancelled(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    for job in [fixture.done(&worker).await, fixture.failed(&worker).await] {
        let before = fixture.snapshot(&job).await;
        assert_eq!(fixture.store.cancel(&ana(), job.id).await.unwrap(), Changed::WrongState(Box::new(job.clone())));
        assert_eq!(fixture.snapshot(&job).await, before);
    }
}

pub async fn a_failed_job_is_replayed_with_its_counters_at_zero(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let claimed = fixture.processing(&worker).await;
    fixture.settle(&claimed, Ending::HandBack).await;
    let claimed = fixture.claim(&worker, claimed.id).await;
    fixture.settle(&claimed, Ending::Failed(super::samples::problem())).await;
    let failed = fixture.job(claimed.id).await;
    assert_eq!((failed.errors, failed.interruptions, failed.attempt), (1, 1, 2));
    fixture.empty_outbox().await;
    let changed = fixture.store.replay(&ana(), failed.id).await.unwrap();
    let job = fixture.job(failed.id).await;
    assert_eq!(changed, Changed::Yes(Box::new(job.clone())));
    assert_eq!((job.state, job.errors, job.crashes, job.interruptions), (JobState::Pending, 0, 0, 0));
    assert_eq!((job.attempt, job.seq), (failed.attempt, failed.seq + 1));
    assert_eq!((&job.error, job.finished_at, job.worker_id), (&None, None, None));
    let (outbox, events) = fixture.recorder.take();
    assert_eq!(events[0].kind, EventKind::Replayed);
    assert_eq!(outbox.len(), 1);
    assert_eq!(outbox[0].message, Message::RunJob { job_id: job.id });
    assert_eq!(outbox[0].route, Route::now(Queue::Work(job.lane)));
    assert_eq!(fixture.claim(&worker, job.id).await.attempt, failed.attempt + 1);
}

pub async fn only_failed_jobs_are_replayed(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let cancelled = fixture.pending().await;
    fixture.store.cancel(&ana(), cancelled.id).await.unwrap();
    for job in [
        fixture.pending().await,
        fixture.processing(&worker).await,
        fixture.retrying(&worker, Duration::from_secs(60)).await,
        fixture.done(&worker).await,
        fixture.job(cancelled.id).await,
    ] {
        let before = fixture.snapshot(&job).await;
        assert_eq!(fixture.store.replay(&ana(), job.id).await.unwrap(), Changed::WrongState(Box::new(job.clone())));
        assert_eq!(fixture.snapshot(&job).await, before);
    }
}

pub async fn a_replayed_job_tells_its_recipients_again(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let failed = fixture.failed(&worker).await;
    fixture.store.replay(&ana(), failed.id).await.unwrap();
    let claimed = fixture.claim(&worker, failed.id).await;
    assert_eq!(fixture.settle(&claimed, Ending::Done(vec![artifact(&claimed)])).await, Settled::As(JobState::Done));
    let mut told: Vec<_> = fixture.store.deliveries_of_job(failed.id).await.unwrap();
    told.sort_by_key(|delivery| delivery.seq);
    let told: Vec<_> = told.iter().map(|delivery| (delivery.event, delivery.seq)).collect();
    assert_eq!(told, [(DeliveryEvent::Failed, 3), (DeliveryEvent::Done, 6)]);
}

pub async fn one_of_many_cancels_and_finishes_wins(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    for _ in 0..10 {
        let job = fixture.processing(&worker).await;
        let barrier = Arc::new(tokio::sync::Barrier::new(3));
        let ended = (0..2).map(|_| {
            let (store, barrier) = (Arc::clone(&fixture.store), Arc::clone(&barrier));
            let settlement = settlement(&job, Ending::Done(vec![artifact(&job)]));
            tokio::spawn(async move {
                barrier.wait().await;
                store.settle(vec![settlement]).await.unwrap().remove(0)
            })
        });
        let ended: Vec<_> = ended.collect();
        barrier.wait().await;
        let cancelled = matches!(fixture.store.cancel(&ana(), job.id).await.unwrap(), Changed::Yes(_));
        let mut finished = 0;
        for end in ended {
            finished += usize::from(end.await.unwrap() == Settled::As(JobState::Done));
        }
        assert_eq!(finished + usize::from(cancelled), 1);
        let kept = fixture.job(job.id).await;
        assert_eq!(kept.state, if cancelled { JobState::Cancelled } else { JobState::Done });
        assert_eq!(kept.seq, 3);
        assert_eq!(kept.artifacts.len(), finished);
        assert_eq!(fixture.store.deliveries_of_job(job.id).await.unwrap().len(), finished);
    }
}
