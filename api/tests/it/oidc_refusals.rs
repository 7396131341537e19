//! What is no token for this service, and keys that cannot be taken: refused within bounds, and told what to do.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey};
use model::finding::{FindingLevel, Findings};
use serde_json::{Value, json};
use testing::identity_provider::{MadeUpAnswer, SigningKey, assemble};

use crate::api::{Stack, header, problem};
use crate::oidc::{Provider, get, now, start};

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
