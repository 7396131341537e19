//! Who may do what: every row of the routing table, and nothing of anybody else's.

use std::time::Duration;

use ::api::auth::Access;
use ::api::routes::{RouteEntry, table};
use model::job::Caller;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use store::Scope;
use uuid::Uuid;

use crate::api::{Api, Stack, ana, body, caller, header, on_both_stacks, problem};

on_both_stacks!(
    every_route_of_the_table_asks_for_its_scope,
    no_answer_of_a_tenant_or_principal_holds_anything_of_another,
    an_expired_key_is_named_as_such,
    a_revoked_key_stops_working_within_seconds,
    credentials_that_are_no_key_of_ours_are_refused,
);

/// Prepares a request for a row of the table, about this job.
fn request(api: &Api, row: &RouteEntry, job: Uuid) -> RequestBuilder {
    let path = row.path.replace("{id}", &job.to_string()).replace("{format}", "csv").replace("{name}", "numbers");
    let path = path.replace("/upcoming", "/upcoming?from=2026-03-01&to=2026-03-31");
    let method = Method::from_bytes(row.method.as_str().as_bytes()).unwrap();
    let request = api.plain(method, &path.replace("{token}", "none"));
    match row.path {
        "/v1/jobs" | "/v1/schedules" if row.method == "POST" => request.json(&json!({"report": "numbers"})),
        "/v1/schedules/preview" => request.json(&json!({"when": "every day at 07:30"})),
        "/v1/schedules/{id}" if row.method == "PATCH" => request.json(&json!({"paused": true})),
        "/v1/schedules/{id}/fire" => request.json(&json!({})),
        "/v1/jobs/{id}/formats" => request.json(&json!({"formats": ["csv"]})),
        "/v1/tokens" | "/v1/tokens/revoke" => request.json(&json!({"principal": "customer-7"})),
        "/v1/admin/dead-letters/replay" => request.json(&json!({"jobs": [job]})),
        "/v1/admin/deliveries/send-again" => request.json(&json!({"failed_since": "2020-01-01T00:00:00Z"})),
        "/v1/admin/pauses" if row.method == "POST" => request.json(&json!({"kind": "report", "name": "numbers"})),
        _ => request,
    }
}

async fn every_route_of_the_table_asks_for_its_scope(stack: Stack) {
    let api = Api::start(stack).await;
    let job = api.submit_job().await;
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        keys.push((scope, api.make_key(&ana(), &[scope]).await));
    }
    let none = api.make_key(&ana(), &[]).await;
    for row in table() {
        let Access::Needs(needed) = row.access else {
            let path = row.path;
            assert!(
                [
                    "/v1/session",
                    "/d/{token}",
                    "/d/{token}/status",
                    "/d/{token}/again",
                    "/livez",
                    "/readyz",
                    "/openapi.json",
                    "/asyncapi.json"
                ]
                .contains(&path),
                "{path} is public"
            );
            continue;
        };
        let bare = request(&api, &row, job).send().await.unwrap();
        assert!(header(&bare, "www-authenticate").unwrap().starts_with("Bearer"), "{row:?}");
        assert_eq!(problem(bare).await.1, "unauthorized", "{row:?}");
        let refused = request(&api, &row, job).bearer_auth(&none).send().await.unwrap();
        assert_eq!(problem(refused).await.1, "forbidden", "{row:?}");
        for (scope, key) in &keys {
            let status = request(&api, &row, job).bearer_auth(key).send().await.unwrap().status().as_u16();
            assert_eq!(status != 403, *scope == needed, "{row:?} with {scope:?}: {status}");
            assert_ne!(status, 401, "{row:?}");
            assert!(status < 500, "{row:?}: {status}");
        }
    }
    api.stop().await;
}

/// Everything Ana has, told by words that nobody else may read.
async fn make_everything(api: &Api) -> (Vec<Uuid>, Vec<String>) {
    let asked = json!({
        "report": "numbers", "params": {"day": "1999-09-09"},
        "notify": [{"channel": "email", "to": "canary@example.com"}],
    });
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(crate::api::id_of(&body(api.submit(&asked).await).await));
    }
    api.finish(jobs[0], b"canary").await;
    api.fail(jobs[1]).await;
    let done = api.read(jobs[0]).await;
    let mut words: Vec<String> = jobs.iter().map(Uuid::to_string).collect();
    words.extend(["canary".to_owned(), "1999-09-09".to_owned()]);
    words.push(done["artifacts"][0]["link"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned());
    (jobs, words)
}

