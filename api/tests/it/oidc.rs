//! Access tokens of identity providers: what is good opens this service as whom it names, and nothing else does.

use std::time::Duration;

use configuration::Issuer;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use store::Scope;
use testing::identity_provider::{MadeUpAnswer, MadeUpProvider, SigningKey};

use crate::api::{Api, Stack, body, caller, header, id_of, on_both_stacks, problem};
use crate::sse::Stream;
use crate::ws::Socket;

on_both_stacks!(
    a_token_opens_what_its_claims_say_as_whom_they_say,
    two_providers_with_the_same_subject_name_two_people,
    revoked_in_mid_stream_a_person_is_out_within_five_seconds,
    what_is_a_persons_is_run_again_by_others_as_long_as_they_are_let_in,
    a_ticket_opens_a_socket_as_whom_the_token_names,
    what_is_a_persons_is_seen_with_a_key_of_the_same_principal,
    a_schedule_is_only_for_whoever_has_a_key_to_run_it_with,
);

/// Shorter than a provider's keys are waited for.
const SOON: Duration = Duration::from_secs(30);

/// A provider, and the section that it has in the configuration.
pub(crate) struct Provider {
    pub(crate) key: SigningKey,
    pub(crate) made_up: MadeUpProvider,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let key = SigningKey::make("one");
        let made_up = MadeUpProvider::start(&key).await.unwrap();
        Self { key, made_up }
    }

    /// A section with these settings beside the usual ones.
    pub(crate) fn section(&self, more: &Value) -> Issuer {
        let mut settings = json!({
            "issuer": self.made_up.issuer(), "audience": ["reports"], "tenant": "acme", "scopes": ["read", "write"],
            "leeway": "0",
        });
        for (name, value) in more.as_object().unwrap() {
            settings[name] = value.clone();
        }
        serde_json::from_value(settings).unwrap()
    }

    /// Claims of somebody, good at `now`.
    pub(crate) fn claims(&self, subject: &str, now: i64) -> Value {
        json!({"iss": self.made_up.issuer(), "aud": "reports", "sub": subject, "iat": now, "exp": now + 300})
    }

    pub(crate) fn token(&self, subject: &str, now: i64) -> String {
        self.key.sign(&self.claims(subject, now))
    }
}

pub(crate) async fn start(stack: Stack, providers: &[(&str, &Provider, Value)]) -> Api {
    Api::start_with(stack, |config| {
        for (name, provider, more) in providers {
            config.oidc.insert((*name).to_owned(), provider.section(more));
        }
    })
    .await
}

pub(crate) async fn now(api: &Api) -> i64 {
    api.backends.store.now().await.unwrap().timestamp()
}

fn ask(api: &Api, method: Method, path: &str, token: &str) -> RequestBuilder {
    api.plain(method, path).bearer_auth(token)
}

pub(crate) async fn get(api: &Api, path: &str, token: &str) -> Response {
    ask(api, Method::GET, path, token).send().await.unwrap()
}

