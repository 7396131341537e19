//! What the sweeper repairs, and the proof that there is nothing else to repair.

use std::time::Duration;

use model::artifact::{Format, object_key};
use model::job::{JobState, Lane, NewJob};
use model::message::{Message, Queue, Route};
use store::{Ending, Submitted};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture};
use super::samples::{ana, artifact, keyed_job, new_job, retry_after};
use crate::eventually;

const MINUTE: Duration = Duration::from_secs(60);

pub async fn overdue_retries_are_rung(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let due = fixture.retrying(&worker, Duration::ZERO).await;
    fixture.retrying(&worker, MINUTE).await;
    fixture.empty_outbox().await;
    assert_eq!(fixture.store.ring_overdue_retries(due.lane, MINUTE, 10).await.unwrap(), 0, "not overdue by so much");
    let count = async |lane| fixture.store.count_overdue_retries(lane, Duration::ZERO, 1000).await.unwrap();
    eventually(SOON, "the retry to be counted", async || (count(due.lane).await == 1).then_some(())).await;
    assert_eq!(count(Lane::Bulk).await, 0);
    assert_eq!(fixture.store.ring_overdue_retries(Lane::Bulk, Duration::ZERO, 10).await.unwrap(), 0);
    eventually(SOON, "the retry to be overdue", async || {
        (fixture.store.ring_overdue_retries(due.lane, Duration::ZERO, 10).await.unwrap() == 1).then_some(())
    })
    .await;
    let rung = fixture.empty_outbox().await;
    assert_eq!(rung.len(), 1);
    assert_eq!(rung[0].message, Message::RunJob { job_id: due.id });
    assert_eq!(rung[0].route, Route::now(Queue::Work(due.lane)));
    assert_eq!(fixture.job(due.id).await, due, "ringing is no state change");
}

pub async fn silent_jobs_are_counted_and_rung(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let (first, second) = (fixture.pending().await, fixture.pending().await);
    fixture.submit(NewJob { lane: Lane::Bulk, ..new_job(&ana()) }).await;
    fixture.processing(&worker).await;
    fixture.done(&worker).await;
    fixture.empty_outbox().await;
    let count = async |grace| fixture.store.count_silent(Lane::Interactive, grace, 1000).await.unwrap();
    assert_eq!(count(MINUTE).await, 0);
    eventually(SOON, "both jobs to be silent", async || (count(Duration::ZERO).await == 2).then_some(())).await;
    assert_eq!(fixture.store.ring_silent(Lane::Interactive, MINUTE, 10).await.unwrap(), 0);
    assert_eq!(fixture.store.ring_silent(Lane::Interactive, Duration::ZERO, 1).await.unwrap(), 1);
    let rung = fixture.empty_outbox().await;
    assert_eq!(rung[0].message, Message::RunJob { job_id: first.id });
    assert_eq!(rung[0].route, Route::now(Queue::Work(Lane::Interactive)));
    assert_eq!(fixture.store.ring_silent(Lane::Interactive, Duration::ZERO, 1).await.unwrap(), 1);
    let rung = fixture.empty_outbox().await;
    assert_eq!(rung[0].message, Message::RunJob { job_id: second.id }, "the longest silent first");
}

pub async fn a_job_that_was_passed_in_its_queue_is_rung_and_one_that_still_waits_is_not(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let passed = fixture.pending().await;
    let ring = async || fixture.store.ring_passed_jobs(Lane::Interactive, Duration::ZERO, 10).await.unwrap();
    fixture.empty_outbox().await;
    let later = fixture.store.now().await.unwrap() + Duration::from_millis(2);
    eventually(SOON, "time to pass", async || (fixture.store.now().await.unwrap() > later).then_some(())).await;
    assert_eq!(ring().await, 0, "nothing that was rung later runs");
    let running = fixture.processing(&worker).await;
    fixture.pending().await;
    fixture.empty_outbox().await;
    assert_eq!(fixture.store.ring_passed_jobs(Lane::Bulk, Duration::ZERO, 10).await.unwrap(), 0);
    assert_eq!(fixture.store.ring_passed_jobs(Lane::Interactive, MINUTE, 10).await.unwrap(), 0);
    assert_eq!(ring().await, 1);
    assert_eq!(fixture.empty_outbox().await[0].message, Message::RunJob { job_id: passed.id });
    assert_eq!(ring().await, 0, "its new message is behind the one of what runs");
    fixture.settle(&running, Ending::HandBack).await;
}

pub async fn a_job_with_an_unsent_row_is_not_silent(fixture: StoreFixture) {
    fixture.pending().await;
    let later = fixture.store.now().await.unwrap() + Duration::from_millis(20);
    eventually(SOON, "time to pass", async || (fixture.store.now().await.unwrap() > later).then_some(())).await;
    assert_eq!(fixture.store.count_silent(Lane::Interactive, Duration::ZERO, 1000).await.unwrap(), 0);
    assert_eq!(fixture.store.ring_silent(Lane::Interactive, Duration::ZERO, 10).await.unwrap(), 0);
    fixture.empty_outbox().await;
    assert_eq!(fixture.store.count_silent(Lane::Interactive, Duration::ZERO, 1000).await.unwrap(), 1);
}

pub async fn expired_artifacts_are_found_until_marked(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    fixture.done(&worker).await;
    let job = fixture.submit(NewJob { retention_ms: 10, ..new_job(&ana()) }).await;
    let job = fixture.claim(&worker, job.id).await;
    fixture.settle(&job, Ending::Done(vec![artifact(&job)])).await;
    let job = fixture.job(job.id).await;
    let expired = eventually(SOON, "the artifact to expire", async || {
        Some(fixture.store.expired_artifacts(10).await.unwrap()).filter(|expired| !expired.is_empty())
    })
    .await;
    assert_eq!(expired, job.artifacts);
    assert_eq!(fixture.store.expired_artifacts(10).await.unwrap(), expired, "until the file is known to be gone");
    fixture.store.mark_deleted(vec![expired[0].id, Uuid::now_v7()]).await.unwrap();
    assert!(fixture.store.expired_artifacts(10).await.unwrap().is_empty());
}

