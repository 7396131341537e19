//! Reads, lists and isolation of tenants and principals.

use model::job::{JobState, NewJob};
use store::{Changed, JobFilter};
use uuid::Uuid;

use super::stage::{Stage, ana, caller, new_job};

fn strangers() -> [model::job::Caller; 3] {
    [caller("acme", "bob"), caller("globex", "ana"), caller("globex", "bob")]
}

fn everything(caller: model::job::Caller) -> JobFilter {
    JobFilter { caller, whole_tenant: false, state: None, report: None, before: None, limit: 100 }
}

pub async fn a_job_is_read_only_by_its_tenant_and_principal(stage: Stage) {
    let job = stage.pending().await;
    assert!(stage.store.job(&ana(), job.id).await.unwrap().is_some());
    for stranger in strangers() {
        assert_eq!(stage.store.job(&stranger, job.id).await.unwrap(), None, "{stranger:?}");
        assert!(stage.store.events_of_job(&stranger, job.id, 0, 10).await.unwrap().is_empty());
    }
    assert_eq!(stage.store.job(&ana(), Uuid::now_v7()).await.unwrap(), None);
}

pub async fn lists_hold_only_the_callers_jobs_newest_first(stage: Stage) {
    let mut expected = Vec::new();
    for _ in 0..3 {
        expected.insert(0, stage.pending().await.id);
        for stranger in strangers() {
            stage.submit(new_job(&stranger)).await;
        }
    }
    let listed = stage.store.jobs(everything(ana())).await.unwrap();
    assert_eq!(listed.iter().map(|job| job.id).collect::<Vec<_>>(), expected);
    assert!(listed.iter().all(|job| job.caller == ana()));
    assert!(stage.store.jobs(everything(caller("nobody", "ana"))).await.unwrap().is_empty());
}

pub async fn a_whole_tenant_is_listed_for_its_operators(stage: Stage) {
    let mut expected = vec![stage.pending().await.id];
    stage.submit(new_job(&caller("globex", "ana"))).await;
    expected.insert(0, stage.submit(new_job(&caller("acme", "bob"))).await.id);
    let filter = JobFilter { whole_tenant: true, ..everything(ana()) };
    let listed = stage.store.jobs(filter).await.unwrap();
    assert_eq!(listed.iter().map(|job| job.id).collect::<Vec<_>>(), expected);
}

pub async fn lists_are_walked_page_by_page_without_gap(stage: Stage) {
    let jobs: Vec<_> = (0..25).map(|_| new_job(&ana())).collect();
    let mut expected: Vec<_> = jobs.iter().map(|job| job.id).collect();
    expected.sort_by(|a, b| b.cmp(a));
    stage.store.submit(jobs).await.unwrap();
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = stage.store.jobs(JobFilter { before, limit: 10, ..everything(ana()) }).await.unwrap();
        assert!(page.len() <= 10);
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.iter().map(|job| job.id));
    }
    assert_eq!(seen, expected);
}

pub async fn lists_are_filtered_by_state_and_report(stage: Stage) {
    let worker = stage.worker().await;
    let done = stage.done(&worker).await;
    let other = stage.submit(NewJob { report: "top-customers".to_owned(), ..new_job(&ana()) }).await;
    let pending = stage.pending().await;
    let ids = async |state, report: Option<&str>| -> Vec<Uuid> {
        let filter = JobFilter { state, report: report.map(str::to_owned), ..everything(ana()) };
        stage.store.jobs(filter).await.unwrap().into_iter().map(|job| job.id).collect()
    };
    assert_eq!(ids(Some(JobState::Pending), None).await, [pending.id, other.id]);
    assert_eq!(ids(Some(JobState::Done), None).await, [done.id]);
    assert_eq!(ids(None, Some("top-customers")).await, [other.id]);
    assert!(ids(Some(JobState::Done), Some("top-customers")).await.is_empty());
    let listed = stage.store.jobs(JobFilter { state: Some(JobState::Done), ..everything(ana()) }).await.unwrap();
    assert_eq!(listed, [done], "artifacts included");
}

pub async fn unfinished_jobs_are_counted_by_tenant_up_to_the_limit(stage: Stage) {
    let worker = stage.worker().await;
    stage.done(&worker).await;
    stage.failed(&worker).await;
    stage.processing(&worker).await;
    stage.pending().await;
    stage.submit(new_job(&caller("acme", "bob"))).await;
    stage.submit(new_job(&caller("globex", "ana"))).await;
    assert_eq!(stage.store.count_unfinished("acme", 100).await.unwrap(), 3);
    assert_eq!(stage.store.count_unfinished("acme", 2).await.unwrap(), 2);
    assert_eq!(stage.store.count_unfinished("globex", 100).await.unwrap(), 1);
    assert_eq!(stage.store.count_unfinished("nobody", 100).await.unwrap(), 0);
}

pub async fn nobody_cancels_or_replays_anothers_job(stage: Stage) {
    let worker = stage.worker().await;
    let pending = stage.pending().await;
    let failed = stage.failed(&worker).await;
    let before = (stage.snapshot(&pending).await, stage.snapshot(&failed).await);
    stage.recorder.take();
    for stranger in strangers() {
        assert_eq!(stage.store.cancel(&stranger, pending.id).await.unwrap(), Changed::NotFound);
        assert_eq!(stage.store.replay(&stranger, failed.id).await.unwrap(), Changed::NotFound);
    }
    assert_eq!(stage.store.cancel(&ana(), Uuid::now_v7()).await.unwrap(), Changed::NotFound);
    assert_eq!((stage.snapshot(&pending).await, stage.snapshot(&failed).await), before);
    let (outbox, events) = stage.recorder.take();
    assert!(outbox.is_empty() && events.is_empty());
}

pub async fn the_store_answers_checks_and_tells_its_time(stage: Stage) {
    stage.store.check().await.unwrap();
    let first = stage.store.now().await.unwrap();
    let job = stage.pending().await;
    let second = stage.store.now().await.unwrap();
    assert!(first <= job.created_at && job.created_at <= second, "{first} {} {second}", job.created_at);
    assert!(["postgres", "sqlite"].contains(&stage.store.kind()));
}
