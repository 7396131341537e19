//! Lost workers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use shared::event::EventKind;
use shared::job::JobState;
use shared::message::{Message, Queue, Route};
use shared::problem::ProblemKind;
use shared::store::{Ending, Settled};
use shared::transitions::MAX_CRASHES;
use uuid::Uuid;

use super::stage::{Stage, artifact, until};

const MINUTE: Duration = Duration::from_secs(60);

/// Sweeps until something was released.
async fn release(stage: &Stage, silence: Duration) -> Vec<Uuid> {
    until("the release of a lost job", async || {
        let released = stage.store.release_lost_jobs(silence).await.unwrap();
        (!released.is_empty()).then_some(released)
    })
    .await
}

pub async fn a_worker_that_beats_keeps_its_jobs(stage: Stage) {
    let mut worker = stage.worker().await;
    let job = stage.processing(&worker).await;
    let before = stage.snapshot(&job).await;
    for _ in 0..5 {
        assert!(worker.heartbeat.beat(Vec::new()).await.unwrap().is_empty());
        assert!(stage.store.release_lost_jobs(MINUTE).await.unwrap().is_empty());
    }
    assert_eq!(stage.snapshot(&job).await, before);
}

pub async fn a_silent_worker_loses_its_jobs(stage: Stage) {
    let silent = stage.worker().await;
    let job = stage.processing(&silent).await;
    assert_eq!(release(&stage, Duration::from_millis(50)).await, [job.id]);
    let released = stage.job(job.id).await;
    assert_eq!((released.state, released.crashes, released.worker_id), (JobState::Pending, 1, None));
    assert_eq!(stage.settle(&job, Ending::Done(vec![artifact(&job)])).await, Settled::TooLate);
    assert!(stage.store.workers().await.unwrap().is_empty());
}

pub async fn a_dead_workers_job_goes_back_and_counts_a_crash(stage: Stage) {
    let worker = stage.worker().await;
    let job = stage.processing(&worker).await;
    stage.empty_outbox().await;
    drop(worker);
    assert_eq!(release(&stage, MINUTE).await, [job.id]);
    let released = stage.job(job.id).await;
    assert_eq!((released.state, released.attempt, released.worker_id), (JobState::Pending, 1, None));
    assert_eq!((released.errors, released.crashes, released.interruptions), (0, 1, 0));
    let event = stage.events(&job).await.pop().unwrap();
    assert_eq!((event.kind, event.state, event.seq), (EventKind::WorkerLost, JobState::Pending, 3));
    let (outbox, events) = stage.recorder.take();
    assert_eq!(events, [event]);
    assert_eq!(outbox.len(), 1);
    assert_eq!(outbox[0].message, Message::RunJob { job_id: job.id });
    assert_eq!(outbox[0].route, Route::now(Queue::Work(job.lane)));
    assert!(stage.store.workers().await.unwrap().is_empty());
    assert!(stage.store.release_lost_jobs(MINUTE).await.unwrap().is_empty());
}

pub async fn three_crashes_fail_the_job(stage: Stage) {
    let job = stage.pending().await;
    for crash in 1..=MAX_CRASHES {
        let worker = stage.worker().await;
        stage.claim(&worker, job.id).await;
        stage.empty_outbox().await;
        drop(worker);
        assert_eq!(release(&stage, MINUTE).await, [job.id]);
        assert_eq!(stage.job(job.id).await.crashes, crash);
    }
    let failed = stage.job(job.id).await;
    assert_eq!((failed.state, failed.errors, failed.attempt), (JobState::Failed, 0, MAX_CRASHES));
    assert_eq!(failed.error.as_ref().unwrap().kind, ProblemKind::WorkersLost);
    assert!(failed.finished_at.is_some());
    let event = stage.events(&job).await.pop().unwrap();
    assert_eq!((event.kind, &event.error), (EventKind::Failed, &failed.error));
    let deliveries = stage.store.deliveries_of_job(job.id).await.unwrap();
    assert_eq!(deliveries.len(), 1);
    let outbox = stage.empty_outbox().await;
    assert!(outbox.iter().any(|row| matches!(row.message, Message::DeadJob { .. })), "{outbox:?}");
    assert!(outbox.iter().any(|row| matches!(row.message, Message::SendDelivery { .. })), "{outbox:?}");
    assert_eq!(outbox.len(), 2);
}

pub async fn a_worker_without_row_loses_its_jobs(stage: Stage) {
    let mut worker = stage.worker().await;
    let job = stage.processing(&worker).await;
    worker.heartbeat.retire().await.unwrap();
    drop(worker);
    assert_eq!(release(&stage, MINUTE).await, [job.id]);
    assert_eq!(stage.job(job.id).await.state, JobState::Pending);
}

pub async fn a_retired_worker_is_not_listed(stage: Stage) {
    let mut worker = stage.worker().await;
    assert_eq!(stage.store.workers().await.unwrap().len(), 1);
    worker.heartbeat.retire().await.unwrap();
    assert!(stage.store.workers().await.unwrap().is_empty());
}

pub async fn many_sweepers_at_once_release_a_job_once(stage: Stage) {
    let worker = stage.worker().await;
    let mut jobs = Vec::new();
    for _ in 0..10 {
        jobs.push(stage.processing(&worker).await.id);
    }
    drop(worker);
    let sweepers = (0..6).map(|_| {
        let store = Arc::clone(&stage.store);
        tokio::spawn(async move {
            let mut released = Vec::new();
            let deadline = Instant::now() + Duration::from_secs(20);
            while !store.workers().await.unwrap().is_empty() {
                released.extend(store.release_lost_jobs(MINUTE).await.unwrap());
                assert!(Instant::now() < deadline, "the dead worker stays");
            }
            released
        })
    });
    let mut released: Vec<_> = join_all(sweepers).await.into_iter().flat_map(Result::unwrap).collect();
    released.sort();
    jobs.sort();
    assert_eq!(released, jobs);
    for id in jobs {
        assert_eq!(stage.job(id).await.crashes, 1);
    }
}
