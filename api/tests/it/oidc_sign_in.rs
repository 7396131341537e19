//! Browsers sign in at an identity provider: by a code that is good for them alone, for a session that says what the provider said.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use testing::identity_provider::MadeUpAnswer;
use url::Url;

use crate::api::{Api, Stack, body, header, on_both_stacks, problem};
use crate::oidc::Provider;

on_both_stacks!(
    a_browser_signs_in_at_a_provider_and_out_here,
    a_session_ends_when_its_person_is_revoked_and_when_the_mapping_changes,
);

async fn start(stack: Stack, provider: &Provider, more: Value) -> Api {
    let mut settings = json!({"client_id": "console", "title": "Staff", "session_ttl": "1h"});
    let Value::Object(more) = more else { panic!("settings are an object") };
    settings.as_object_mut().unwrap().extend(more);
    let section = provider.section(&settings);
    Api::start_with(stack, |config| {
        config.oidc.insert("staff".to_owned(), section);
    })
    .await
}

/// A sign-in that a browser has begun.
struct Begun {
    /// What the provider is asked.
    question: Url,
    cookie: String,
}

impl Begun {
    fn asked(&self, name: &str) -> String {
        self.question.query_pairs().find(|(is, _)| is == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }
}

async fn begin(api: &Api, next: &str) -> Begun {
    let answer = api.plain(Method::GET, &format!("/login/staff?next={next}")).send().await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(header(&answer, "cache-control").unwrap(), "no-store");
    let cookie = header(&answer, "set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly; SameSite=Lax; Path=/login; Max-Age=900"), "{cookie}");
    let question = header(&answer, "location").unwrap().parse().unwrap();
    Begun { question, cookie: cookie.split(';').next().unwrap().to_owned() }
}

/// Answers the code of a sign-in with an id token that has these claims beside the usual ones.
async fn answer_code(api: &Api, provider: &Provider, begun: &Begun, more: Value) {
    let now = api.backends.store.now().await.unwrap().timestamp();
    let mut claims = provider.claims("7", now);
    (claims["aud"], claims["nonce"]) = (json!("console"), json!(begun.asked("nonce")));
    let Value::Object(more) = more else { panic!("claims are an object") };
    claims.as_object_mut().unwrap().extend(more);
    let tokens = json!({"id_token": provider.key.sign_under(&json!({"alg": "ES256", "kid": "one"}), &claims)});
    provider.made_up.answer("/token", MadeUpAnswer::Json(tokens));
}

async fn come_back(api: &Api, cookie: &str, query: &[(&str, &str)]) -> Response {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let request = api.plain(Method::GET, &format!("/login/staff/callback?{query}")).header("cookie", cookie);
    request.header("sec-fetch-site", "cross-site").send().await.unwrap()
}

/// Returns the cookie of the session that an answer opens.
fn session_of(answer: &Response) -> Option<String> {
    let all = answer.headers().get_all("set-cookie").into_iter().map(|value| value.to_str().unwrap().to_owned());
    let set = all.into_iter().find(|cookie| cookie.contains("SameSite=Strict"))?;
    assert!(set.contains("HttpOnly; SameSite=Strict; Path=/; Max-Age=3600"), "{set}");
    set.split(';').next().map(str::to_owned)
}

async fn sign_in(api: &Api, provider: &Provider) -> String {
    let begun = begin(api, "/").await;
    answer_code(api, provider, &begun, json!({})).await;
    let answer = come_back(api, &begun.cookie, &[("code", "c"), ("state", &begun.asked("state"))]).await;
    session_of(&answer).expect("they are signed in")
}

async fn who(api: &Api, cookie: &str) -> Value {
    body(api.plain(Method::GET, "/v1/session").header("cookie", cookie).send().await.unwrap()).await
}

async fn a_browser_signs_in_at_a_provider_and_out_here(stack: Stack) {
    let provider = Provider::start().await;
    let mut api = start(stack, &provider, json!({"client_secret": "a secret: with signs"})).await;
    let nobody = who(&api, "other=1").await;
    assert_eq!(nobody, json!({"signed_in": false, "providers": [{"name": "staff", "title": "Staff"}]}));

    let begun = begin(&api, "/jobs?state=done").await;
    for (name, value) in [
        ("audience", "x".to_owned()),
        ("response_type", "code".to_owned()),
        ("client_id", "console".to_owned()),
        ("scope", "openid profile email".to_owned()),
        ("code_challenge_method", "S256".to_owned()),
        ("redirect_uri", format!("{}/login/staff/callback", api.url)),
    ] {
        assert_eq!(begun.asked(name), value);
    }
    answer_code(&api, &provider, &begun, json!({})).await;
    // Any gateway finishes what another one began.
    api.restart_gateway().await;
    let answer = come_back(&api, &begun.cookie, &[("code", "the code"), ("state", &begun.asked("state"))]).await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "location").unwrap().as_str()),
        (303, "../../jobs?state=done")
    );
    let sent = provider.made_up.body();
    assert!(sent.starts_with("grant_type=authorization_code&code=the+code&redirect_uri=http"), "{sent}");
    assert!(sent.contains("&code_verifier=") && !sent.contains("client_id"), "{sent}");
    let cookie = session_of(&answer).unwrap();
    let said = who(&api, &cookie).await;
    assert_eq!((&said["principal"], &said["scopes"]), (&json!("staff.7"), &json!(["read", "write"])));
    let ours = |method, path: &str| api.plain(method, path).header("cookie", &cookie).header("origin", &api.url);
    let job = ours(Method::POST, "/v1/jobs").json(&json!({"report": "numbers"})).send().await.unwrap();
    assert_eq!(job.status(), 202);
    let ticket = ours(Method::POST, "/v1/ws/ticket").send().await.unwrap();
    assert_eq!(ticket.status(), 200);
    let foreign =
        api.plain(Method::POST, "/v1/jobs").header("cookie", &cookie).header("origin", "https://evil.example");
    assert_eq!(problem(foreign.json(&json!({"report": "numbers"})).send().await.unwrap()).await.0, 403);
    // It is no token.
    let (_, value) = cookie.split_once('=').unwrap();
    assert_eq!(problem(api.plain(Method::GET, "/v1/jobs").bearer_auth(value).send().await.unwrap()).await.0, 401);
    assert_eq!(ours(Method::DELETE, "/v1/session").send().await.unwrap().status(), 204);
    assert_eq!(who(&api, &cookie).await["signed_in"], false);
    api.stop().await;
}

