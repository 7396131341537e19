//! Browsers sign in, and nobody else's page can use that.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use store::Scope;

use crate::api::{Api, Stack, ana, body, header, on_both_stacks, problem};

on_both_stacks!(
    a_browser_signs_in_with_a_key_and_then_needs_none,
    what_is_no_key_does_not_sign_in,
    a_page_of_another_site_changes_nothing,
    a_session_ends_with_its_key_and_when_somebody_signs_out,
    a_session_may_do_what_its_key_may,
    a_cookie_is_kept_from_scripts_and_other_sites,
    a_malformed_cookie_of_another_service_signs_nobody_out,
    a_cookie_is_for_the_path_that_the_service_has_on_its_host,
    a_program_is_told_whose_its_key_is,
    the_link_that_is_printed_signs_in_once,
);

async fn sign_in(api: &Api, with: &Value) -> Response {
    api.plain(Method::POST, "/v1/session").header("origin", &api.url).json(with).send().await.unwrap()
}

/// Returns `name=token`.
async fn cookie(api: &Api, key: &str) -> String {
    let answer = sign_in(api, &json!({"key": key})).await;
    assert_eq!(answer.status(), 200);
    header(&answer, "set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

/// Prepares a request as a page of the console sends it.
fn browser(api: &Api, method: Method, path: &str, cookie: &str) -> RequestBuilder {
    api.plain(method, path).header("cookie", cookie).header("origin", &api.url).header("sec-fetch-site", "same-origin")
}

async fn who(api: &Api, cookie: &str) -> Value {
    body(browser(api, Method::GET, "/v1/session", cookie).send().await.unwrap()).await
}

async fn a_browser_signs_in_with_a_key_and_then_needs_none(stack: Stack) {
    let mut api = Api::start(stack).await;
    assert_eq!(who(&api, "other=1").await, json!({"signed_in": false}));
    let cookie = cookie(&api, &api.key.clone()).await;
    assert!(!cookie.contains(&api.key));
    let said = who(&api, &cookie).await;
    assert_eq!((&said["tenant"], &said["principal"]), (&json!("acme"), &json!("ana")));
    assert_eq!(said["scopes"], json!(["read", "write", "admin", "backlog", "mint"]));

    let asked = json!({"report": "numbers"});
    let answer = browser(&api, Method::POST, "/v1/jobs", &cookie).json(&asked).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let id = body(answer).await["id"].clone();
    let jobs = body(browser(&api, Method::GET, "/v1/jobs", &cookie).send().await.unwrap()).await;
    assert_eq!(jobs["jobs"][0]["id"], id);
    // Nothing of a session is in the memory of one gateway.
    api.restart_gateway().await;
    assert_eq!(who(&api, &cookie).await["signed_in"], true);
    api.stop().await;
}

async fn what_is_no_key_does_not_sign_in(stack: Stack) {
    let api = Api::start(stack).await;
    for (with, status, kind) in [
        (json!({"key": "secret"}), 401, "unauthorized"),
        (json!({"key": model::access::make_api_key()}), 401, "unauthorized"),
        (json!({"once": "unknown"}), 401, "unauthorized"),
        (json!({}), 422, "validation-failed"),
        (json!({"key": ""}), 422, "validation-failed"),
        (json!({"key": api.key, "once": "x"}), 422, "validation-failed"),
        (json!({"key": api.key, "more": 1}), 422, "validation-failed"),
        (json!([]), 422, "validation-failed"),
    ] {
        let answer = sign_in(&api, &with).await;
        assert_eq!(header(&answer, "set-cookie"), None, "{with}");
        let (is, said, _) = problem(answer).await;
        assert_eq!((is, said.as_str()), (status, kind), "{with}");
    }
    api.stop().await;
}

async fn a_page_of_another_site_changes_nothing(stack: Stack) {
    let api = Api::start(stack).await;
    let cookie = cookie(&api, &api.key.clone()).await;
    let asked = json!({"report": "numbers"});
    let post = || api.plain(Method::POST, "/v1/jobs").header("cookie", &cookie).json(&asked);
    let host = api.url.trim_start_matches("http://");
    for request in [
        post(),
        post().header("origin", "https://evil.example"),
        post().header("origin", "null"),
        post().header("origin", format!("http://{host}.evil.example")),
        post().header("origin", &api.url).header("sec-fetch-site", "cross-site"),
        post().header("origin", &api.url).header("sec-fetch-site", "same-site"),
    ] {
        let (status, kind, _) = problem(request.send().await.unwrap()).await;
        assert_eq!((status, kind.as_str()), (403, "forbidden"));
    }
    assert_eq!(body(api.get("/v1/jobs").send().await.unwrap()).await["jobs"], json!([]));
    let upgrade = api.plain(Method::GET, "/v1/jobs").header("cookie", &cookie).header("upgrade", "websocket");
    assert_eq!(upgrade.header("origin", "https://evil.example").send().await.unwrap().status(), 403);
    // Neither can it sign a browser in as somebody else, nor out.
    let foreign = |method| api.plain(method, "/v1/session").header("origin", "https://evil.example");
    let answer = foreign(Method::POST).json(&json!({"key": api.key})).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "set-cookie")), (403, None));
    assert_eq!(foreign(Method::DELETE).send().await.unwrap().status(), 403);
    api.stop().await;
}

