//! The audit log: written with the act, linked once, kept as it is.

use std::time::Duration;

use model::access::hash_token;
use model::audit::{AuditAct, AuditEntry, ChainEnd, ChainWalk, NO_TENANT, NewAuditEntry, Person};
use store::audit::acting;
use store::{Changed, NewApiKey, Scope, Store, Submitted, TokenRevocation};
use uuid::Uuid;

use super::StoreFixture;
use super::samples::{ana, caller, keyed_job, new_job};

fn operator() -> Person {
    Person { address: Some("192.0.2.7".into()), agent: Some("curl/8".into()), ..Person::named("olga") }
}

fn entry(tenant: &str, subject: &str) -> NewAuditEntry {
    NewAuditEntry::new(tenant, AuditAct::SignIn, subject.to_owned(), &operator())
}

async fn link(store: &dyn Store) -> u32 {
    store.link_audit(500).await.unwrap()
}

/// Reads a tenant's chain, which must fit from where it begins to its head.
async fn chain(store: &dyn Store, tenant: &str) -> Vec<AuditEntry> {
    let chain = store.audit_chains().await.unwrap().into_iter().find(|chain| chain.tenant == tenant).unwrap();
    let entries = store.audit_entries(tenant, 0, 1000).await.unwrap();
    let mut walk = ChainWalk::behind(tenant, chain.removed);
    entries.iter().try_for_each(|entry| walk.take(entry)).unwrap();
    walk.end_at(chain.head).unwrap();
    entries
}

async fn acts(store: &dyn Store) -> Vec<(String, String)> {
    link(store).await;
    let entries = store.audit_entries("acme", 0, 1000).await.unwrap();
    entries.into_iter().map(|entry| (entry.act, entry.subject)).collect()
}

/// Rule.
pub async fn entries_are_linked_to_a_chain_of_their_tenant_in_their_order(fixture: StoreFixture) {
    let store = fixture.store.as_ref();
    assert_eq!(link(store).await, 0);
    assert_eq!(store.audit_chains().await.unwrap(), []);
    store.note(vec![entry("acme", "a"), entry("globex", "b"), entry(NO_TENANT, "c")]).await.unwrap();
    store.note(vec![entry("acme", "d").about("joe").with("more")]).await.unwrap();
    assert_eq!(store.audit_entries("acme", 0, 9).await.unwrap(), [], "nothing is shown before it has its place");
    assert_eq!((store.link_audit(3).await.unwrap(), link(store).await, link(store).await), (3, 1, 0));
    let acme = chain(store, "acme").await;
    assert_eq!(acme.iter().map(|entry| entry.subject.as_str()).collect::<Vec<_>>(), ["a", "d"]);
    assert_eq!((chain(store, "globex").await.len(), chain(store, NO_TENANT).await.len()), (1, 1));
    let last = &acme[1];
    assert_eq!(
        (last.act.as_str(), last.detail.as_str(), last.outcome.as_str(), last.count),
        ("sign_in", "more", "ok", 1)
    );
    let who: Person = serde_json::from_str(&last.who.as_ref().unwrap().text).unwrap();
    assert_eq!(who, operator());
    assert!(last.about.as_ref().unwrap().text.contains("joe"));
    assert!((store.now().await.unwrap() - last.at).num_seconds().abs() < 60);
    assert_eq!(store.audit_entries("acme", 1, 9).await.unwrap(), std::slice::from_ref(last));
    assert_eq!(store.audit_entries("nobody", 0, 9).await.unwrap(), []);
    assert_eq!(store.audit_place("acme", last.at).await.unwrap(), 0, "what is near in time comes too");
    assert!(store.audit_place("acme", last.at + Duration::from_secs(90)).await.unwrap() >= 2);
}

/// Rule.
pub async fn many_processes_link_each_entry_once(fixture: StoreFixture) {
    for _ in 0..4 {
        fixture.store.note((0..50).map(|n| entry("acme", &n.to_string())).collect()).await.unwrap();
    }
    let linkers = (0..4).map(|_| {
        let store = std::sync::Arc::clone(&fixture.store);
        tokio::spawn(async move {
            let mut linked = 0;
            for _ in 0..50 {
                linked += store.link_audit(7).await.unwrap();
            }
            linked
        })
    });
    let mut linked = 0;
    for linker in linkers.collect::<Vec<_>>() {
        linked += linker.await.unwrap();
    }
    linked += link(fixture.store.as_ref()).await;
    let entries = chain(fixture.store.as_ref(), "acme").await;
    assert_eq!((linked, entries.len()), (200, 200));
    let ids: std::collections::HashSet<Uuid> = entries.iter().map(|entry| entry.id).collect();
    assert_eq!(ids.len(), 200);
}