async fn a_token_opens_what_its_claims_say_as_whom_they_say(stack: Stack) {
    let provider = Provider::start().await;
    let mapping = json!({
        "tenant": "", "tenant_claim": "/org/id", "tenants": ["acme", "globex"], "scopes": [],
        "groups_claim": "groups", "group_scopes": ["cn=staff,dc=x = read write", "auditors = admin"],
    });
    let api = start(stack, &[("staff", &provider, mapping)]).await;
    let now = now(&api).await;
    let with = |subject: &str, org: &str, groups: Value| {
        let mut claims = provider.claims(subject, now);
        (claims["org"], claims["groups"]) = (json!({"id": org}), groups);
        provider.key.sign(&claims)
    };
    let staff = with("auth0|7", "acme", json!(["cn=staff,dc=x", "others"]));
    let who = body(get(&api, "/v1/session", &staff).await).await;
    assert_eq!((&who["tenant"], &who["principal"]), (&json!("acme"), &json!("staff.auth0+7C7")));
    assert_eq!((&who["scopes"], &who["signed_in"]), (&json!(["read", "write"]), &json!(true)));
    let job = api.submit_as(&staff).await;
    assert_eq!(api.job(job).await.caller, caller("acme", "staff.auth0+7C7"));
    assert_eq!(body(get(&api, "/v1/jobs", &staff).await).await["jobs"][0]["id"], json!(job));
    let elsewhere = with("auth0|7", "globex", json!(["cn=staff,dc=x", "auditors"]));
    assert!(body(get(&api, "/v1/jobs", &elsewhere).await).await["jobs"].as_array().unwrap().is_empty());
    assert_eq!(get(&api, "/v1/admin/queues", &elsewhere).await.status(), 200);
    for (path, method) in [("/v1/admin/queues", Method::GET), ("/v1/tokens", Method::POST)] {
        assert_eq!(problem(ask(&api, method, path, &staff).send().await.unwrap()).await.1, "forbidden", "{path}");
    }
    for (token, says) in [
        (with("7", "initech", json!(["cn=staff,dc=x"])), "names no organisation that is served here"),
        (with("7", "acme", json!(["others"])), "was given no rights here"),
        (with("7", "acme", json!({"staff": true})), "its claim `groups` is neither a text nor a list"),
    ] {
        let (status, kind, said) = problem(get(&api, "/v1/jobs", &token).await).await;
        assert_eq!((status, kind.as_str()), (403, "forbidden"));
        assert!(said["detail"].as_str().unwrap().contains(says), "{said}");
    }
    api.stop().await;
}

async fn two_providers_with_the_same_subject_name_two_people(stack: Stack) {
    let (staff, partners) = (Provider::start().await, Provider::start().await);
    let api = start(stack, &[("staff", &staff, json!({})), ("partners", &partners, json!({}))]).await;
    let now = now(&api).await;
    let (ours, theirs) = (staff.token("7", now), partners.token("7", now));
    let job = api.submit_as(&ours).await;
    assert_eq!(get(&api, &format!("/v1/jobs/{job}"), &ours).await.status(), 200);
    assert_eq!(problem(get(&api, &format!("/v1/jobs/{job}"), &theirs).await).await.1, "job-not-found");
    let who = body(get(&api, "/v1/session", &theirs).await).await;
    assert_eq!(who["principal"], "partners.7");
    // What one provider signs, it cannot say in the name of the other.
    let posing = staff.key.sign(&partners.claims("7", now));
    assert_eq!(problem(get(&api, "/v1/jobs", &posing).await).await.0, 401);
    api.stop().await;
}

async fn revoked_in_mid_stream_a_person_is_out_within_five_seconds(stack: Stack) {
    let provider = Provider::start().await;
    let api = start(stack, &[("staff", &provider, json!({}))]).await;
    let now = now(&api).await;
    let (token, other) = (provider.token("7", now), provider.token("8", now));
    let mut streams = Vec::new();
    for token in [&token, &other] {
        streams.push(Stream::open(ask(&api, Method::GET, "/v1/events", token)).await);
    }
    let minting = api.make_key(&caller("acme", "shop"), &[Scope::Mint]).await;
    let began = std::time::Instant::now();
    let revoke = ask(&api, Method::POST, "/v1/tokens/revoke", &minting).json(&json!({"principal": "staff.7"}));
    assert_eq!(revoke.send().await.unwrap().status(), 204);
    while streams[0].next().await.is_some() {}
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let refused = testing::eventually(Duration::from_secs(5), "the token to open nothing", async || {
        let answer = get(&api, "/v1/jobs", &token).await;
        if answer.status() == 401 { Some(problem(answer).await.2) } else { None }
    })
    .await;
    assert_eq!(refused["detail"], "This token was revoked. Ask for a new one.");
    assert_eq!(get(&api, "/v1/jobs", &other).await.status(), 200);
    let job = api.submit_as(&other).await;
    let frame = streams[1].next_state().await.unwrap();
    assert_eq!(frame.data.unwrap()["data"]["job_id"], json!(job), "the other one's stream goes on");
    let before = provider.token("7", now - 1);
    assert_eq!(get(&api, "/v1/jobs", &before).await.status(), 401, "whatever they were given before");
    testing::eventually(Duration::from_secs(5), "a token that was issued later to open", async || {
        let later = provider.token("7", self::now(&api).await);
        get(&api, "/v1/jobs", &later).await.status() == 200
    })
    .await;
    api.stop().await;
}

