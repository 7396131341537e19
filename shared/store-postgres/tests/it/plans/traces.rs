//! What is written down of acts, and what is removed for good.

use std::time::Duration;

use model::audit::{AuditAct, NewAuditEntry, Person};
use model::job::Caller;
use store::Store;
use testing::store_conformance::StoreFixture;
use testing::store_conformance::samples::ana;
use uuid::Uuid;

pub(super) async fn walk(fixture: &StoreFixture) {
    audit(fixture.store.as_ref()).await;
    removals(fixture).await;
}

async fn audit(store: &dyn Store) {
    let new = NewAuditEntry::new("acme", AuditAct::SignIn, String::new(), &Person::named("ana"));
    store.note(vec![new.about("joe")]).await.unwrap();
    store.link_audit(500).await.unwrap();
    store.audit_chains().await.unwrap();
    store.audit_entries("full", 50_000, 100).await.unwrap();
    store.audit_place("full", store.now().await.unwrap() - Duration::from_secs(600)).await.unwrap();
    store.forget_audit(Duration::from_secs(1800), 100).await.unwrap();
}

async fn removals(fixture: &StoreFixture) {
    let store = fixture.store.as_ref();
    let worker = fixture.worker().await;
    let nobody = Caller { tenant: "acme".to_owned(), principal: "p-7".to_owned() };
    store.outdated_jobs(Duration::from_secs(1200), Uuid::nil(), 100).await.unwrap();
    store.jobs_of_principal(&ana(), Uuid::nil(), 100).await.unwrap();
    let done = fixture.done(&worker).await;
    store.release_files(vec![done.id]).await.unwrap();
    assert_eq!(store.remove_jobs(vec![done.id]).await.unwrap().jobs, 1);
    store.link_is_gone([7; 32]).await.unwrap();
    store.forget_gone_links(Duration::from_secs(3600)).await.unwrap();
    // `count_of_principal` is not among these: it counts all there is of somebody, when an operator asks.
    store.erase_principal(&nobody).await.unwrap();
}
