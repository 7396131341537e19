//! A real identity provider: the npm package oidc-provider, whose keys are rotated while it runs, and which goes down.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use testing::identity_provider::IdentityProvider;

use crate::api::{Api, Stack, body};

/// Longer than a provider is left alone.
const SOON: Duration = Duration::from_secs(60);

async fn fetch_token(api: &Api, provider: &IdentityProvider, program: &str) -> String {
    let request = api.plain(Method::POST, &format!("{}/token", provider.issuer()));
    let request = request.basic_auth(program, Some(format!("{program}-secret")));
    let said = body(
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials")
            .send()
            .await
            .unwrap(),
    )
    .await;
    said["access_token"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned()
}

async fn status(api: &Api, token: &str) -> u16 {
    api.plain(Method::GET, "/v1/jobs").bearer_auth(token).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_real_provider_open_while_its_keys_are_rotated_and_while_it_is_down() {
    let programs = json!({
        "loader": {"organisation": "acme", "groups": ["/staff"], "region": "EMEA"},
        "stranger": {"organisation": "initech", "groups": ["/staff"]},
    });
    let mut provider = IdentityProvider::start(json!({ "programs": programs })).await.unwrap();
    let section: configuration::Issuer = serde_json::from_value(json!({
        "issuer": provider.issuer(), "audience": ["waitless"], "tenant_claim": "organisation", "tenants": ["acme"],
        "groups_claim": "groups", "group_scopes": ["/staff = read write"], "attributes": ["region = region"],
    }))
    .unwrap();
    let api = Api::start_with(Stack::Embedded, |config| {
        config.oidc.insert("staff".to_owned(), section);
    })
    .await;
    let first = fetch_token(&api, &provider, "loader").await;
    let who: Value = body(api.plain(Method::GET, "/v1/session").bearer_auth(&first).send().await.unwrap()).await;
    assert_eq!((&who["tenant"], &who["principal"]), (&json!("acme"), &json!("staff.loader")));
    api.submit_as(&first).await;
    assert_eq!(status(&api, &fetch_token(&api, &provider, "stranger").await).await, 403);

    // Signed with a key that nobody here has seen.
    provider.rotate().await.unwrap();
    let second = fetch_token(&api, &provider, "loader").await;
    testing::eventually(SOON, "the new key to be known", async || status(&api, &second).await == 200).await;
    assert_eq!(status(&api, &first).await, 200, "the key before it is still published");
    provider.rotate().await.unwrap();
    let third = fetch_token(&api, &provider, "loader").await;
    testing::eventually(SOON, "the newest key to be known", async || status(&api, &third).await == 200).await;
    assert_eq!(status(&api, &first).await, 401, "the first key was withdrawn");

    let unseen = fetch_token(&api, &provider, "loader").await;
    provider.stop().await;
    for token in [&second, &third, &unseen] {
        assert_eq!(status(&api, token).await, 200, "the last good keys are kept");
    }
    assert_eq!(status(&api, &first).await, 401);
    provider.start_again().await.unwrap();
    let anew = fetch_token(&api, &provider, "loader").await;
    testing::eventually(SOON, "the keys of the provider that came back", async || status(&api, &anew).await == 200)
        .await;
    assert_eq!(status(&api, &second).await, 401, "it has other keys now");
    api.stop().await;
}