async fn what_is_a_persons_is_run_again_by_others_as_long_as_they_are_let_in(stack: Stack) {
    let provider = Provider::start().await;
    let api = start(stack, &[("staff", &provider, json!({"owner_for": "1h"}))]).await;
    let token = provider.token("7", now(&api).await);
    let job = api.submit_as(&token).await;
    api.fail(job).await;
    let replay = async || api.post(&format!("/v1/admin/dead-letters/{job}/replay")).send().await.unwrap();
    assert_eq!(replay().await.status(), 202);
    api.fail(job).await;
    let (minting, revoke) = (&api.key, json!({"principal": "staff.7"}));
    assert_eq!(ask(&api, Method::POST, "/v1/tokens/revoke", minting).json(&revoke).send().await.unwrap().status(), 204);
    assert_eq!(problem(replay().await).await.1, "forbidden", "nobody runs it in the name of somebody who is out");
    // Somebody who was not let in for longer than is configured is nobody's owner either.
    let long_ago = provider.claims("8", now(&api).await - 7200);
    let mut claims = long_ago.clone();
    claims["exp"] = (long_ago["exp"].as_i64().unwrap() + 7200).into();
    let old = provider.key.sign(&claims);
    let job = api.submit_as(&old).await;
    api.fail(job).await;
    let replay = api.post(&format!("/v1/admin/dead-letters/{job}/replay")).send().await.unwrap();
    assert_eq!(problem(replay).await.1, "forbidden");
    api.stop().await;
}

async fn a_ticket_opens_a_socket_as_whom_the_token_names(stack: Stack) {
    let provider = Provider::start().await;
    let api = start(stack, &[("staff", &provider, json!({}))]).await;
    let token = provider.token("7", now(&api).await);
    let ticket = body(ask(&api, Method::POST, "/v1/ws/ticket", &token).send().await.unwrap()).await;
    let offered = format!("{}, {}", ticket["protocols"][0].as_str().unwrap(), ticket["protocols"][1].as_str().unwrap());
    let fields = [("sec-websocket-protocol", offered.as_str())];
    let mut socket = Socket::try_open(&api.url, "/v1/ws", &fields).await.unwrap();
    let foreign = api.submit_job().await;
    let job = api.submit_as(&token).await;
    assert_ne!(foreign, job);
    assert_eq!(socket.next_state().await.unwrap()["data"]["subject"], job.to_string());
    api.stop().await;
}

async fn what_is_a_persons_is_seen_with_a_key_of_the_same_principal(stack: Stack) {
    let provider = Provider::start().await;
    let api = start(stack, &[("staff", &provider, json!({}))]).await;
    let job = api.submit_as(&provider.token("7", now(&api).await)).await;
    let key = api.make_key(&caller("acme", "staff.7"), &[Scope::Read]).await;
    assert_eq!(get(&api, &format!("/v1/jobs/{job}"), &key).await.status(), 200);
    assert_eq!(get(&api, &format!("/v1/jobs/{job}"), &api.key).await.status(), 404);
    api.stop().await;
}

async fn a_schedule_is_only_for_whoever_has_a_key_to_run_it_with(stack: Stack) {
    let provider = Provider::start().await;
    let api = start(stack, &[("staff", &provider, json!({}))]).await;
    let token = provider.token("7", now(&api).await);
    let make = async || {
        let asked = json!({"report": "numbers", "when": "every year on March 1 at 06:00", "zone": "UTC"});
        ask(&api, Method::POST, "/v1/schedules", &token).json(&asked).send().await.unwrap()
    };
    let (status, kind, said) = problem(make().await).await;
    assert_eq!((status, kind.as_str()), (403, "forbidden"));
    assert!(said["detail"].as_str().unwrap().contains("`waitless keys create"), "{said}");
    api.make_key(&caller("acme", "staff.7"), &[Scope::Read, Scope::Write]).await;
    assert_eq!(make().await.status(), 201);
    api.stop().await;
}

