//! Lost workers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use model::event::EventKind;
use model::job::{Job, JobState};
use model::message::{Message, Queue, Route};
use model::problem::ProblemKind;
use model::progress::Phase;
use model::transitions::{ALONE_FROM_CRASHES, MAX_CRASHES};
use store::{AttemptProgress, ClaimRequest, Claimed, Ending, Settled};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture};
use super::samples::{artifact, progress, retry_after};
use crate::eventually;

const MINUTE: Duration = Duration::from_secs(60);

/// Sweeps until something was released.
async fn release(fixture: &StoreFixture, silence: Duration) -> Vec<Uuid> {
    eventually(SOON, "the release of a lost job", async || {
        let released = fixture.store.release_lost_jobs(silence).await.unwrap();
        (!released.is_empty()).then_some(released)
    })
    .await
}

/// A fresh worker claims the job as the store wants it, begins, and dies of it.
async fn lose_with(fixture: &StoreFixture, id: Uuid) {
    let worker = fixture.worker().await;
    if fixture.job(id).await.must_run_alone() {
        fixture.claim_alone(&worker, id).await;
    } else {
        fixture.claim(&worker, id).await;
    }
    fixture.empty_outbox().await;
    drop(worker);
    assert_eq!(release(fixture, MINUTE).await, [id]);
}

/// Submits a job that lost so many workers that it must run alone.
async fn suspect(fixture: &StoreFixture) -> Job {
    let job = fixture.pending().await;
    for _ in 0..ALONE_FROM_CRASHES {
        lose_with(fixture, job.id).await;
    }
    fixture.job(job.id).await
}

pub async fn a_job_that_lost_two_workers_is_claimed_only_to_run_alone(fixture: StoreFixture) {
    let job = suspect(&fixture).await;
    let worker = fixture.worker().await;
    for redelivered in [false, true] {
        assert_eq!(fixture.try_claim(&worker, job.id, redelivered).await, Claimed::MustRunAlone);
    }
    assert_eq!(fixture.job(job.id).await, job);
    let Claimed::Yes(claimed) = fixture.try_claim_alone(&worker, job.id).await else { panic!("not claimed") };
    assert_eq!((claimed.state, claimed.progress.phase), (JobState::Processing, Phase::Waiting));
    for alone in [false, true] {
        let request = ClaimRequest { job_id: job.id, redelivered: false, alone };
        assert_eq!(fixture.store.claim(worker.id, vec![request]).await.unwrap(), [Claimed::Held]);
    }
    for _ in 0..2 {
        assert!(
            fixture.store.begin(worker.id, job.id, claimed.attempt).await.unwrap(),
            "also when the first answer is lost"
        );
    }
    assert_eq!(fixture.job(job.id).await.progress.phase, Phase::Starting);
    assert!(!fixture.store.begin(Uuid::new_v4(), job.id, claimed.attempt).await.unwrap());
    assert!(!fixture.store.begin(worker.id, job.id, claimed.attempt - 1).await.unwrap());
    assert_eq!(fixture.settle(&claimed, Ending::Done(vec![artifact(&claimed)])).await, Settled::As(JobState::Done));
    assert!(!fixture.store.begin(worker.id, job.id, claimed.attempt).await.unwrap());
}

pub async fn a_retry_that_must_run_alone_waits_for_its_time_too(fixture: StoreFixture) {
    let job = suspect(&fixture).await;
    let worker = fixture.worker().await;
    let claimed = fixture.claim_alone(&worker, job.id).await;
    fixture.settle(&claimed, retry_after(MINUTE)).await;
    assert!(matches!(fixture.try_claim(&worker, job.id, false).await, Claimed::NotDue(_)));
    assert!(matches!(fixture.try_claim_alone(&worker, job.id).await, Claimed::NotDue(_)));
}

