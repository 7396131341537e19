//! Header fields of every answer, unknown addresses, CORS, operations.

use reqwest::Method;
use serde_json::json;

use crate::api::{Api, Stack, body, header, on_both_stacks, problem};

on_both_stacks!(
    unknown_addresses_and_methods_are_answered_with_problems,
    every_answer_carries_what_keeps_browsers_careful,
    an_allowed_origin_may_call_and_another_may_not,
    a_request_id_is_kept_when_it_is_harmless,
    operations_answer_without_a_key,
);

async fn unknown_addresses_and_methods_are_answered_with_problems(stack: Stack) {
    let api = Api::start(stack).await;
    for path in [
        "/v1",
        "/console",
        "/v1/nothing",
        "/v2/jobs",
        "/v1/jobs/",
        "/d/",
        "/d/a/b",
        "/v1/sockets",
        "/asyncapi.yaml",
        "/%00",
    ] {
        let (status, kind, _) = problem(api.get(path).send().await.unwrap()).await;
        assert_eq!((status, kind.as_str()), (404, "not-found"), "{path}");
    }
    for (method, path, allow) in [
        (Method::DELETE, "/v1/jobs", "GET, HEAD, POST"),
        (Method::PUT, "/v1/reports/numbers", "GET, HEAD"),
        (Method::GET, "/v1/admin/dead-letters/replay", "POST"),
        (Method::POST, "/livez", "GET, HEAD"),
        (Method::POST, "/v1/events", "GET"),
    ] {
        let answer = api.plain(method.clone(), path).bearer_auth(&api.key).send().await.unwrap();
        assert_eq!(header(&answer, "allow").unwrap(), allow, "{method} {path}");
        let (status, kind, _) = problem(answer).await;
        assert_eq!((status, kind.as_str()), (405, "method-not-allowed"), "{method} {path}");
    }
    // The answer to a HEAD request has no body, and a stream would hold a place for ever.
    let head = api.plain(Method::HEAD, "/v1/events").bearer_auth(&api.key).send().await.unwrap();
    assert_eq!(head.status(), 405);
    api.stop().await;
}

async fn every_answer_carries_what_keeps_browsers_careful(stack: Stack) {
    let api = Api::start_with(stack, |config| config.service.public_url = Some("https://r.example".into())).await;
    for path in ["/v1/jobs", "/v1/nothing", "/livez", "/d/none"] {
        let answer = api.get(path).send().await.unwrap();
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cache-control", "no-store"),
            ("strict-transport-security", "max-age=31536000"),
        ] {
            assert_eq!(header(&answer, name).as_deref(), Some(value), "{path} {name}");
        }
        assert!(header(&answer, "content-security-policy").unwrap().starts_with("default-src 'none'"), "{path}");
        assert!(header(&answer, "x-request-id").is_some(), "{path}");
        assert_eq!(header(&answer, "access-control-allow-origin"), None, "{path}");
    }
    api.stop().await;
}

async fn an_allowed_origin_may_call_and_another_may_not(stack: Stack) {
    let app = "https://app.example";
    let api = Api::start_with(stack, |config| config.http.cors_origins = vec![app.to_owned()]).await;
    let preflight = |origin: &'static str| {
        api.plain(Method::OPTIONS, "/v1/jobs")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization, idempotency-key")
            .send()
    };
    let yes = preflight(app).await.unwrap();
    assert_eq!((yes.status().as_u16(), header(&yes, "access-control-allow-origin").as_deref()), (204, Some(app)));
    assert!(header(&yes, "access-control-allow-methods").unwrap().contains("POST"));
    let allowed = header(&yes, "access-control-allow-headers").unwrap();
    assert!(
        ["Authorization", "Idempotency-Key", "Last-Event-ID"].iter().all(|name| allowed.contains(name)),
        "{allowed}"
    );
    for evil in ["https://evil.example", "https://app.example.evil.example", "null", "http://app.example"] {
        let no = preflight(evil).await.unwrap();
        assert_eq!(header(&no, "access-control-allow-origin"), None, "{evil}");
    }
    let answer = api.get("/v1/jobs").header("origin", app).send().await.unwrap();
    assert_eq!(header(&answer, "access-control-allow-origin").as_deref(), Some(app));
    assert_eq!(header(&answer, "vary").as_deref(), Some("Origin"));
    assert!(header(&answer, "access-control-expose-headers").unwrap().contains("Idempotent-Replayed"));
    assert_eq!(header(&answer, "access-control-allow-credentials"), None);
    let problem = api.plain(Method::GET, "/v1/jobs").header("origin", app).send().await.unwrap();
    assert_eq!(header(&problem, "access-control-allow-origin").as_deref(), Some(app));
    api.stop().await;
}

async fn a_request_id_is_kept_when_it_is_harmless(stack: Stack) {
    let api = Api::start(stack).await;
    let ask = |id: &'static str| api.get("/livez").header("x-request-id", id).send();
    assert_eq!(header(&ask("web-7_a.b").await.unwrap(), "x-request-id").unwrap(), "web-7_a.b");
    for bad in ["a b", "", "x=\"y\"", "0123456789012345678901234567890123456789012345678901234567890123456789"] {
        let made = header(&ask(bad).await.unwrap(), "x-request-id").unwrap();
        assert!(uuid::Uuid::try_parse(&made).is_ok(), "{bad}: {made}");
    }
    api.stop().await;
}

async fn operations_answer_without_a_key(stack: Stack) {
    let api = Api::start(stack).await;
    api.submit_job().await;
    let alive = api.plain(Method::GET, "/livez").send().await.unwrap();
    assert_eq!(alive.text().await.unwrap(), "alive\n");
    let ready = body(api.plain(Method::GET, "/readyz").send().await.unwrap()).await;
    assert_eq!(ready, json!({"ready": true, "store": "ok", "broker": "ok", "stopping": false}));
    let metrics = api.plain(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    for line in [
        "waitless_http_requests_total{route=\"/v1/jobs\",method=\"POST\",status=\"202\"}",
        "waitless_http_request_seconds_bucket{route=\"/v1/jobs\"",
        "waitless_submits_total{outcome=\"created\"}",
    ] {
        assert!(metrics.contains(line), "{line} is missing in {metrics}");
    }
    let document = body(api.plain(Method::GET, "/openapi.json").send().await.unwrap()).await;
    assert!(document["paths"]["/v1/jobs"]["post"].is_object());
    api.stop().await;
}