/// Keys are rotated, the provider goes bad and is silent: what is known stays good, what is new is known soon, and nobody is asked often.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_good_keys_stay_while_a_provider_is_bad_and_new_ones_are_found() {
    let provider = Provider::start().await;
    let api = start(Stack::Embedded, &[("staff", &provider, json!({}))]).await;
    let now = now(&api).await;
    let token = provider.token("7", now);
    assert_eq!(get(&api, "/v1/jobs", &token).await.status(), 200);
    let next = SigningKey::make("two");
    let anew = next.sign(&provider.claims("7", now));
    provider.made_up.answer("/keys", MadeUpAnswer::Endless(10 << 20));
    let asked = provider.made_up.asked("/keys");
    testing::eventually(SOON, "the bad keys to be fetched", async || {
        let (status, kind, _) = problem(get(&api, "/v1/jobs", &anew).await).await;
        assert_eq!((status, kind.as_str()), (401, "unauthorized"));
        provider.made_up.asked("/keys") > asked
    })
    .await;
    let unknown = provider.token("8", now);
    assert_eq!(
        get(&api, "/v1/jobs", &unknown).await.status(),
        200,
        "one that was never seen is checked with the last good keys"
    );
    provider.made_up.publish(&[&next]);
    testing::eventually(SOON, "the new key to be known", async || get(&api, "/v1/jobs", &anew).await.status() == 200)
        .await;
    let gone = get(&api, "/v1/jobs", &token).await;
    assert_eq!(problem(gone).await.0, 401, "a key that was withdrawn opens nothing, though the token was seen before");
    assert!(provider.made_up.asked("/keys") < asked + 6, "{}", provider.made_up.asked("/keys"));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_was_never_reached_makes_its_tokens_wait_and_nobody_elses() {
    let provider = Provider::start().await;
    provider.made_up.answer("/.well-known/openid-configuration", MadeUpAnswer::Refusal(500, json!({})));
    let api = start(Stack::Embedded, &[("staff", &provider, json!({"client_id": "console"}))]).await;
    let token = provider.token("7", now(&api).await);
    let (status, kind, _) = problem(get(&api, "/v1/jobs", &token).await).await;
    assert_eq!((status, kind.as_str()), (503, "unavailable"));
    assert_eq!(get(&api, "/v1/jobs", &api.key).await.status(), 200);
    assert_eq!(api.plain(Method::GET, "/readyz").send().await.unwrap().status(), 200);
    let led = api.plain(Method::GET, "/login/staff?next=/jobs").send().await.unwrap();
    assert_eq!(header(&led, "location").unwrap(), "../login?failed=unavailable&next=%2Fjobs");
    api.stop().await;
}

/// The end of a job that a person asked for by a provider's leave has the same events as any other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_its_token_does() {
    let provider = Provider::start().await;
    let api = start(Stack::Embedded, &[("staff", &provider, json!({}))]).await;
    let now = now(&api).await;
    let mut claims = provider.claims("7", now);
    claims["exp"] = (now + 3).into();
    let token = provider.key.sign(&claims);
    let job = id_of(
        &body(ask(&api, Method::POST, "/v1/jobs", &token).json(&json!({"report": "numbers"})).send().await.unwrap())
            .await,
    );
    let mut stream = Stream::open(ask(&api, Method::GET, &format!("/v1/jobs/{job}/events"), &token)).await;
    let began = std::time::Instant::now();
    while stream.next().await.is_some() {}
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    let (status, kind, _) = problem(get(&api, "/v1/jobs", &token).await).await;
    assert_eq!((status, kind.as_str()), (401, "token-expired"));
    api.stop().await;
}