pub async fn unreferenced_keys_are_told_from_referenced_ones(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let done = fixture.done(&worker).await;
    let held = fixture.processing(&worker).await;
    fixture.settle(&held, Ending::HandBack).await;
    let held = fixture.claim(&worker, held.id).await;
    let key = |job: Uuid, attempt: i32| object_key(job, attempt, Uuid::now_v7(), Format::Csv);
    let orphans = [
        key(done.id, 1),
        key(held.id, 1),
        key(Uuid::now_v7(), 1),
        key(fixture.failed(&worker).await.id, 1),
        "a stranger's file".to_owned(),
        "a/b/c/d".to_owned(),
    ];
    let needed = [done.artifacts[0].object_key.clone(), key(held.id, 2)];
    let mut asked = [&orphans[..3], &needed, &orphans[3..]].concat();
    let mut told = fixture.store.unreferenced_keys(asked.clone()).await.unwrap();
    asked.retain(|key| !needed.contains(key));
    told.sort();
    asked.sort();
    assert_eq!(told, asked);
}

pub async fn idempotency_keys_are_forgotten_after_a_time(fixture: StoreFixture) {
    fixture.submit(keyed_job(&ana(), "key", "body")).await;
    assert_eq!(fixture.store.forget_idempotency(MINUTE).await.unwrap(), 0);
    eventually(SOON, "the key to be forgotten", async || {
        (fixture.store.forget_idempotency(Duration::ZERO).await.unwrap() == 1).then_some(())
    })
    .await;
    let outcome = fixture.store.submit(vec![keyed_job(&ana(), "key", "another body")]).await.unwrap();
    assert!(matches!(outcome[0], Submitted::Created(_)), "{outcome:?}");
}

pub async fn idempotency_keys_are_forgotten_one_by_one_each_at_its_time(fixture: StoreFixture) {
    /// Between the two keys there is more time than this, and less than this behind the second.
    const RETENTION: Duration = Duration::from_secs(3);
    let submit = async |key: &str| fixture.store.submit(vec![keyed_job(&ana(), key, "body")]).await.unwrap().remove(0);
    let first = fixture.store.now().await.unwrap();
    submit("old").await;
    eventually(SOON, "the first key to be old", async || {
        let age = fixture.store.now().await.unwrap() - first;
        (age > chrono::TimeDelta::from_std(RETENTION + Duration::from_millis(500)).unwrap()).then_some(())
    })
    .await;
    submit("young").await;
    assert_eq!(fixture.store.forget_idempotency(RETENTION).await.unwrap(), 1);
    let again = submit("young").await;
    assert!(!matches!(again, Submitted::Created(_)), "the young one is remembered: {again:?}");
    let again = submit("old").await;
    assert!(matches!(again, Submitted::Created(_)), "the old one is not: {again:?}");
}

pub async fn no_job_is_uncovered_at_any_step(fixture: StoreFixture) {
    let none = async |step: &str| {
        let uncovered = fixture.store.uncovered_jobs().await.unwrap();
        assert!(uncovered.is_empty(), "{step}: {uncovered:?}");
    };
    let mut worker = fixture.worker().await;
    let job = fixture.pending().await;
    none("submitted").await;
    fixture.empty_outbox().await;
    none("published").await;
    let mut held = fixture.claim(&worker, job.id).await;
    none("claimed").await;
    for (ending, step) in [(Ending::HandBack, "handed back"), (retry_after(Duration::ZERO), "put off")] {
        fixture.settle(&held, ending).await;
        none(step).await;
        fixture.empty_outbox().await;
        none(step).await;
        held = fixture.claim(&worker, job.id).await;
    }
    eventually(SOON, "the loss", async || {
        let released = fixture.store.release_lost_jobs(Duration::from_millis(10)).await.unwrap();
        (released == [job.id]).then_some(())
    })
    .await;
    none("lost").await;
    worker.heartbeat.beat(Vec::new()).await.unwrap();
    held = fixture.claim(&worker, job.id).await;
    fixture.empty_outbox().await;
    none("claimed again").await;
    // A worker that leaves without settling what it holds leaves its row, too.
    worker.heartbeat.retire().await.unwrap();
    none("left alone").await;
    worker.heartbeat.beat(Vec::new()).await.unwrap();
    fixture.settle(&held, Ending::Done(vec![artifact(&held)])).await;
    none("ended").await;
}

pub async fn unfinished_jobs_are_counted_by_lane_and_state(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    fixture.done(&worker).await;
    fixture.failed(&worker).await;
    fixture.retrying(&worker, MINUTE).await;
    fixture.processing(&worker).await;
    fixture.pending().await;
    fixture.pending().await;
    fixture.submit(NewJob { lane: Lane::Bulk, ..new_job(&ana()) }).await;
    let mut counts: Vec<_> = fixture.store.job_counts().await.unwrap();
    counts.retain(|(_, _, count)| *count > 0);
    counts.sort_by_key(|(lane, state, _)| (*lane, state.as_str()));
    assert_eq!(
        counts,
        [
            (Lane::Interactive, JobState::Pending, 2),
            (Lane::Interactive, JobState::Processing, 1),
            (Lane::Interactive, JobState::Retrying, 1),
            (Lane::Bulk, JobState::Pending, 1),
        ]
    );
}
