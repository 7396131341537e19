//! Rows that a later version has written.

use model::access::hash_token;
use store::{NewApiKey, Scope};
use testing::store_conformance::samples::ana;
use uuid::Uuid;

use crate::store_postgres::set;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_a_scope_of_a_later_version_opens_what_is_known_of_it() {
    let (fixture, database) = set().await;
    let (id, hash) = (Uuid::now_v7(), hash_token("wl_test"));
    let key = NewApiKey {
        id,
        prefix: "wl_test".to_owned(),
        hash,
        caller: ana(),
        scopes: vec![Scope::Read],
        attributes: model::attributes::Attributes::default(),
        roles: Vec::new(),
        valid_for: None,
    };
    fixture.store.create_api_key(key).await.unwrap();
    database.sql("update api_keys set scopes = '{later,read}'").await.unwrap();
    let found = fixture.store.api_key_by_hash(hash).await.unwrap().unwrap();
    assert_eq!(found.scopes, [Scope::Read]);
    assert_eq!(fixture.store.api_keys(None).await.unwrap(), [found]);
}
