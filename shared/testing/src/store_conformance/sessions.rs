//! What lets somebody in, and how it ends.

use std::time::Duration;

use model::job::Caller;
use store::{AccessLookup, TokenLookup, TokenRevocation};
use uuid::Uuid;

use super::access::{done_for, new_key};
use super::fixture::{SOON, StoreFixture};
use super::samples::{ana, caller, link_hash};
use crate::eventually;

/// The smallest step of a store's clock, and more.
const TICK: Duration = Duration::from_millis(1);

async fn ended(fixture: &StoreFixture, sessions: &[Uuid]) -> Vec<Uuid> {
    let asked = AccessLookup { sessions: sessions.to_vec(), ..AccessLookup::default() };
    let mut ended = fixture.store.look_up_access(asked).await.unwrap().ended_sessions;
    ended.sort_unstable();
    ended
}

pub async fn a_session_that_was_ended_stays_so_until_it_is_forgotten(fixture: StoreFixture) {
    let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
    assert!(ended(&fixture, &[one, other]).await.is_empty());
    for _ in 0..2 {
        fixture.store.end_session(one).await.unwrap();
        assert_eq!(ended(&fixture, &[one, other]).await, [one]);
    }
    assert!(ended(&fixture, &[other]).await.is_empty(), "nobody hears of a session that was not asked for");
    assert_eq!(fixture.store.forget_sessions(Duration::from_secs(3600)).await.unwrap(), 0);
    assert_eq!(ended(&fixture, &[one]).await, [one]);
    eventually(SOON, "the session to be old enough", async || {
        fixture.store.forget_sessions(Duration::from_millis(1)).await.unwrap() == 1
    })
    .await;
    assert!(ended(&fixture, &[one]).await.is_empty());
}

pub async fn it_is_told_how_keys_and_links_stand(fixture: StoreFixture) {
    let good = fixture.store.create_api_key(new_key(ana(), None)).await.unwrap();
    let revoked = fixture.store.create_api_key(new_key(ana(), None)).await.unwrap();
    let short = fixture.store.create_api_key(new_key(ana(), Some(Duration::from_millis(20)))).await.unwrap();
    let (kept, dead) = (done_for(&fixture, 86_400_000).await, done_for(&fixture, 86_400_000).await);
    let links = [&kept, &dead].map(|job| link_hash(job.artifacts[0].link_id));
    let unknown = [7; 32];
    let asked = AccessLookup {
        keys: vec![good.hash, unknown, revoked.hash, short.hash],
        sessions: Vec::new(),
        links: [links.as_slice(), &[unknown]].concat(),
        tokens: Vec::new(),
    };
    assert!(fixture.store.revoke_api_key(revoked.id).await.unwrap());
    assert!(fixture.store.revoke_links(&dead.caller, dead.artifacts[0].id).await.unwrap());
    let facts = eventually(SOON, "the short key to expire", async || {
        let facts = fixture.store.look_up_access(asked.clone()).await.unwrap();
        facts.keys.iter().any(|key| key.id == short.id && key.expired).then_some(facts)
    })
    .await;
    assert_eq!(facts.revoked_links, [links[1]]);
    let of = |id| facts.keys.iter().find(|key| key.id == id).unwrap();
    assert_eq!(*of(good.id), good);
    assert!(of(revoked.id).revoked_at.is_some() && !of(revoked.id).expired);
    assert_eq!(facts.keys.len(), 3, "of a key that nobody has nothing is told");
    assert!(facts.now >= good.created_at);
    let nothing = fixture.store.look_up_access(AccessLookup::default()).await.unwrap();
    assert!(nothing.keys.is_empty() && nothing.ended_sessions.is_empty() && nothing.revoked_links.is_empty());
}

pub async fn a_store_that_can_be_written_says_so_to_many_at_once(fixture: StoreFixture) {
    let looks = (0..20).map(|_| fixture.store.check_writable());
    for look in futures_util::future::join_all(looks).await {
        look.unwrap();
    }
}

