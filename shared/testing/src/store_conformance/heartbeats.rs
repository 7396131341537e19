//! Heartbeats: liveness, progress, and what a worker hears from them.

use std::time::Duration;

use model::job::Job;
use model::progress::Progress;
use store::{AttemptProgress, Claimed, Ending};

use super::fixture::{SOON, StoreFixture};
use super::samples::{ana, progress};
use crate::eventually;

pub async fn a_beat_carries_progress(fixture: StoreFixture) {
    let mut worker = fixture.worker().await;
    let (first, second) = (fixture.processing(&worker).await, fixture.processing(&worker).await);
    let of = |job_id, rows| AttemptProgress { job_id, attempt: 1, progress: progress(rows) };
    let lost = worker.heartbeat.beat(vec![of(first.id, 7), of(second.id, 8)]).await.unwrap();
    assert!(lost.is_empty());
    assert_eq!(fixture.job(first.id).await.progress, progress(7));
    assert_eq!(fixture.job(second.id).await.progress, progress(8));
    let unknown_total = Progress { total_rows: None, total_is_estimate: false, ..progress(9) };
    worker.heartbeat.beat(vec![AttemptProgress { progress: unknown_total, ..of(first.id, 0) }]).await.unwrap();
    assert_eq!(fixture.job(first.id).await.progress, unknown_total);
    assert_eq!(fixture.events(&first).await.len(), 2, "progress is no event");
}

pub async fn progress_of_an_older_attempt_is_ignored(fixture: StoreFixture) {
    let mut worker = fixture.worker().await;
    let first = fixture.processing(&worker).await;
    fixture.settle(&first, Ending::HandBack).await;
    let second = fixture.claim(&worker, first.id).await;
    let before = fixture.job(second.id).await;
    let late = AttemptProgress { job_id: first.id, attempt: 1, progress: progress(99) };
    assert_eq!(worker.heartbeat.beat(vec![late]).await.unwrap(), [(first.id, 1)]);
    assert_eq!(fixture.job(second.id).await, before);
}

pub async fn a_beat_tells_that_a_job_was_cancelled(fixture: StoreFixture) {
    let mut worker = fixture.worker().await;
    let (cancelled, kept) = (fixture.processing(&worker).await, fixture.processing(&worker).await);
    fixture.store.cancel(&ana(), cancelled.id).await.unwrap();
    let after = fixture.job(cancelled.id).await;
    let of = |job_id| AttemptProgress { job_id, attempt: 1, progress: progress(5) };
    let lost = worker.heartbeat.beat(vec![of(cancelled.id), of(kept.id)]).await.unwrap();
    assert_eq!(lost, [(cancelled.id, 1)]);
    assert_eq!(fixture.job(cancelled.id).await, after);
}

pub async fn a_beat_tells_that_a_job_was_taken_over(fixture: StoreFixture) {
    let mut silent = fixture.worker().await;
    let job = fixture.processing(&silent).await;
    eventually(SOON, "the release", async || {
        let released = fixture.store.release_lost_jobs(Duration::from_millis(20)).await.unwrap();
        (released == [job.id]).then_some(())
    })
    .await;
    let other = fixture.worker().await;
    let taken = fixture.claim(&other, job.id).await;
    let before = fixture.job(job.id).await;
    let late = AttemptProgress { job_id: job.id, attempt: 1, progress: progress(99) };
    assert_eq!(silent.heartbeat.beat(vec![late]).await.unwrap(), [(job.id, 1)]);
    // It was no crash after all; nothing else of it counts.
    assert_eq!(fixture.job(job.id).await, Job { crashes: 0, interruptions: 1, ..before });
    assert_eq!(taken.attempt, 2);
}

