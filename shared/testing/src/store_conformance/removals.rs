//! What is removed for good, and what is left of it.

use std::time::Duration;

use model::artifact::{Agent, ClickKind, NewClick};
use model::job::{Caller, Job, NewJob};
use store::audit::acting;
use store::{AccessLookup, NewSchedule, Removed, TokenLookup, TokenRevocation};
use uuid::Uuid;

use super::StoreFixture;
use super::access::new_key;
use super::fixture::TestWorker;
use super::samples::{ana, caller, keyed_job, link_hash, new_job};

const HOUR: Duration = Duration::from_secs(3600);

async fn done_of(fixture: &StoreFixture, worker: &TestWorker, of: &Caller) -> Job {
    let job = fixture.submit(new_job(of)).await;
    let job = fixture.claim(worker, job.id).await;
    fixture.settle(&job, store::Ending::Done(vec![super::samples::artifact(&job)])).await;
    fixture.job(job.id).await
}

/// Rule.
pub async fn jobs_that_have_ended_are_removed_with_all_that_is_theirs(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let (job, failed, pending) = (fixture.done(&worker).await, fixture.failed(&worker).await, fixture.pending().await);
    let store = fixture.store.as_ref();
    let hash = link_hash(job.artifacts[0].link_id);
    let click = NewClick { kind: ClickKind::View, agent: Agent::Browser, principal: Some("joe".into()) };
    store.record_click(hash, click).await.unwrap();
    let all = vec![job.id, failed.id, pending.id, Uuid::now_v7()];
    assert_eq!(store.remove_jobs(vec![job.id]).await.unwrap(), Removed::default(), "its file is still there");
    for _ in 0..2 {
        let keys = store.release_files(all.clone()).await.unwrap();
        assert_eq!(keys, [job.artifacts[0].object_key.clone()], "asked again, it is told again");
    }
    let removed = store.remove_jobs(all.clone()).await.unwrap();
    assert_eq!(removed, Removed { jobs: 2, files: 1, deliveries: 2, clicks: 1, ..Removed::default() });
    assert_eq!(store.remove_jobs(all).await.unwrap(), Removed::default());
    for gone in [job.id, failed.id] {
        assert_eq!(store.job_by_id(gone).await.unwrap(), None);
        assert_eq!(store.events_of_job(&ana(), gone, 0, 10).await.unwrap(), []);
        assert_eq!(store.deliveries_of_job(gone).await.unwrap(), []);
    }
    assert_eq!(fixture.job(pending.id).await, pending);
    assert_eq!(store.find_link(hash).await.unwrap(), None);
    assert!(store.link_is_gone(hash).await.unwrap() && !store.link_is_gone([7; 32]).await.unwrap());
    assert_eq!(store.forget_gone_links(HOUR).await.unwrap(), 0);
    let now = store.now().await.unwrap();
    while store.now().await.unwrap() <= now + Duration::from_millis(2) {}
    assert_eq!(store.forget_gone_links(Duration::from_millis(1)).await.unwrap(), 1);
    assert!(!store.link_is_gone(hash).await.unwrap());
}

/// Rule.
pub async fn a_job_whose_run_others_wait_for_and_a_file_that_others_have_stay(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let joining = |of: &Caller| NewJob { reuse: super::reuse::reusing(of, "one", HOUR).reuse, ..new_job(of) };
    let (leader, joe) = (fixture.submit(joining(&ana())).await, caller("acme", "joe"));
    let follower = fixture.submit(joining(&joe)).await;
    let store = fixture.store.as_ref();
    store.cancel(&ana(), leader.id).await.unwrap();
    let of_ana = async || store.jobs_of_principal(&ana(), Uuid::nil(), 10).await.unwrap();
    assert_eq!(of_ana().await, [(leader.id, false)], "it was only withdrawn");
    assert_eq!(store.jobs_of_principal(&ana(), leader.id, 10).await.unwrap(), []);
    assert_eq!(store.remove_jobs(vec![leader.id]).await.unwrap(), Removed::default());
    let running = fixture.claim(&worker, leader.id).await;
    fixture.settle(&running, store::Ending::Done(vec![super::samples::artifact(&running)])).await;
    assert_eq!(of_ana().await, [(leader.id, true)]);
    assert_eq!(
        store.release_files(vec![leader.id]).await.unwrap(),
        [] as [String; 0],
        "the other job has the same file"
    );
    assert_eq!(store.remove_jobs(vec![leader.id]).await.unwrap().jobs, 1);
    let kept = fixture.job(follower.id).await;
    assert_eq!(kept.artifacts.len(), 1);
    let key = kept.artifacts[0].object_key.clone();
    assert_eq!(store.release_files(vec![follower.id]).await.unwrap(), [key]);
}