async fn revoked(fixture: &StoreFixture, tokens: &[&TokenLookup]) -> Vec<Uuid> {
    let tokens = tokens.iter().copied().cloned().collect();
    let asked = AccessLookup { tokens, ..AccessLookup::default() };
    let mut revoked = fixture.store.look_up_access(asked).await.unwrap().revoked_tokens;
    revoked.sort_unstable();
    revoked
}

pub async fn tokens_are_revoked_one_by_one_and_all_that_a_principal_was_given_until_then(fixture: StoreFixture) {
    let now = fixture.store.now().await.unwrap();
    let token = |caller| TokenLookup { id: Uuid::now_v7(), caller, minted_at: now };
    let (one, two, other) = (token(ana()), token(ana()), token(caller("acme", "bob")));
    let foreign = TokenLookup { caller: Caller { tenant: "globex".to_owned(), ..ana() }, ..one.clone() };
    assert!(revoked(&fixture, &[&one, &two, &other]).await.is_empty());
    let revoke = async |which| fixture.store.revoke_tokens(which).await.unwrap();
    for _ in 0..2 {
        revoke(TokenRevocation::One { tenant: ana().tenant, id: one.id }).await;
        assert_eq!(revoked(&fixture, &[&one, &two, &other]).await, [one.id]);
    }
    assert!(revoked(&fixture, &[&foreign]).await.is_empty(), "another tenant's token is none of its business");
    revoke(TokenRevocation::AllOf(ana())).await;
    assert_eq!(revoked(&fixture, &[&two, &other]).await, [two.id]);
    let anew = TokenLookup { id: Uuid::now_v7(), minted_at: fixture.store.now().await.unwrap() + TICK, caller: ana() };
    assert!(revoked(&fixture, &[&anew]).await.is_empty(), "what is minted after it is good");
    revoke(TokenRevocation::AllOf(ana())).await;
    assert_eq!(fixture.store.forget_revoked_tokens(Duration::from_secs(3600)).await.unwrap(), 0);
    eventually(SOON, "the revocations to be old enough", async || {
        fixture.store.forget_revoked_tokens(Duration::from_millis(1)).await.unwrap();
        revoked(&fixture, &[&one, &two]).await.is_empty()
    })
    .await;
    assert_eq!(fixture.store.forget_revoked_tokens(Duration::from_millis(1)).await.unwrap(), 0);
}

pub async fn an_owner_is_known_as_long_as_what_let_them_in_was_not_revoked(fixture: StoreFixture) {
    let store = &fixture.store;
    let now = store.now().await.unwrap();
    let remember = async |owner, issuer: &str, at| store.remember_owner(owner, issuer.to_owned(), at).await.unwrap();
    let issuer = async |owner: &Caller| store.known_owner(owner).await.unwrap().map(|known| known.issuer);
    let hour = Duration::from_secs(3600);
    assert_eq!(store.known_owner(&ana()).await.unwrap(), None);
    remember(ana(), "staff", now - hour).await;
    let known = store.known_owner(&ana()).await.unwrap().unwrap();
    assert!(known.let_in_ago >= hour && known.let_in_ago < 2 * hour, "{known:?}");
    assert_eq!(issuer(&caller("acme", "bob")).await, None);
    assert_eq!(issuer(&caller("globex", &ana().principal)).await, None);
    remember(ana(), "partners", now - 2 * hour).await;
    assert_eq!(issuer(&ana()).await.as_deref(), Some("staff"), "an older token says nothing new");
    store.revoke_tokens(TokenRevocation::AllOf(ana())).await.unwrap();
    assert_eq!(issuer(&ana()).await, None);
    remember(ana(), "staff", now - hour / 2).await;
    assert_eq!(issuer(&ana()).await, None, "what was issued before lets nobody in any more");
    remember(ana(), "partners", store.now().await.unwrap() + TICK).await;
    assert_eq!(issuer(&ana()).await.as_deref(), Some("partners"));
    assert_eq!(store.forget_owners(hour).await.unwrap(), 0);
    remember(caller("acme", "bob"), "staff", now - 2 * hour).await;
    assert_eq!(store.forget_owners(hour).await.unwrap(), 1);
    assert!(issuer(&ana()).await.is_some());
}