async fn a_session_ends_with_its_key_and_when_somebody_signs_out(stack: Stack) {
    let mut api = Api::start(stack).await;
    let (key, id) = api.make_key_for(&ana(), &Scope::ALL, None).await;
    let cookie = cookie(&api, &key).await;
    let out = browser(&api, Method::DELETE, "/v1/session", &cookie).send().await.unwrap();
    assert_eq!(out.status(), 204);
    let forget = header(&out, "set-cookie").unwrap();
    assert!(forget.contains("Max-Age=0") && forget.starts_with(cookie.split('=').next().unwrap()), "{forget}");

    assert!(api.backends.store.revoke_api_key(id).await.unwrap());
    api.restart_gateway().await;
    assert_eq!(who(&api, &cookie).await, json!({"signed_in": false}));
    let (status, ..) = problem(browser(&api, Method::GET, "/v1/jobs", &cookie).send().await.unwrap()).await;
    assert_eq!(status, 401);
    api.stop().await;
}

async fn a_session_may_do_what_its_key_may(stack: Stack) {
    let api = Api::start(stack).await;
    let key = api.make_key(&ana(), &[Scope::Read]).await;
    let cookie = cookie(&api, &key).await;
    assert_eq!(browser(&api, Method::GET, "/v1/jobs", &cookie).send().await.unwrap().status(), 200);
    let asked = json!({"report": "numbers"});
    for request in [
        browser(&api, Method::POST, "/v1/jobs", &cookie).json(&asked),
        browser(&api, Method::GET, "/v1/admin/queues", &cookie),
    ] {
        assert_eq!(request.send().await.unwrap().status(), 403);
    }
    // A key that is sent counts, not the cookie beside it.
    let with_key = browser(&api, Method::GET, "/v1/jobs", &cookie).header("authorization", "Bearer wl_wrong");
    assert_eq!(with_key.send().await.unwrap().status(), 401);
    let altered = cookie.replace('=', "=A");
    assert_eq!(browser(&api, Method::GET, "/v1/jobs", &altered).send().await.unwrap().status(), 401);
    api.stop().await;
}

async fn a_cookie_is_kept_from_scripts_and_other_sites(stack: Stack) {
    let api = Api::start_with(stack, |config| config.service.public_url = Some("https://r.example".into())).await;
    let signed = |origin: &str| {
        let request = api.plain(Method::POST, "/v1/session").header("origin", origin.to_owned());
        request.json(&json!({"key": api.key})).send()
    };
    let cookie = header(&signed("https://r.example").await.unwrap(), "set-cookie").unwrap();
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Strict", "; Secure"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(signed("https://other.example").await.unwrap().status(), 403);
    api.stop().await;
}

async fn a_cookie_is_for_the_path_that_the_service_has_on_its_host(stack: Stack) {
    let address = |config: &mut configuration::Config| {
        config.service.public_url = Some("https://r.example/reports".into());
    };
    let api = Api::start_with(stack, address).await;
    let signed = async |host: &str| {
        let request = api.plain(Method::POST, "/v1/session").header("origin", format!("https://{host}"));
        let answer = request.header("host", host).json(&json!({"key": api.key})).send().await.unwrap();
        header(&answer, "set-cookie").unwrap()
    };
    assert!(signed("r.example").await.contains("; Path=/reports;"));
    api.stop().await;
}

async fn a_program_is_told_whose_its_key_is(stack: Stack) {
    let api = Api::start(stack).await;
    let asked =
        |key: &str| api.plain(Method::GET, "/v1/session").header("authorization", format!("Bearer {key}")).send();
    let answer = asked(&api.key).await.unwrap();
    assert_eq!(header(&answer, "set-cookie"), None);
    let said: Value = answer.json().await.unwrap();
    let caller = ana();
    assert_eq!((&said["tenant"], &said["principal"]), (&json!(caller.tenant), &json!(caller.principal)), "{said}");
    assert_eq!((&said["signed_in"], &said["expires_at"]), (&json!(true), &Value::Null));
    assert_eq!(asked("wl_wrong").await.unwrap().status(), 401);
    api.stop().await;
}

async fn a_malformed_cookie_of_another_service_signs_nobody_out(stack: Stack) {
    let api = Api::start(stack).await;
    let cookie = cookie(&api, &api.key.clone()).await;
    for neighbours in ["broken", "=; other=%zz", "other=\"a b\"; ;;"] {
        let cookies = format!("{neighbours}; {cookie}; last=1");
        assert_eq!(who(&api, &cookies).await["signed_in"], true, "{cookies}");
    }
    api.stop().await;
}

async fn the_link_that_is_printed_signs_in_once(stack: Stack) {
    let api = Api::start(stack).await;
    let application = ::api::Application::build(&api.config, api.backends.clone()).await.unwrap();
    let url = format!("http://127.0.0.1:{}", application.port());
    let once = application.sign_in_link(&api.key).split_once("#once=").unwrap().1.to_owned();
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(application.run_until_stopped(stop.clone()));
    let open = |url: String, once: String| {
        let request = api.plain(Method::POST, &format!("{url}/v1/session")).header("origin", &url);
        request.json(&json!({"once": once})).send()
    };
    assert_eq!(problem(open(api.url.clone(), once.clone()).await.unwrap()).await.0, 401, "it is of another process");
    let first = open(url.clone(), once.clone()).await.unwrap();
    assert_eq!(first.status(), 200);
    assert_eq!(body(first).await["principal"], "ana");
    let (status, _, said) = problem(open(url, once).await.unwrap()).await;
    assert!(status == 401 && said["detail"].as_str().unwrap().contains("used before"), "{said}");
    stop.cancel();
    running.await.unwrap().unwrap();
    api.stop().await;
}