pub async fn a_job_that_waits_to_be_alone_does_not_crash_with_its_worker(fixture: StoreFixture) {
    let job = suspect(&fixture).await;
    for interruptions in 1..=4 {
        let worker = fixture.worker().await;
        assert!(matches!(fixture.try_claim_alone(&worker, job.id).await, Claimed::Yes(_)));
        fixture.empty_outbox().await;
        drop(worker);
        assert_eq!(release(&fixture, MINUTE).await, [job.id]);
        let released = fixture.job(job.id).await;
        assert_eq!((released.state, released.crashes), (JobState::Pending, ALONE_FROM_CRASHES));
        assert_eq!((released.interruptions, released.attempt), (interruptions, job.attempt + interruptions));
        assert_eq!(fixture.events(&job).await.pop().unwrap().kind, EventKind::HandedBack);
        assert_eq!(fixture.empty_outbox().await.len(), 1, "its lane is rung");
    }
}

pub async fn a_poison_job_fails_and_its_neighbours_are_done(fixture: StoreFixture) {
    let poison = fixture.pending().await;
    let mut neighbours = Vec::new();
    for _ in 0..3 {
        neighbours.push(fixture.pending().await.id);
    }
    // The worst company: always together, as far as the store lets them.
    for _ in 0..ALONE_FROM_CRASHES {
        let worker = fixture.worker().await;
        for id in neighbours.iter().chain([&poison.id]) {
            fixture.claim(&worker, *id).await;
        }
        drop(worker);
        assert_eq!(release(&fixture, MINUTE).await.len(), 4);
    }
    let worker = fixture.worker().await;
    for id in &neighbours {
        assert_eq!(fixture.try_claim(&worker, *id, true).await, Claimed::MustRunAlone);
        // It waits beside one that takes the worker with it, whatever that is.
        let doomed = fixture.worker().await;
        let waiting = fixture.try_claim_alone(&doomed, *id).await;
        assert!(matches!(waiting, Claimed::Yes(_)));
        drop(doomed);
        assert_eq!(release(&fixture, MINUTE).await, [*id]);
        let job = fixture.claim_alone(&worker, *id).await;
        assert_eq!(fixture.settle(&job, Ending::Done(vec![artifact(&job)])).await, Settled::As(JobState::Done));
    }
    lose_with(&fixture, poison.id).await;
    let failed = fixture.job(poison.id).await;
    assert_eq!((failed.state, failed.crashes), (JobState::Failed, MAX_CRASHES));
}

