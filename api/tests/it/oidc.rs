//! Access tokens of identity providers: what is good opens this service as whom it names, and nothing else does.

use std::time::Duration;

use configuration::Issuer;
use jsonwebtoken::{Algorithm, EncodingKey};
use model::finding::{FindingLevel, Findings};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use store::Scope;
use testing::identity_provider::{MadeUpAnswer, MadeUpProvider, SigningKey, assemble};

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

async fn start(stack: Stack, providers: &[(&str, &Provider, Value)]) -> Api {
    Api::start_with(stack, |config| {
        for (name, provider, more) in providers {
            config.oidc.insert((*name).to_owned(), provider.section(more));
        }
    })
    .await
}

async fn now(api: &Api) -> i64 {
    api.backends.store.now().await.unwrap().timestamp()
}

fn ask(api: &Api, method: Method, path: &str, token: &str) -> RequestBuilder {
    api.plain(method, path).bearer_auth(token)
}

async fn get(api: &Api, path: &str, token: &str) -> Response {
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

/// A token as it should be, and one thing changed about it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_token_is_refused_and_told_what_to_do() {
    let provider = Provider::start().await;
    let stranger = SigningKey::make("one");
    let section = json!({"attributes": ["region = region"], "algorithms": ["ES256", "EdDSA"]});
    let api = start(Stack::Embedded, &[("staff", &provider, section)]).await;
    let now = now(&api).await;
    let (key, good) = (&provider.key, provider.claims("7", now));
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        key.sign(&claims)
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        key.sign(&claims)
    };
    let under = |header: Value| key.sign_under(&header, &good);
    let symmetric = |secret: &[u8]| {
        let secret = EncodingKey::from_secret(secret).unwrap();
        assemble(&json!({"alg": "HS256", "kid": "one"}), &good, |message| {
            jsonwebtoken::crypto::sign(message, &secret, Algorithm::HS256).unwrap()
        })
    };
    let whole = key.sign(&good);
    assert_eq!(get(&api, "/v1/jobs", &whole).await.status(), 200);
    assert_eq!(get(&api, "/v1/jobs", &with("aud", json!(["other", "reports"]))).await.status(), 200);
    assert_eq!(
        get(&api, "/v1/jobs", &with("exp", json!(f64::from(i32::try_from(now).unwrap()) + 9.5))).await.status(),
        200
    );
    let (body_and_head, signature) = whole.rsplit_once('.').unwrap();
    let none = assemble(&json!({"alg": "none"}), &good, |_| String::new());
    for (what, token, status, says) in [
        ("alg none", none, 401, "signed by this algorithm"),
        ("HS256 with the public key", symmetric(&key.point()), 401, "signed by this algorithm"),
        (
            "HS256 with what is published",
            symmetric(key.published().to_string().as_bytes()),
            401,
            "signed by this algorithm",
        ),
        (
            "an algorithm that is not configured",
            under(json!({"alg": "RS256", "kid": "one"})),
            401,
            "signed by this algorithm",
        ),
        (
            "an algorithm of another kind of key",
            under(json!({"alg": "EdDSA", "kid": "one"})),
            401,
            "signed by a key of its issuer",
        ),
        ("an unknown kid", under(json!({"alg": "ES256", "kid": "two"})), 401, "signed by a key of its issuer"),
        ("a stranger's key", stranger.sign(&good), 401, "signed by a key of its issuer"),
        (
            "another signature",
            format!("{body_and_head}.{}", signature.chars().rev().collect::<String>()),
            401,
            "signed by a key",
        ),
        ("no signature", format!("{body_and_head}."), 401, "key of its issuer"),
        (
            "an extension that must be understood",
            under(json!({"alg": "ES256", "kid": "one", "crit": ["b64"]})),
            401,
            "not a signed JWT",
        ),
        (
            "a logout token",
            under(json!({"alg": "ES256", "kid": "one", "typ": "logout+jwt"})),
            401,
            "not an access token",
        ),
        ("expired by a second", with("exp", json!(now - 1)), 401, "has expired"),
        ("issued in the future", with("iat", json!(now + 60)), 401, "from the future"),
        ("good from later on", with("nbf", json!(now + 60)), 401, "from the future"),
        ("another audience", with("aud", json!("payroll")), 401, "made for another service"),
        ("other audiences", with("aud", json!(["payroll", "reports2"])), 401, "made for another service"),
        ("an audience of another type", with("aud", json!(7)), 401, ""),
        ("another issuer", with("iss", json!("https://evil.example")), 401, "issuer are not taken"),
        (
            "an issuer that begins alike",
            with("iss", json!(format!("{}/", provider.made_up.issuer()))),
            401,
            "not taken",
        ),
        ("an issuer of another type", with("iss", json!(["x"])), 401, "not a signed JWT"),
        ("no iss", without("iss"), 401, "not a signed JWT"),
        ("no aud", without("aud"), 401, "`aud`"),
        ("no exp", without("exp"), 401, "`exp`"),
        ("no sub", without("sub"), 401, "`sub`"),
        ("no iat", without("iat"), 401, "`iat`"),
        ("an empty sub", with("sub", json!("")), 401, "`sub`"),
        ("a sub of another type", with("sub", json!(["7"])), 401, "`sub`"),
        ("an exp of another type", with("exp", json!("tomorrow")), 401, "`exp`"),
        ("an exp that is no time", with("exp", json!(1e300)), 401, "`exp`"),
        ("an iat of another type", with("iat", json!({})), 401, "`iat`"),
        ("an nbf of another type", with("nbf", json!(true)), 401, "`nbf`"),
        (
            "an attribute of another type",
            with("region", json!({"is": "EMEA"})),
            403,
            "claim `region` cannot be an attribute",
        ),
        (
            "an attribute that is too long",
            with("region", json!("x".repeat(501))),
            403,
            "claim `region` cannot be an attribute",
        ),
        ("a sub that is too long", with("sub", json!("7".repeat(100))), 403, "`sub` is too long"),
        ("100 kB", with("more", json!("x".repeat(75_000))), 401, "too long"),
        ("no JSON", "eyJ.eyJ.x".to_owned(), 401, "not a signed JWT"),
        ("two parts", body_and_head.to_owned(), 401, "valid API key or token"),
    ] {
        let answer = get(&api, "/v1/jobs", &token).await;
        if status == 401 {
            assert!(header(&answer, "www-authenticate").is_some(), "{what}");
        }
        let (is, _, said) = problem(answer).await;
        let detail = said["detail"].as_str().unwrap();
        assert!(is == status && detail.contains(says), "{what}: {is} {detail}");
        assert!(!detail.contains("acme") && !detail.contains("127.0.0.1"), "{what}: {detail}");
    }
    // Nobody makes the provider be asked all the time.
    assert!(provider.made_up.asked("/keys") <= 3, "{}", provider.made_up.asked("/keys"));
    api.stop().await;
}

