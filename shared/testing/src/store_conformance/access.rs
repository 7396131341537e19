//! API keys and links.

use std::time::Duration;

use model::access::{hash_token, key_prefix, make_api_key};
use model::artifact::{Agent, ClickKind, NewClick};
use model::job::{Caller, Job, NewJob};
use store::{CLICKS_AN_HOUR, CLICKS_SHOWN, Ending, NewApiKey, Scope};
use uuid::Uuid;

use super::fixture::{SOON, StoreFixture};
use super::samples::{ana, artifact, caller, link_hash, new_job};
use crate::eventually;

pub(super) fn new_key(caller: Caller, valid_for: Option<Duration>) -> NewApiKey {
    let key = make_api_key();
    NewApiKey {
        id: Uuid::now_v7(),
        prefix: key_prefix(&key),
        hash: hash_token(&key),
        caller,
        scopes: vec![Scope::Read, Scope::Write],
        attributes: model::attributes::Attributes::default(),
        roles: vec!["analyst".to_owned()],
        valid_for,
    }
}

pub async fn an_api_key_is_found_by_its_hash(fixture: StoreFixture) {
    let key = new_key(ana(), Some(Duration::from_secs(3600)));
    let made = fixture.store.create_api_key(key.clone()).await.unwrap();
    assert_eq!((made.id, &made.prefix, made.hash, &made.caller), (key.id, &key.prefix, key.hash, &key.caller));
    assert_eq!((&made.scopes, &made.roles), (&key.scopes, &key.roles));
    assert_eq!(made.expires_at, Some(made.created_at + Duration::from_secs(3600)));
    assert!(!made.expired && made.revoked_at.is_none());
    assert_eq!(fixture.store.api_key_by_hash(key.hash).await.unwrap(), Some(made));
    let for_ever = fixture.store.create_api_key(new_key(ana(), None)).await.unwrap();
    assert_eq!((for_ever.expires_at, for_ever.expired), (None, false));
}

pub async fn an_api_key_expires(fixture: StoreFixture) {
    let key = fixture.store.create_api_key(new_key(ana(), Some(Duration::from_millis(20)))).await.unwrap();
    let expired = eventually(SOON, "the key to expire", async || {
        fixture.store.api_key_by_hash(key.hash).await.unwrap().filter(|key| key.expired)
    })
    .await;
    assert_eq!((expired.id, expired.expires_at), (key.id, key.expires_at));
}

pub async fn an_api_key_is_revoked_once(fixture: StoreFixture) {
    let key = fixture.store.create_api_key(new_key(ana(), None)).await.unwrap();
    let other = fixture.store.create_api_key(new_key(ana(), None)).await.unwrap();
    assert!(fixture.store.revoke_api_key(key.id).await.unwrap());
    assert!(!fixture.store.revoke_api_key(key.id).await.unwrap());
    assert!(!fixture.store.revoke_api_key(Uuid::now_v7()).await.unwrap());
    let revoked = fixture.store.api_key_by_hash(key.hash).await.unwrap().unwrap();
    assert!(revoked.revoked_at.is_some());
    assert_eq!(fixture.store.api_key_by_hash(other.hash).await.unwrap(), Some(other));
}

pub async fn api_keys_are_listed_by_tenant(fixture: StoreFixture) {
    let first = fixture.store.create_api_key(new_key(ana(), None)).await.unwrap();
    let theirs = fixture.store.create_api_key(new_key(caller("globex", "ana"), None)).await.unwrap();
    let second = fixture.store.create_api_key(new_key(caller("acme", "bob"), None)).await.unwrap();
    assert_eq!(fixture.store.api_keys(Some("acme")).await.unwrap(), [second.clone(), first.clone()]);
    assert_eq!(fixture.store.api_keys(Some("globex")).await.unwrap(), std::slice::from_ref(&theirs));
    assert_eq!(fixture.store.api_keys(None).await.unwrap(), [second, theirs, first]);
    assert!(fixture.store.api_keys(Some("nobody")).await.unwrap().is_empty());
}

pub(super) async fn done_for(fixture: &StoreFixture, retention_ms: i64) -> Job {
    let worker = fixture.worker().await;
    let job = fixture.submit(NewJob { retention_ms, ..new_job(&ana()) }).await;
    let job = fixture.claim(&worker, job.id).await;
    fixture.settle(&job, Ending::Done(vec![artifact(&job)])).await;
    fixture.job(job.id).await
}

pub async fn a_link_opens_its_artifact(fixture: StoreFixture) {
    let job = done_for(&fixture, 86_400_000).await;
    let hash = link_hash(job.artifacts[0].link_id);
    for _ in 0..3 {
        let link = fixture.store.find_link(hash).await.unwrap().expect("the link works");
        assert_eq!((&link.artifact, link.tenant.as_str()), (&job.artifacts[0], "acme"));
        assert_eq!((link.expires_at, link.expired, link.revoked_at), (job.artifacts[0].expires_at, false, None));
    }
}