pub async fn a_worker_taken_for_dead_that_lives_cost_its_jobs_no_crash(fixture: StoreFixture) {
    let mut worker = fixture.worker().await;
    let (waiting, running, done) =
        (fixture.processing(&worker).await, fixture.processing(&worker).await, fixture.processing(&worker).await);
    eventually(SOON, "the loss", async || {
        fixture.store.release_lost_jobs(Duration::from_millis(20)).await.unwrap();
        fixture.store.workers().await.unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(fixture.job(waiting.id).await.crashes, 1);
    let other = fixture.worker().await;
    fixture.claim(&other, running.id).await;
    let ended = fixture.claim(&other, done.id).await;
    fixture.settle(&ended, Ending::Done(vec![artifact(&ended)])).await;
    let held = [&waiting, &running, &done];
    let all = held.map(|job| AttemptProgress { job_id: job.id, attempt: 1, progress: progress(1) });
    assert_eq!(worker.heartbeat.beat(all.to_vec()).await.unwrap().len(), 3);
    for (job, state, attempt) in [(&waiting, JobState::Pending, 1), (&running, JobState::Processing, 2)] {
        let job = fixture.job(job.id).await;
        assert_eq!((job.state, job.attempt, job.crashes, job.interruptions), (state, attempt, 0, 1));
    }
    let after = fixture.job(ended.id).await;
    assert_eq!((after.state, after.crashes), (JobState::Done, 1), "what is final stays as it is");
}

pub async fn a_worker_that_beats_keeps_its_jobs(fixture: StoreFixture) {
    let mut worker = fixture.worker().await;
    let job = fixture.processing(&worker).await;
    let before = fixture.snapshot(&job).await;
    for _ in 0..5 {
        assert!(worker.heartbeat.beat(Vec::new()).await.unwrap().is_empty());
        assert!(fixture.store.release_lost_jobs(MINUTE).await.unwrap().is_empty());
    }
    assert_eq!(fixture.snapshot(&job).await, before);
}

pub async fn a_silent_worker_loses_its_jobs(fixture: StoreFixture) {
    let silent = fixture.worker().await;
    let job = fixture.processing(&silent).await;
    assert_eq!(release(&fixture, Duration::from_millis(50)).await, [job.id]);
    let released = fixture.job(job.id).await;
    assert_eq!((released.state, released.crashes, released.worker_id), (JobState::Pending, 1, None));
    assert_eq!(fixture.settle(&job, Ending::Done(vec![artifact(&job)])).await, Settled::TooLate);
    assert!(fixture.store.workers().await.unwrap().is_empty());
}

pub async fn a_dead_workers_job_goes_back_and_counts_a_crash(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let job = fixture.processing(&worker).await;
    fixture.empty_outbox().await;
    drop(worker);
    assert_eq!(release(&fixture, MINUTE).await, [job.id]);
    let released = fixture.job(job.id).await;
    assert_eq!((released.state, released.attempt, released.worker_id), (JobState::Pending, 1, None));
    assert_eq!((released.errors, released.crashes, released.interruptions), (0, 1, 0));
    let event = fixture.events(&job).await.pop().unwrap();
    assert_eq!((event.kind, event.state, event.seq), (EventKind::WorkerLost, JobState::Pending, 3));
    let (outbox, events) = fixture.recorder.take();
    assert_eq!(events, [event]);
    assert_eq!(outbox.len(), 1);
    assert_eq!(outbox[0].message, Message::RunJob { job_id: job.id });
    assert_eq!(outbox[0].route, Route::now(Queue::Work(job.lane)));
    assert!(fixture.store.workers().await.unwrap().is_empty());
    assert!(fixture.store.release_lost_jobs(MINUTE).await.unwrap().is_empty());
}

pub async fn three_crashes_fail_the_job(fixture: StoreFixture) {
    let job = fixture.pending().await;
    for crash in 1..=MAX_CRASHES {
        lose_with(&fixture, job.id).await;
        assert_eq!(fixture.job(job.id).await.crashes, crash);
    }
    let failed = fixture.job(job.id).await;
    assert_eq!((failed.state, failed.errors, failed.attempt), (JobState::Failed, 0, MAX_CRASHES));
    assert_eq!(failed.error.as_ref().unwrap().kind, ProblemKind::WorkersLost);
    assert!(failed.finished_at.is_some());
    let event = fixture.events(&job).await.pop().unwrap();
    assert_eq!((event.kind, &event.error), (EventKind::Failed, &failed.error));
    let deliveries = fixture.store.deliveries_of_job(job.id).await.unwrap();
    assert_eq!(deliveries.len(), 1);
    let outbox = fixture.empty_outbox().await;
    assert!(outbox.iter().any(|row| matches!(row.message, Message::DeadJob { .. })), "{outbox:?}");
    assert!(outbox.iter().any(|row| matches!(row.message, Message::SendDelivery { .. })), "{outbox:?}");
    assert_eq!(outbox.len(), 2);
}

pub async fn a_worker_without_row_loses_its_jobs(fixture: StoreFixture) {
    let mut worker = fixture.worker().await;
    let job = fixture.processing(&worker).await;
    worker.heartbeat.retire().await.unwrap();
    drop(worker);
    assert_eq!(release(&fixture, MINUTE).await, [job.id]);
    assert_eq!(fixture.job(job.id).await.state, JobState::Pending);
}

pub async fn a_retired_worker_is_not_listed(fixture: StoreFixture) {
    let mut worker = fixture.worker().await;
    assert_eq!(fixture.store.workers().await.unwrap().len(), 1);
    worker.heartbeat.retire().await.unwrap();
    assert!(fixture.store.workers().await.unwrap().is_empty());
}

pub async fn many_sweepers_at_once_release_a_job_once(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let mut jobs = Vec::new();
    for _ in 0..10 {
        jobs.push(fixture.processing(&worker).await.id);
    }
    drop(worker);
    let sweepers = (0..6).map(|_| {
        let store = Arc::clone(&fixture.store);
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
        assert_eq!(fixture.job(id).await.crashes, 1);
    }
}