/// What a provider may do instead of publishing a few keys, and what the doctor and the log say of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_cannot_be_taken_are_refused_within_bounds() {
    let provider = Provider::start().await;
    let elsewhere = Provider::start().await;
    let many: Vec<Value> = (0..10_000).map(|_| provider.key.published()).collect();
    let redirect = MadeUpAnswer::Redirect(format!("{}/keys", elsewhere.made_up.issuer()));
    let small: Vec<Value> = (0..101).map(|_| provider.key.published()).collect();
    let settings = provider.section(&json!({}));
    for (what, answer, says) in [
        ("10 MB", MadeUpAnswer::Endless(10 << 20), "larger than 256 KiB"),
        ("10,000 keys", MadeUpAnswer::Json(json!({ "keys": many })), "larger than 256 KiB"),
        ("101 keys", MadeUpAnswer::Json(json!({ "keys": small })), "101 keys, and at most 100"),
        ("a redirect", redirect, "redirects are not followed"),
        ("an error", MadeUpAnswer::Refusal(503, json!({"error": "tired"})), "503 Service Unavailable tired"),
        ("no keys", MadeUpAnswer::Json(json!({"keys": []})), "no key that signs tokens"),
        ("something else", MadeUpAnswer::Json(json!(["keys"])), "not what it should be"),
        ("silence", MadeUpAnswer::Silence, "does not answer"),
    ] {
        provider.made_up.answer("/keys", answer);
        let began = std::time::Instant::now();
        let mut findings = Findings::default();
        api::auth::oidc::diagnose(&settings, &mut findings).await;
        let found = findings.into_vec();
        assert_eq!((found.len(), found[0].level), (1, FindingLevel::Fail), "{what}: {found:?}");
        assert!(found[0].what.contains(says) && found[0].advice.is_some(), "{what}: {found:?}");
        assert!(began.elapsed() < Duration::from_secs(8), "{what} takes {:?}", began.elapsed());
    }
    assert_eq!(elsewhere.made_up.asked("/keys"), 0);
    provider.made_up.publish(&[&provider.key]);
    let place = "/.well-known/openid-configuration";
    let others_name =
        json!({"issuer": "https://evil.example", "jwks_uri": format!("{}/keys", provider.made_up.issuer())});
    let plain_http = json!({"issuer": provider.made_up.issuer(), "jwks_uri": "http://keys.example/keys"});
    for (answer, says) in [(others_name, "the same to the letter"), (plain_http, "is not an https:// address")] {
        provider.made_up.answer(place, MadeUpAnswer::Json(answer));
        let mut findings = Findings::default();
        api::auth::oidc::diagnose(&settings, &mut findings).await;
        let found = findings.into_vec();
        assert!(found[0].what.contains(says), "{found:?}");
    }
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
