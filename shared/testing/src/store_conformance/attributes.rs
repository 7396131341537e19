//! What is known of whoever asks is frozen into their jobs, and kept with their keys.

use std::time::Duration;

use model::access::hash_token;
use model::artifact::Format;
use model::attributes::{Attributes, SealedAttributes};
use model::job::NewJob;
use model::reuse::{LinkSeed, Reuse, Served};
use model::seal::{SealKeys, SealedJob};
use serde_json::json;
use store::{Ending, NewApiKey};

use super::StoreFixture;
use super::access::new_key;
use super::samples::{ana, artifact, new_job};

fn known() -> Attributes {
    let said = json!({"region": "EU", "level": -3, "internal": true, "customers": [4711], "none": []});
    Attributes::new(said.as_object().unwrap().clone()).unwrap()
}

/// A job that may share its run, of whose owner something is known.
fn job_of(known: &Attributes, reused: bool) -> NewJob {
    let keys = SealKeys::new(["a secret of thirty-two bytes, at least"]).unwrap();
    let job = new_job(&ana());
    let reuse = Reuse {
        fingerprint: hash_token(&known.among_params().len().to_string()),
        max_age: Duration::from_secs(60),
        links: vec![LinkSeed::new("a link secret of the tests", Format::Csv)],
        made_from: None,
    };
    let attributes = known.seal(&keys, SealedJob::new(&job.caller.tenant, job.id)).unwrap();
    NewJob { attributes, reuse: reused.then_some(reuse), ..job }
}

pub async fn attributes_stay_with_a_job_as_they_were_sealed(fixture: StoreFixture) {
    let nothing = fixture.submit(new_job(&ana())).await;
    assert_eq!(fixture.job(nothing.id).await.attributes, SealedAttributes::default());
    for reused in [false, true] {
        let new = job_of(&known(), reused);
        let (id, sealed) = (new.id, new.attributes.clone());
        assert_eq!(fixture.submit(new).await.attributes, sealed, "the answer has them");
        assert_eq!(fixture.job(id).await.attributes, sealed);
        let worker = fixture.worker().await;
        let claimed = fixture.claim(&worker, id).await;
        assert_eq!(claimed.attributes, sealed, "whoever runs it has them");
        let keys = SealKeys::new(["a secret of thirty-two bytes, at least"]).unwrap();
        assert_eq!(claimed.attributes.open(&keys, SealedJob::from(&claimed)), Ok(known()));
        fixture.settle(&claimed, Ending::Done(vec![artifact(&claimed)])).await;
        assert_eq!(fixture.job(id).await.attributes, sealed);
    }
}

pub async fn whoever_shares_a_run_keeps_their_own_attributes(fixture: StoreFixture) {
    let (leader, follower) = (job_of(&known(), true), job_of(&known(), true));
    let sealed = follower.attributes.clone();
    fixture.submit(leader).await;
    let joined = fixture.submit(follower).await;
    assert_eq!((joined.sharing.served, &joined.attributes), (Served::Joined, &sealed));
    assert_eq!(fixture.job(joined.id).await.attributes, sealed);
}

pub async fn attributes_are_kept_with_an_api_key(fixture: StoreFixture) {
    let plain = new_key(ana(), None);
    let said = NewApiKey { attributes: known(), ..new_key(ana(), None) };
    let (plain_hash, hash) = (plain.hash, said.hash);
    assert_eq!(fixture.store.create_api_key(said).await.unwrap().attributes, known());
    fixture.store.create_api_key(plain).await.unwrap();
    let found = fixture.store.api_key_by_hash(hash).await.unwrap().unwrap();
    assert_eq!(found.attributes, known());
    assert!(fixture.store.api_key_by_hash(plain_hash).await.unwrap().unwrap().attributes.is_empty());
    let listed = fixture.store.api_keys(Some("acme")).await.unwrap();
    assert_eq!(listed.iter().filter(|key| key.attributes == known()).count(), 1);
    let asked = store::AccessLookup { keys: vec![hash, plain_hash], ..store::AccessLookup::default() };
    let keys = fixture.store.look_up_access(asked).await.unwrap().keys;
    assert_eq!(keys.iter().find(|key| key.hash == hash).unwrap().attributes, known());
}