pub async fn clicks_on_a_link_are_counted_and_logged(fixture: StoreFixture) {
    let job = done_for(&fixture, 86_400_000).await;
    let hash = link_hash(job.artifacts[0].link_id);
    let click =
        |kind, agent, principal: Option<&str>| NewClick { kind, agent, principal: principal.map(str::to_owned) };
    for click in [
        click(ClickKind::View, Agent::Scanner, None),
        click(ClickKind::View, Agent::Browser, Some("bob")),
        click(ClickKind::Download, Agent::Browser, Some("bob")),
        click(ClickKind::Download, Agent::Program, None),
        click(ClickKind::Download, Agent::Scanner, None),
    ] {
        fixture.store.record_click(hash, click).await.unwrap();
    }
    fixture.store.record_click(hash_token("altered"), click(ClickKind::View, Agent::Browser, None)).await.unwrap();
    let status = fixture.store.links_of_job(&ana(), job.id).await.unwrap().remove(0);
    assert_eq!(
        (status.format, &status.filename, status.link_id),
        (job.artifacts[0].format, &job.artifacts[0].filename, job.artifacts[0].link_id)
    );
    assert_eq!((status.views, status.downloads, status.expired, status.revoked_at), (1, 2, false, None));
    assert!(status.last_download_at.is_some_and(|at| at >= status.created_at));
    let log: Vec<_> = status.clicks.iter().map(|click| (click.kind, click.agent, click.principal.as_deref())).collect();
    assert_eq!(
        log,
        [
            (ClickKind::Download, Agent::Scanner, None),
            (ClickKind::Download, Agent::Program, None),
            (ClickKind::Download, Agent::Browser, Some("bob")),
            (ClickKind::View, Agent::Browser, Some("bob")),
            (ClickKind::View, Agent::Scanner, None),
        ]
    );
    for stranger in [caller("acme", "bob"), caller("globex", "ana")] {
        assert_eq!(fixture.store.links_of_job(&stranger, job.id).await.unwrap(), []);
    }
}

pub async fn a_click_log_is_bounded_and_forgotten_and_the_counts_stay(fixture: StoreFixture) {
    let job = done_for(&fixture, 86_400_000).await;
    let hash = link_hash(job.artifacts[0].link_id);
    let click = || NewClick { kind: ClickKind::Download, agent: Agent::Program, principal: None };
    for _ in 0..CLICKS_AN_HOUR + 5 {
        fixture.store.record_click(hash, click()).await.unwrap();
    }
    let read = async || fixture.store.links_of_job(&ana(), job.id).await.unwrap().remove(0);
    let status = read().await;
    assert_eq!((status.downloads, status.clicks.len()), (u64::from(CLICKS_AN_HOUR) + 5, CLICKS_SHOWN as usize));
    assert_eq!(fixture.store.forget_clicks(Duration::from_secs(3600)).await.unwrap(), 0);
    let mut forgotten = 0;
    eventually(SOON, "the clicks to be old enough", async || {
        forgotten += fixture.store.forget_clicks(Duration::from_millis(1)).await.unwrap();
        read().await.clicks.is_empty().then_some(())
    })
    .await;
    assert_eq!((forgotten, read().await.downloads), (u64::from(CLICKS_AN_HOUR), u64::from(CLICKS_AN_HOUR) + 5));
}

pub async fn a_link_remembers_the_job_that_made_its_report_again(fixture: StoreFixture) {
    let (job, again) = (done_for(&fixture, 86_400_000).await, done_for(&fixture, 86_400_000).await);
    let hash = link_hash(job.artifacts[0].link_id);
    assert_eq!(fixture.store.find_link(hash).await.unwrap().unwrap().again_job_id, None);
    fixture.store.remember_again(hash, again.id).await.unwrap();
    assert_eq!(fixture.store.find_link(hash).await.unwrap().unwrap().again_job_id, Some(again.id));
    assert_eq!(fixture.store.links_of_job(&ana(), job.id).await.unwrap()[0].again_job_id, Some(again.id));
}

pub async fn a_link_expires(fixture: StoreFixture) {
    let job = done_for(&fixture, 20).await;
    let hash = link_hash(job.artifacts[0].link_id);
    let link = eventually(SOON, "the link to expire", async || {
        fixture.store.find_link(hash).await.unwrap().filter(|link| link.expired)
    })
    .await;
    assert_eq!(link.artifact.id, job.artifacts[0].id);
}

pub async fn a_link_is_revoked_by_its_owner_only(fixture: StoreFixture) {
    let (job, other) = (done_for(&fixture, 86_400_000).await, done_for(&fixture, 86_400_000).await);
    let id = job.artifacts[0].id;
    for stranger in [caller("acme", "bob"), caller("globex", "ana")] {
        assert!(!fixture.store.revoke_links(&stranger, id).await.unwrap());
    }
    assert!(!fixture.store.revoke_links(&ana(), Uuid::now_v7()).await.unwrap());
    let open = async |job: &Job| fixture.store.find_link(link_hash(job.artifacts[0].link_id)).await.unwrap().unwrap();
    assert_eq!(open(&job).await.revoked_at, None);
    assert!(fixture.store.revoke_links(&ana(), id).await.unwrap());
    assert!(open(&job).await.revoked_at.is_some());
    assert_eq!(open(&other).await.revoked_at, None);
}

pub async fn an_unknown_hash_opens_nothing(fixture: StoreFixture) {
    done_for(&fixture, 86_400_000).await;
    assert_eq!(fixture.store.find_link(hash_token("altered")).await.unwrap(), None);
    assert_eq!(fixture.store.api_key_by_hash(hash_token("altered")).await.unwrap(), None);
}
