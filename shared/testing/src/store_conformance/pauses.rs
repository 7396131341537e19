//! What is paused waits, says why, and goes on when it is resumed.

use std::time::Duration;

use model::job::{Caller, Job, JobState, Lane, NewJob};
use model::pause::{PauseKind, PauseTarget};
use store::{Claimed, TurnRequest, TurnRules};
use uuid::Uuid;

use super::fixture::{StoreFixture, TestWorker};
use super::samples::{VERSION, ana, caller, new_job, retry_after};

async fn ask(fixture: &StoreFixture, worker: &TestWorker, job: &Job) -> Claimed {
    let request = TurnRequest { lane: job.lane, hint: job.id, redelivered: false, in_doubt: false };
    fixture.store.claim_turns(worker.id, vec![request], &TurnRules::default()).await.unwrap().remove(0)
}

fn is_run_of(outcome: &Claimed, id: Uuid) -> bool {
    matches!(outcome, Claimed::Yes(job) if job.id == id)
}

fn of_report(of: &Caller, report: &str) -> NewJob {
    NewJob { report: report.to_owned(), notify: Vec::new(), ..new_job(of) }
}

pub async fn whatever_is_paused_waits_until_it_is_resumed(fixture: StoreFixture) {
    fixture.store.note_source(VERSION, "erp").await.unwrap();
    let worker = fixture.worker().await;
    for (kind, name) in [
        (PauseKind::Lane, "interactive"),
        (PauseKind::Report, "pricing-summary"),
        (PauseKind::Source, "erp"),
        (PauseKind::Tenant, "acme"),
    ] {
        for only in [None, Some("acme")] {
            let target = PauseTarget::new(only, kind, name);
            assert!(fixture.store.pause(&target, "acme/ana").await.unwrap());
            assert!(!fixture.store.pause(&target, "acme/eve").await.unwrap(), "it is paused already");
            let told = fixture.store.pauses().await.unwrap();
            assert_eq!((told.len(), &told[0].target, told[0].by.as_str()), (1, &target, "acme/ana"));
            let job = fixture.pending().await;
            assert_eq!(ask(&fixture, &worker, &job).await, Claimed::Paused, "{target}");
            assert_eq!(ask(&fixture, &worker, &job).await, Claimed::Paused, "{target}");
            let waiting = fixture.job(job.id).await;
            assert_eq!((waiting.state, waiting.set_aside), (JobState::Pending, Some(target.clone().into())));
            assert_eq!(fixture.store.release(100).await.unwrap(), 0, "{target} is still paused");
            fixture.recorder.take();
            assert_eq!(fixture.store.resume(&target, 100).await.unwrap(), Some(1), "nobody can ring before");
            assert_eq!(fixture.recorder.take().0.len(), 1, "its lane is rung");
            assert_eq!(fixture.store.resume(&target, 100).await.unwrap(), None);
            assert_eq!(fixture.store.release(100).await.unwrap(), 0, "once");
            assert_eq!(fixture.job(job.id).await.set_aside, None);
            let outcome = ask(&fixture, &worker, &job).await;
            assert!(is_run_of(&outcome, job.id), "{target}: {outcome:?}");
        }
    }
}

pub async fn a_pause_stops_nothing_else(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let target = PauseTarget::new(Some("acme"), PauseKind::Report, "sales");
    fixture.store.pause(&target, "acme/ana").await.unwrap();
    let mut paused = Vec::new();
    for _ in 0..5 {
        paused.push(fixture.submit(of_report(&ana(), "sales")).await);
    }
    let other_report = fixture.submit(of_report(&ana(), "stock")).await;
    let other_tenant = fixture.submit(of_report(&caller("bolt", "bob"), "sales")).await;
    let mut started = Vec::new();
    for job in paused.iter().chain([&other_report, &other_tenant]) {
        if let Claimed::Yes(job) = ask(&fixture, &worker, job).await {
            started.push(job.id);
        }
    }
    started.sort_unstable();
    assert_eq!(started, [other_report.id, other_tenant.id]);
    assert_eq!(
        fixture.store.count_silent(Lane::Interactive, Duration::ZERO, 100).await.unwrap(),
        0,
        "nobody looks at them"
    );
    assert_eq!(fixture.store.resume(&target, 2).await.unwrap(), Some(2));
    assert_eq!(fixture.store.release(1).await.unwrap(), 1);
    assert_eq!(fixture.store.release(100).await.unwrap(), 2);
    for job in &paused {
        assert!(matches!(ask(&fixture, &worker, job).await, Claimed::Yes(_)));
    }
}

pub async fn a_retry_of_what_is_paused_waits_for_its_doorbell(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let job = fixture.processing(&worker).await;
    fixture.settle(&job, retry_after(Duration::ZERO)).await;
    let target = PauseTarget::new(None, PauseKind::Report, &job.report);
    fixture.store.pause(&target, "operator").await.unwrap();
    assert_eq!(ask(&fixture, &worker, &job).await, Claimed::Paused);
    assert_eq!(fixture.job(job.id).await.state, JobState::Retrying);
    assert_eq!(fixture.store.resume(&target, 100).await.unwrap(), Some(0));
    assert!(is_run_of(&ask(&fixture, &worker, &job).await, job.id));
}

pub async fn a_job_that_was_set_aside_is_cancelled_like_any_other(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let target = PauseTarget::new(None, PauseKind::Tenant, "acme");
    fixture.store.pause(&target, "operator").await.unwrap();
    let job = fixture.pending().await;
    assert_eq!(ask(&fixture, &worker, &job).await, Claimed::Paused);
    fixture.store.cancel(&ana(), job.id).await.unwrap();
    assert_eq!(fixture.store.resume(&target, 100).await.unwrap(), Some(0));
    let job = fixture.job(job.id).await;
    assert_eq!((job.state, job.set_aside), (JobState::Cancelled, None), "nobody looks for it any more");
}