async fn a_session_ends_when_its_person_is_revoked_and_when_the_mapping_changes(stack: Stack) {
    let provider = Provider::start().await;
    let mut api = start(stack, &provider, json!({})).await;
    let (one, other) = (sign_in(&api, &provider).await, begin(&api, "/").await);
    answer_code(&api, &provider, &other, json!({"sub": "8"})).await;
    let other = come_back(&api, &other.cookie, &[("code", "c"), ("state", &other.asked("state"))]).await;
    let other = session_of(&other).unwrap();
    let revoked = api.post("/v1/tokens/revoke").json(&json!({"principal": "staff.7"})).send().await.unwrap();
    assert_eq!(revoked.status(), 204);
    testing::eventually(std::time::Duration::from_secs(5), "the session to end", async || {
        who(&api, &one).await["signed_in"] == false
    })
    .await;
    assert_eq!(who(&api, &other).await["signed_in"], true);
    api.config.oidc.get_mut("staff").unwrap().scopes = vec!["read".to_owned()];
    api.restart_gateway().await;
    assert_eq!(who(&api, &other).await["signed_in"], false, "what was said by another mapping counts no more");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_signed_in_by_what_was_not_begun_here_or_says_something_else() {
    let provider = Provider::start().await;
    let api = start(
        Stack::Embedded,
        &provider,
        json!({"groups_claim": "groups", "group_scopes": ["staff = read"], "scopes": []}),
    )
    .await;
    let good = json!({"groups": ["staff"]});
    let changed = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let now = api.backends.store.now().await.unwrap().timestamp();
    for (what, claims, failed) in [
        ("another nonce", changed("nonce", json!("x")), "failed"),
        ("another client", changed("aud", json!("reports")), "failed"),
        ("several clients and none of them asked", changed("aud", json!(["console", "other"])), "failed"),
        ("another party", changed("azp", json!("other")), "failed"),
        ("expired", changed("exp", json!(now - 1)), "failed"),
        ("from the future", changed("iat", json!(now + 60)), "failed"),
        ("another issuer", changed("iss", json!("https://evil.example")), "failed"),
        ("no rights", changed("groups", json!(["guests"])), "refused"),
    ] {
        let begun = begin(&api, "/jobs").await;
        answer_code(&api, &provider, &begun, claims).await;
        let answer = come_back(&api, &begun.cookie, &[("code", "c"), ("state", &begun.asked("state"))]).await;
        assert!(session_of(&answer).is_none(), "{what}");
        assert_eq!(header(&answer, "location").unwrap(), format!("../../login?failed={failed}&next=%2Fjobs"), "{what}");
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_signed_in_by_an_answer_that_is_not_for_them() {
    let provider = Provider::start().await;
    let api = start(Stack::Embedded, &provider, json!({})).await;
    let begun = begin(&api, "/d/abc").await;
    let state = begun.asked("state");
    answer_code(&api, &provider, &begun, json!({})).await;
    let other = begin(&api, "/").await;
    for (what, cookie, query, failed) in [
        ("no cookie", "x=1", vec![("code", "c"), ("state", state.as_str())], "expired"),
        ("another browser's cookie", other.cookie.as_str(), vec![("code", "c"), ("state", &state)], "expired"),
        ("no state", &begun.cookie, vec![("code", "c")], "expired"),
        ("no code", &begun.cookie, vec![("state", &state)], "failed"),
        (
            "another provider",
            &begun.cookie,
            vec![("code", "c"), ("state", &state), ("iss", "https://evil.example")],
            "failed",
        ),
        ("they said no", &begun.cookie, vec![("error", "access_denied"), ("state", &state)], "denied"),
        ("something is wrong", &begun.cookie, vec![("error", "invalid_scope"), ("state", &state)], "failed"),
        ("it is tired", &begun.cookie, vec![("error", "temporarily_unavailable"), ("state", &state)], "unavailable"),
    ] {
        let answer = come_back(&api, cookie, &query).await;
        assert!(session_of(&answer).is_none(), "{what}");
        assert!(header(&answer, "location").unwrap().starts_with(&format!("../../login?failed={failed}&")), "{what}");
    }
    let answer = come_back(&api, &begun.cookie, &[("code", "c"), ("state", &state)]).await;
    assert!(session_of(&answer).is_some());
    assert_eq!(header(&answer, "location").unwrap(), "../../login?next=%2Fd%2Fabc", "which leads on, with the cookie");
    provider.made_up.answer("/token", MadeUpAnswer::Refusal(400, json!({"error": "invalid_grant"})));
    let again = come_back(&api, &begun.cookie, &[("code", "c"), ("state", &state)]).await;
    assert!(session_of(&again).is_none() && header(&again, "location").unwrap().contains("failed=failed"));
    for path in ["/login/nobody", "/login/nobody/callback?code=c&state=s"] {
        assert_eq!(api.plain(Method::GET, path).send().await.unwrap().status(), 404, "{path}");
    }
    api.stop().await;
}