async fn no_answer_of_a_tenant_or_principal_holds_anything_of_another(stack: Stack) {
    let api = Api::start_with(stack, |config| config.http.ping_every = Duration::from_millis(20)).await;
    let (jobs, words) = make_everything(&api).await;
    let before = states(&api, &jobs).await;
    let foreign = [(caller("other", "ana"), true), (caller("acme", "ben"), false)];
    for (who, other_tenant) in foreign {
        let key = api.make_key(&who, &Scope::ALL).await;
        for row in table() {
            // An operator sees what is the tenant's, whoever's it is.
            if row.access == Access::Public || (!other_tenant && row.access == Access::Needs(Scope::Admin)) {
                continue;
            }
            for job in &jobs {
                check_foreign(&api, &row, *job, &key, &who, &words).await;
            }
        }
    }
    assert_eq!(states(&api, &jobs).await, before);
    api.stop().await;
}

async fn check_foreign(api: &Api, row: &RouteEntry, job: Uuid, key: &str, who: &Caller, words: &[String]) {
    let mut answer = request(api, row, job).bearer_auth(key).send().await.unwrap();
    let status = answer.status().as_u16();
    if row.path.contains("{id}") {
        assert_eq!(status, 404, "{row:?} as {who:?}");
    }
    let mut said = format!("{:?}", answer.headers());
    // A feed has no end: three chunks are the hello and two pings.
    let chunks = if row.path == "/v1/events" { 3 } else { usize::MAX };
    for _ in 0..chunks {
        let Some(chunk) = answer.chunk().await.unwrap() else { break };
        said.push_str(&String::from_utf8_lossy(&chunk));
    }
    if row.path == "/v1/admin/dead-letters/replay" {
        // It says which of the ids that were sent it does not know.
        let outcome: serde_json::Value = serde_json::from_str(said.split_once('}').unwrap().1).unwrap_or_default();
        assert!(outcome["replayed"].as_array().is_none_or(Vec::is_empty), "{said}");
        return;
    }
    for word in words {
        assert!(!said.contains(word), "{row:?} as {who:?} says `{word}`: {said}");
    }
}

async fn states(api: &Api, jobs: &[Uuid]) -> Vec<(String, i64)> {
    let mut states = Vec::new();
    for id in jobs {
        let job = api.job(*id).await;
        states.push((job.state.to_string(), job.seq));
    }
    states
}

async fn an_expired_key_is_named_as_such(stack: Stack) {
    let api = Api::start(stack).await;
    let (key, _) = api.make_key_for(&ana(), &Scope::ALL, Some(Duration::from_millis(1))).await;
    testing::eventually(Duration::from_secs(5), "the key expires", async || {
        let kept = api.backends.store.api_key_by_hash(model::access::hash_token(&key)).await.unwrap();
        kept.unwrap().expired
    })
    .await;
    let (status, kind, _) = problem(api.plain(Method::GET, "/v1/jobs").bearer_auth(&key).send().await.unwrap()).await;
    assert_eq!((status, kind.as_str()), (401, "key-expired"));
    api.stop().await;
}

async fn a_revoked_key_stops_working_within_seconds(stack: Stack) {
    let api = Api::start(stack).await;
    let (key, id) = api.make_key_for(&ana(), &Scope::ALL, None).await;
    let ask = || api.plain(Method::GET, "/v1/jobs").bearer_auth(&key).send();
    assert_eq!(ask().await.unwrap().status(), 200);
    assert!(api.backends.store.revoke_api_key(id).await.unwrap());
    testing::eventually(Duration::from_secs(7), "the gateway forgets the key", async || {
        ask().await.unwrap().status() == 401
    })
    .await;
    let (status, kind, said) = problem(ask().await.unwrap()).await;
    assert_eq!((status, kind.as_str()), (401, "unauthorized"));
    assert!(said["detail"].as_str().unwrap().contains("revoked"));
    api.stop().await;
}

async fn credentials_that_are_no_key_of_ours_are_refused(stack: Stack) {
    let api = Api::start(stack).await;
    let other = model::access::make_api_key();
    let long = format!("Bearer wl_{}", "x".repeat(1000));
    let unknown = format!("Bearer {other}");
    let basic = format!("Basic {}", api.key);
    let two = format!("Bearer {} {}", api.key, api.key);
    for bad in ["", "Bearer", "Bearer ", "Bearer wl_", "Bearer x", &long, &unknown, &basic, &two, &api.key] {
        let request = api.plain(Method::GET, "/v1/jobs").header("authorization", bad);
        let (status, kind, _) = problem(request.send().await.unwrap()).await;
        assert_eq!((status, kind.as_str()), (401, "unauthorized"), "{bad}");
    }
    api.stop().await;
}
