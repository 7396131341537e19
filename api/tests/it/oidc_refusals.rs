//! What is no token for this service, and keys that cannot be taken: refused within bounds, and told what to do.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey};
use model::finding::{FindingLevel, Findings};
use serde_json::{Value, json};
use testing::identity_provider::{MadeUpAnswer, SigningKey, assemble};

use crate::api::{Stack, header, problem};
use crate::oidc::{Provider, get, now, start};

/// Makes tokens that are good but for one thing.
struct Forger<'a> {
    provider: &'a Provider,
    good: Value,
    now: i64,
}

/// What is wrong, the token, the status of its answer, and words of it.
type BadToken = (&'static str, String, u16, &'static str);

impl Forger<'_> {
    fn key(&self) -> &SigningKey {
        &self.provider.key
    }

    fn with(&self, name: &str, value: impl Into<Value>) -> String {
        let mut claims = self.good.clone();
        claims[name] = value.into();
        self.key().sign(&claims)
    }

    fn without(&self, name: &str) -> String {
        let mut claims = self.good.clone();
        claims.as_object_mut().unwrap().remove(name);
        self.key().sign(&claims)
    }

    fn under(&self, header: impl Into<Value>) -> String {
        self.key().sign_under(&header.into(), &self.good)
    }

    fn symmetric(&self, secret: &[u8]) -> String {
        let secret = EncodingKey::from_secret(secret).unwrap();
        assemble(&json!({"alg": "HS256", "kid": "one"}), &self.good, |message| {
            jsonwebtoken::crypto::sign(message, &secret, Algorithm::HS256).unwrap()
        })
    }

    fn signatures(&self) -> Vec<BadToken> {
        let (by_algorithm, by_key) = ("signed by this algorithm", "signed by a key of its issuer");
        let none = assemble(&json!({"alg": "none"}), &self.good, |_| String::new());
        let published = self.key().published().to_string();
        let stranger = SigningKey::make("one").sign(&self.good);
        let whole = self.key().sign(&self.good);
        let (unsigned, signature) = whole.rsplit_once('.').unwrap();
        let reversed: String = signature.chars().rev().collect();
        let extended = json!({"alg": "ES256", "kid": "one", "crit": ["b64"]});
        vec![
            ("alg none", none, 401, by_algorithm),
            ("HS256 with the public key", self.symmetric(&self.key().point()), 401, by_algorithm),
            ("HS256 with what is published", self.symmetric(published.as_bytes()), 401, by_algorithm),
            ("one that is not configured", self.under(json!({"alg": "RS256", "kid": "one"})), 401, by_algorithm),
            ("one of another kind of key", self.under(json!({"alg": "EdDSA", "kid": "one"})), 401, by_key),
            ("an unknown kid", self.under(json!({"alg": "ES256", "kid": "two"})), 401, by_key),
            ("a stranger's key", stranger, 401, by_key),
            ("another signature", format!("{unsigned}.{reversed}"), 401, by_key),
            ("no signature", format!("{unsigned}."), 401, by_key),
            ("an extension that must be understood", self.under(extended), 401, "not a signed JWT"),
            (
                "a logout token",
                self.under(json!({"alg": "ES256", "kid": "one", "typ": "logout+jwt"})),
                401,
                "not an access token",
            ),
            ("two parts", unsigned.to_owned(), 401, "valid API key or token"),
            ("no JSON", "eyJ.eyJ.x".to_owned(), 401, "not a signed JWT"),
            ("100 kB", self.with("more", "x".repeat(75_000)), 401, "too long"),
        ]
    }

    fn claims(&self) -> Vec<BadToken> {
        let slashed = format!("{}/", self.provider.made_up.issuer());
        vec![
            ("expired by a second", self.with("exp", self.now - 1), 401, "has expired"),
            ("issued in the future", self.with("iat", self.now + 60), 401, "from the future"),
            ("good from later on", self.with("nbf", self.now + 60), 401, "from the future"),
            ("another audience", self.with("aud", "payroll"), 401, "made for another service"),
            ("other audiences", self.with("aud", json!(["payroll", "reports2"])), 401, "made for another service"),
            ("another issuer", self.with("iss", "https://evil.example"), 401, "issuer are not taken"),
            ("an issuer that begins alike", self.with("iss", slashed), 401, "issuer are not taken"),
            ("no iss", self.without("iss"), 401, "not a signed JWT"),
            ("no aud", self.without("aud"), 401, "`aud`"),
            ("no exp", self.without("exp"), 401, "`exp`"),
            ("no sub", self.without("sub"), 401, "`sub`"),
            ("no iat", self.without("iat"), 401, "`iat`"),
            ("an empty sub", self.with("sub", ""), 401, "`sub`"),
            ("a sub that is too long", self.with("sub", "7".repeat(100)), 403, "`sub` is too long"),
        ]
    }

    fn types(&self) -> Vec<BadToken> {
        let attribute = "claim `region` cannot be an attribute";
        vec![
            ("an audience", self.with("aud", 7), 401, ""),
            ("an issuer", self.with("iss", json!(["x"])), 401, "not a signed JWT"),
            ("a sub", self.with("sub", json!(["7"])), 401, "`sub`"),
            ("an exp", self.with("exp", "tomorrow"), 401, "`exp`"),
            ("an exp that is no time", self.with("exp", 1e300), 401, "`exp`"),
            ("an iat", self.with("iat", json!({})), 401, "`iat`"),
            ("an nbf", self.with("nbf", true), 401, "`nbf`"),
            ("an attribute", self.with("region", json!({"is": "EMEA"})), 403, attribute),
            ("an attribute that is too long", self.with("region", "x".repeat(501)), 403, attribute),
        ]
    }
}

/// A token as it should be, and one thing changed about it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_token_is_refused_and_told_what_to_do() {
    let provider = Provider::start().await;
    let section = json!({"attributes": ["region = region"], "algorithms": ["ES256", "EdDSA"]});
    let api = start(Stack::Embedded, &[("staff", &provider, section)]).await;
    let now = now(&api).await;
    let forger = Forger { provider: &provider, good: provider.claims("7", now), now };
    let fraction = f64::from(i32::try_from(now).unwrap()) + 9.5;
    for good in
        [provider.token("7", now), forger.with("aud", json!(["other", "reports"])), forger.with("exp", fraction)]
    {
        assert_eq!(get(&api, "/v1/jobs", &good).await.status(), 200);
    }
    for (what, token, status, says) in [forger.signatures(), forger.claims(), forger.types()].concat() {
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
    assert!(provider.made_up.asked("/keys") <= 4, "{}", provider.made_up.asked("/keys"));
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
