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
    nobody_outside_says_where_links_lead,
    a_proxy_that_is_trusted_says_where_links_lead,
    a_parameter_that_nobody_looks_at_is_refused_by_every_route,
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
    let api = Api::start_with(stack, |config| config.telemetry.listen = Some("127.0.0.1:0".parse().unwrap())).await;
    api.submit_job().await;
    let alive = api.plain(Method::GET, "/livez").send().await.unwrap();
    assert_eq!(alive.text().await.unwrap(), "alive\n");
    let ready = body(api.plain(Method::GET, "/readyz").send().await.unwrap()).await;
    assert_eq!(ready, json!({"ready": true, "store": "ok", "broker": "ok", "storage": "ok", "stopping": false}));
    assert_eq!(api.plain(Method::GET, "/metrics").send().await.unwrap().status(), 404, "they name tenants and reports");
    let metrics = reqwest::get(format!("{}/metrics", api.metrics_url)).await.unwrap().text().await.unwrap();
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

async fn nobody_outside_says_where_links_lead(stack: Stack) {
    let api = Api::start(stack).await;
    for (name, value) in [
        ("x-forwarded-proto", "javascript"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example;proto=https"),
        ("host", "evil.example"),
        ("host", "203.0.113.5"),
        ("host", "evil.example:80"),
    ] {
        let answer = api.post("/v1/jobs").header(name, value).json(&json!({"report": "numbers"})).send().await.unwrap();
        assert_eq!(answer.status(), 202, "{name}: {value}");
        let location = header(&answer, "location").unwrap();
        assert!(location.starts_with(&format!("{}/v1/jobs/", api.url)), "{name}: {value} leads to {location}");
        let said = body(answer).await.to_string();
        assert!(!said.contains("evil") && !said.contains("javascript") && !said.contains("203.0"), "{said}");
        let list = api.get("/v1/jobs?limit=1").header(name, value).send().await.unwrap();
        assert!(header(&list, "link").is_none_or(|link| link.starts_with(&format!("<{}/", api.url))));
    }
    api.stop().await;
}

async fn a_proxy_that_is_trusted_says_where_links_lead(stack: Stack) {
    let api = Api::start_with(stack, |config| config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    for (fields, expected) in [
        (&[("host", "reports.example")][..], "http://reports.example"),
        (&[("x-forwarded-host", "reports.example"), ("x-forwarded-proto", "https")], "https://reports.example"),
        (&[("x-forwarded-host", "reports.example"), ("x-forwarded-proto", "javascript")], "http://reports.example"),
        (&[("x-forwarded-host", "reports.example/a?b#"), ("x-forwarded-proto", "https")], "https://127.0.0.1"),
    ] {
        let request = api.post("/v1/jobs").json(&json!({"report": "numbers"}));
        let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let location = header(&request.send().await.unwrap(), "location").unwrap();
        assert!(location.starts_with(expected), "{fields:?} leads to {location}");
    }
    let signed_in = api
        .plain(Method::POST, "/v1/session")
        .header("x-forwarded-host", "reports.example")
        .header("x-forwarded-proto", "https")
        .header("origin", "https://reports.example")
        .json(&json!({"key": api.key}))
        .send()
        .await
        .unwrap();
    assert!(header(&signed_in, "set-cookie").unwrap().contains("; Secure"));
    api.stop().await;
}

async fn a_parameter_that_nobody_looks_at_is_refused_by_every_route(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    for row in ::api::routes::table().iter().filter(|row| row.path.starts_with("/v1/")) {
        let path = row.path.replace("{id}", &id.to_string()).replace("{format}", "csv").replace("{name}", "numbers");
        let method = Method::from_bytes(row.method.as_str().as_bytes()).unwrap();
        let request = api.plain(method, &format!("{path}?nonsense=1")).bearer_auth(&api.key);
        let (status, kind, said) = problem(request.send().await.unwrap()).await;
        assert_eq!((status, kind.as_str()), (400, "invalid-query"), "{row:?}");
        assert!(said["detail"].as_str().unwrap().contains("nonsense"), "{said}");
    }
    // Links are followed with whatever mail programs hang on them.
    assert_eq!(problem(api.get("/d/none?utm_source=mail").send().await.unwrap()).await.1, "link-not-found");
    api.stop().await;
}
