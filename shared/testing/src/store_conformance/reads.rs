//! Reads, lists and isolation of tenants and principals.

use model::job::{JobState, NewJob};
use store::{Changed, JobFilter};
use uuid::Uuid;

use super::fixture::StoreFixture;
use super::samples::{ana, caller, new_job};

fn strangers() -> [model::job::Caller; 3] {
    [caller("acme", "bob"), caller("globex", "ana"), caller("globex", "bob")]
}

fn everything(caller: model::job::Caller) -> JobFilter {
    JobFilter { caller, whole_tenant: false, state: None, report: None, before: None, limit: 100 }
}

pub async fn a_job_is_read_only_by_its_tenant_and_principal(fixture: StoreFixture) {
    let job = fixture.pending().await;
    assert!(fixture.store.job(&ana(), job.id).await.unwrap().is_some());
    for stranger in strangers() {
        assert_eq!(fixture.store.job(&stranger, job.id).await.unwrap(), None, "{stranger:?}");
        assert!(fixture.store.events_of_job(&stranger, job.id, 0, 10).await.unwrap().is_empty());
    }
    assert_eq!(fixture.store.job(&ana(), Uuid::now_v7()).await.unwrap(), None);
}

pub async fn lists_hold_only_the_callers_jobs_newest_first(fixture: StoreFixture) {
    let mut expected = Vec::new();
    for _ in 0..3 {
        expected.insert(0, fixture.pending().await.id);
        for stranger in strangers() {
            fixture.submit(new_job(&stranger)).await;
        }
    }
    let listed = fixture.store.jobs(everything(ana())).await.unwrap();
    assert_eq!(listed.iter().map(|job| job.id).collect::<Vec<_>>(), expected);
    assert!(listed.iter().all(|job| job.caller == ana()));
    assert!(fixture.store.jobs(everything(caller("nobody", "ana"))).await.unwrap().is_empty());
}

pub async fn a_whole_tenant_is_listed_for_its_operators(fixture: StoreFixture) {
    let mut expected = vec![fixture.pending().await.id];
    fixture.submit(new_job(&caller("globex", "ana"))).await;
    expected.insert(0, fixture.submit(new_job(&caller("acme", "bob"))).await.id);
    let filter = JobFilter { whole_tenant: true, ..everything(ana()) };
    let listed = fixture.store.jobs(filter).await.unwrap();
    assert_eq!(listed.iter().map(|job| job.id).collect::<Vec<_>>(), expected);
}

pub async fn lists_are_walked_page_by_page_without_gap(fixture: StoreFixture) {
    let jobs: Vec<_> = (0..25).map(|_| new_job(&ana())).collect();
    let mut expected: Vec<_> = jobs.iter().map(|job| job.id).collect();
    expected.sort_by(|a, b| b.cmp(a));
    fixture.store.submit(jobs).await.unwrap();
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = fixture.store.jobs(JobFilter { before, limit: 10, ..everything(ana()) }).await.unwrap();
        assert!(page.len() <= 10);
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.iter().map(|job| job.id));
    }
    assert_eq!(seen, expected);
}

pub async fn lists_are_filtered_by_state_and_report(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let done = fixture.done(&worker).await;
    let other = fixture.submit(NewJob { report: "top-customers".to_owned(), ..new_job(&ana()) }).await;
    let pending = fixture.pending().await;
    let ids = async |state, report: Option<&str>| -> Vec<Uuid> {
        let filter = JobFilter { state, report: report.map(str::to_owned), ..everything(ana()) };
        fixture.store.jobs(filter).await.unwrap().into_iter().map(|job| job.id).collect()
    };
    assert_eq!(ids(Some(JobState::Pending), None).await, [pending.id, other.id]);
    assert_eq!(ids(Some(JobState::Done), None).await, [done.id]);
    assert_eq!(ids(None, Some("top-customers")).await, [other.id]);
    assert!(ids(Some(JobState::Done), Some("top-customers")).await.is_empty());
    let listed = fixture.store.jobs(JobFilter { state: Some(JobState::Done), ..everything(ana()) }).await.unwrap();
    assert_eq!(listed, [done], "artifacts included");
}

pub async fn unfinished_jobs_are_counted_by_tenant_up_to_the_limit(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    fixture.done(&worker).await;
    fixture.failed(&worker).await;
    fixture.processing(&worker).await;
    fixture.pending().await;
    fixture.submit(new_job(&caller("acme", "bob"))).await;
    fixture.submit(new_job(&caller("globex", "ana"))).await;
    assert_eq!(fixture.store.count_unfinished("acme", 100).await.unwrap(), 3);
    assert_eq!(fixture.store.count_unfinished("acme", 2).await.unwrap(), 2);
    assert_eq!(fixture.store.count_unfinished("globex", 100).await.unwrap(), 1);
    assert_eq!(fixture.store.count_unfinished("nobody", 100).await.unwrap(), 0);
    assert_eq!(fixture.store.count_unfinished_of(&caller("acme", "bob")).await.unwrap(), 1);
    assert_eq!(fixture.store.count_unfinished_of(&ana()).await.unwrap(), 2);
    assert_eq!(fixture.store.count_unfinished_of(&caller("globex", "bob")).await.unwrap(), 0);
}

pub async fn nobody_cancels_or_replays_anothers_job(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let pending = fixture.pending().await;
    let failed = fixture.failed(&worker).await;
    let before = (fixture.snapshot(&pending).await, fixture.snapshot(&failed).await);
    fixture.recorder.take();
    for stranger in strangers() {
        assert_eq!(fixture.store.cancel(&stranger, pending.id).await.unwrap(), Changed::NotFound);
        assert_eq!(fixture.store.replay(&stranger, failed.id).await.unwrap(), Changed::NotFound);
    }
    assert_eq!(fixture.store.cancel(&ana(), Uuid::now_v7()).await.unwrap(), Changed::NotFound);
    assert_eq!((fixture.snapshot(&pending).await, fixture.snapshot(&failed).await), before);
    let (outbox, events) = fixture.recorder.take();
    assert!(outbox.is_empty() && events.is_empty());
}

pub async fn the_store_answers_checks_and_tells_its_time(fixture: StoreFixture) {
    fixture.store.check().await.unwrap();
    let first = fixture.store.now().await.unwrap();
    let job = fixture.pending().await;
    let second = fixture.store.now().await.unwrap();
    assert!(first <= job.created_at && job.created_at <= second, "{first} {} {second}", job.created_at);
    assert!(["postgres", "sqlite"].contains(&fixture.store.kind()));
}