/// Rule.
pub async fn a_submit_is_written_down_with_its_job_and_a_repeat_is_not(fixture: StoreFixture) {
    let store = fixture.store.as_ref();
    let by = Some(std::sync::Arc::new(Person { agent: Some("curl/8".into()), ..Person::named("ana") }));
    let mut sent = keyed_job(&ana(), "key", "body");
    sent.by = by.clone();
    let mut repeat = keyed_job(&ana(), "key", "body");
    repeat.by = by.clone();
    let mut refused = new_job(&ana());
    (refused.max_attempts, refused.by) = (0, by.clone());
    let outcomes = store.submit(vec![sent.clone(), repeat, refused, new_job(&ana())]).await.unwrap();
    assert!(matches!(outcomes[0], Submitted::Created(_)) && matches!(outcomes[2], Submitted::Refused(_)));
    assert_eq!(acts(store).await, [("job_submitted".to_owned(), format!("job:{}", sent.id))]);
    let mut foreign = new_job(&caller("acme", "joe"));
    foreign.by = by;
    store.submit(vec![foreign]).await.unwrap();
    link(store).await;
    let entries = chain(store, "acme").await;
    assert_eq!((entries[0].detail.as_str(), &entries[0].about), ("pricing-summary", &None));
    assert!(entries[1].about.as_ref().unwrap().text.contains("joe"));
}

/// Rule.
pub async fn what_somebody_changes_is_written_down_and_what_changes_nothing_is_not(fixture: StoreFixture) {
    let store = fixture.store.as_ref();
    let worker = fixture.worker().await;
    let (pending, failed, done) = (fixture.pending().await, fixture.failed(&worker).await, fixture.done(&worker).await);
    let artifact = done.artifacts[0].id;
    let key = NewApiKey {
        id: Uuid::now_v7(),
        prefix: "wl_test".into(),
        hash: hash_token("wl_test"),
        caller: ana(),
        scopes: vec![Scope::Read, Scope::Write],
        roles: Vec::new(),
        attributes: model::attributes::Attributes::default(),
        valid_for: None,
    };
    // For nobody: sweepers and workers are not in the log.
    assert!(matches!(store.cancel(&ana(), fixture.pending().await.id).await.unwrap(), Changed::Yes(_)));
    assert_eq!(acts(store).await, []);
    let revocation = TokenRevocation::AllOf(ana());
    for _ in 0..2 {
        acting(operator(), async {
            store.cancel(&ana(), pending.id).await.unwrap();
            store.replay(&ana(), failed.id).await.unwrap();
            store.revoke_links(&ana(), artifact).await.unwrap();
        })
        .await;
    }
    acting(operator(), async {
        store.create_api_key(key.clone()).await.unwrap();
        assert!(store.revoke_api_key(key.id).await.unwrap());
        assert!(!store.revoke_api_key(key.id).await.unwrap());
        store.revoke_tokens(revocation).await.unwrap();
    })
    .await;
    let said = |act: &str, subject: String| (act.to_owned(), subject);
    assert_eq!(
        acts(store).await,
        [
            said("job_cancelled", format!("job:{}", pending.id)),
            said("job_replayed", format!("job:{}", failed.id)),
            said("link_revoked", format!("artifact:{artifact}")),
            said("key_created", format!("key:{}", key.id)),
            said("key_revoked", format!("key:{}", key.id)),
            said("token_revoked", String::new()),
        ]
    );
    let entries = chain(store, "acme").await;
    assert!(entries.iter().all(|entry| entry.who.as_ref().unwrap().text.contains("olga")));
    assert_eq!(entries[3].detail, "read write");
}

/// Rule.
pub async fn old_rows_are_removed_from_the_beginning_and_the_rest_still_fits(fixture: StoreFixture) {
    let store = fixture.store.as_ref();
    store.note((0..5).map(|n| entry("acme", &n.to_string())).collect()).await.unwrap();
    link(store).await;
    let whole = chain(store, "acme").await;
    assert_eq!(store.forget_audit(Duration::from_secs(3600), 100).await.unwrap(), 0);
    while store.now().await.unwrap() <= whole[4].at + Duration::from_millis(2) {}
    assert_eq!(store.forget_audit(Duration::from_millis(1), 3).await.unwrap(), 3);
    assert_eq!(chain(store, "acme").await, whole[3..]);
    let known = store.audit_chains().await.unwrap().remove(0);
    assert_eq!((known.removed, known.head), (whole[2].end(), whole[4].end()));
    assert_eq!(store.forget_audit(Duration::from_millis(1), 3).await.unwrap(), 2);
    assert_eq!(store.audit_entries("acme", 0, 9).await.unwrap(), []);
    store.note(vec![entry("acme", "next")]).await.unwrap();
    link(store).await;
    let next = chain(store, "acme").await.remove(0);
    assert_eq!(next.number, 6);
    assert_ne!(store.audit_chains().await.unwrap()[0].head, ChainEnd::START);
}