/// Rule.
pub async fn jobs_are_outdated_by_the_time_that_they_ended(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let (first, second, pending) =
        (fixture.done(&worker).await, fixture.failed(&worker).await, fixture.pending().await);
    let store = fixture.store.as_ref();
    assert_eq!(store.outdated_jobs(HOUR, Uuid::nil(), 10).await.unwrap(), [] as [Uuid; 0]);
    let ended = second.finished_at.unwrap();
    while store.now().await.unwrap() <= ended + Duration::from_millis(5) {}
    let age = Duration::from_millis(1);
    assert_eq!(store.outdated_jobs(age, Uuid::nil(), 10).await.unwrap(), [first.id, second.id]);
    assert_eq!(store.outdated_jobs(age, Uuid::nil(), 1).await.unwrap(), [first.id]);
    assert_eq!(store.outdated_jobs(age, first.id, 10).await.unwrap(), [second.id]);
    assert_eq!(fixture.job(pending.id).await, pending);
}

/// Rule.
pub async fn a_principal_is_erased_and_nobody_else(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let store = fixture.store.as_ref();
    let (joe, namesake) = (caller("acme", "joe"), caller("globex", "joe"));
    let mut of_joe = Vec::new();
    for of in [&joe, &namesake, &ana()] {
        let job = done_of(&fixture, &worker, of).await;
        let click = NewClick { kind: ClickKind::View, agent: Agent::Browser, principal: Some("joe".into()) };
        store.record_click(link_hash(job.artifacts[0].link_id), click).await.unwrap();
        store.create_api_key(new_key(of.clone(), None)).await.unwrap();
        if *of == joe {
            of_joe.push(job.id);
        }
    }
    let keyed = fixture.submit(keyed_job(&joe, "key", "body")).await;
    acting(model::audit::Person::named("joe"), store.cancel(&joe, keyed.id)).await.unwrap();
    of_joe.push(keyed.id);
    for of in [&joe, &namesake] {
        let (id, settings) = (Uuid::now_v7(), super::schedules::settings());
        store
            .create_schedule(NewSchedule { id, owner: of.clone(), settings, next: None, catalogue: None })
            .await
            .unwrap();
        store.remember_owner(of.clone(), "staff".to_owned(), store.now().await.unwrap()).await.unwrap();
    }
    while store.link_audit(100).await.unwrap() > 0 {}
    let there = Removed { jobs: 2, files: 1, deliveries: 1, clicks: 2, keys: 1, schedules: 1, audit_persons: 1 };
    assert_eq!(store.count_of_principal(&joe).await.unwrap(), there);
    let before = store.audit_chains().await.unwrap();

    store.release_files(of_joe.clone()).await.unwrap();
    let mut removed = store.remove_jobs(of_joe).await.unwrap();
    removed.add(store.erase_principal(&joe).await.unwrap());
    assert_eq!(removed, there);
    assert_eq!(store.erase_principal(&joe).await.unwrap(), Removed::default());
    assert_eq!(store.count_of_principal(&joe).await.unwrap(), Removed::default());
    let left = store.count_of_principal(&namesake).await.unwrap();
    assert_eq!((left.jobs, left.clicks, left.keys, left.schedules), (1, 1, 1, 1), "of another tenant");
    assert_eq!(store.known_owner(&joe).await.unwrap(), None);
    assert!(store.known_owner(&namesake).await.unwrap().is_some());
    assert_eq!(store.api_keys(Some("acme")).await.unwrap().len(), 1);
    assert_eq!(store.audit_chains().await.unwrap(), before);
    let entries = store.audit_entries("acme", 0, 10).await.unwrap();
    let mut walk = model::audit::ChainWalk::behind("acme", before[0].removed);
    entries.iter().try_for_each(|entry| walk.take(entry)).unwrap();
    assert!(walk.end_at(before[0].head).is_ok() && entries[0].who.is_none());
}

/// Rule.
pub async fn tokens_of_a_principal_who_is_erased_end_without_their_name(fixture: StoreFixture) {
    let store = fixture.store.as_ref();
    let minted_at = store.now().await.unwrap();
    let revoked = async |of: Caller, minted_at| {
        let token = TokenLookup { id: Uuid::now_v7(), caller: of, minted_at };
        let facts = store.look_up_access(AccessLookup { tokens: vec![token], ..AccessLookup::default() }).await;
        !facts.unwrap().revoked_tokens.is_empty()
    };
    assert!(!revoked(ana(), minted_at).await);
    store.revoke_tokens(TokenRevocation::Erased(ana())).await.unwrap();
    assert!(revoked(ana(), minted_at).await);
    assert!(!revoked(caller("globex", "ana"), minted_at).await);
    assert!(!revoked(ana(), minted_at + HOUR).await, "what is minted later works");
    assert!(!TokenRevocation::Erased(ana()).subject().1.contains("ana"));
}