pub async fn a_worker_whose_row_vanished_has_lost_everything_and_is_registered_anew(fixture: StoreFixture) {
    let mut worker = fixture.worker().await;
    let jobs = [fixture.processing(&worker).await, fixture.processing(&worker).await];
    eventually(SOON, "the removal of the row", async || {
        fixture.store.release_lost_jobs(Duration::from_millis(20)).await.unwrap();
        fixture.store.workers().await.unwrap().is_empty().then_some(())
    })
    .await;
    for redelivered in [false, true] {
        assert_eq!(fixture.try_claim(&worker, jobs[0].id, redelivered).await, Claimed::Unregistered);
    }
    let all = jobs.iter().map(|job| AttemptProgress { job_id: job.id, attempt: 1, progress: progress(1) });
    let mut lost = worker.heartbeat.beat(all.collect()).await.unwrap();
    lost.sort();
    let mut expected = jobs.map(|job| (job.id, 1)).to_vec();
    expected.sort();
    assert_eq!(lost, expected);
    assert_eq!(fixture.store.workers().await.unwrap()[0].info.id, worker.id);
    assert!(worker.heartbeat.beat(Vec::new()).await.unwrap().is_empty());
    let again = fixture.processing(&worker).await;
    let own = AttemptProgress { job_id: again.id, attempt: 1, progress: progress(1) };
    assert!(worker.heartbeat.beat(vec![own]).await.unwrap().is_empty());
    let other = fixture.worker().await;
    assert_eq!(fixture.try_claim(&other, again.id, true).await, Claimed::Held);
}

pub async fn a_worker_that_retires_with_a_job_in_hand_leaves_it_covered(fixture: StoreFixture) {
    let (mut busy, mut idle) = (fixture.worker().await, fixture.worker().await);
    let job = fixture.processing(&busy).await;
    idle.heartbeat.retire().await.unwrap();
    busy.heartbeat.retire().await.unwrap();
    assert!(fixture.store.uncovered_jobs().await.unwrap().is_empty());
    let left: Vec<_> = fixture.store.workers().await.unwrap().into_iter().map(|worker| worker.info.id).collect();
    assert_eq!(left, [busy.id]);
    eventually(SOON, "the release", async || {
        let released = fixture.store.release_lost_jobs(Duration::from_millis(20)).await.unwrap();
        (released == [job.id]).then_some(())
    })
    .await;
    assert!(fixture.store.workers().await.unwrap().is_empty());
}

pub async fn workers_are_listed_with_what_they_hold(fixture: StoreFixture) {
    let (mut busy, idle) = (fixture.worker().await, fixture.worker().await);
    fixture.processing(&busy).await;
    fixture.processing(&busy).await;
    fixture.done(&busy).await;
    busy.heartbeat.beat(Vec::new()).await.unwrap();
    let listed = fixture.store.workers().await.unwrap();
    assert_eq!(listed.len(), 2);
    for (id, running) in [(busy.id, 2), (idle.id, 0)] {
        let worker = listed.iter().find(|worker| worker.info.id == id).expect("it is listed");
        assert_eq!((worker.running, worker.info.concurrency, worker.info.pid), (running, 4, std::process::id()));
        assert_eq!((worker.info.host.as_str(), worker.info.lanes.len()), ("test-host", 2));
        assert!(worker.started_at <= worker.heartbeat_at);
    }
}

pub async fn what_a_worker_holds_is_known_whether_it_named_it_or_not(fixture: StoreFixture) {
    let mut worker = fixture.worker().await;
    let (named, left_out, ended) =
        (fixture.processing(&worker).await, fixture.processing(&worker).await, fixture.processing(&worker).await);
    let of = |job: &Job| AttemptProgress { job_id: job.id, attempt: 1, progress: progress(1) };
    for beat in [vec![of(&named), of(&left_out), of(&ended)], vec![of(&named)]] {
        assert!(worker.heartbeat.beat(beat).await.unwrap().is_empty());
    }
    fixture.settle(&ended, Ending::HandBack).await;
    let claimed_since = fixture.processing(&worker).await;
    let mut held = [named.id, left_out.id, claimed_since.id];
    held.sort_unstable();
    assert_eq!(fixture.store.workers().await.unwrap()[0].running, 3);
    let running = fixture.store.queue_status(10).await.unwrap().running;
    let mut running: Vec<_> = running.into_iter().map(|job| job.id).collect();
    running.sort_unstable();
    assert_eq!(running, held);
    let lost = eventually(SOON, "the loss", async || {
        let lost = fixture.store.release_lost_jobs(Duration::from_millis(20)).await.unwrap();
        (!lost.is_empty()).then_some(lost)
    });
    let mut lost = lost.await;
    lost.sort_unstable();
    assert_eq!(lost, held);
}
