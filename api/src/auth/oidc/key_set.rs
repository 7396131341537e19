//! The keys that a provider publishes.

use anyhow::ensure;
use configuration::SignatureAlgorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;

/// A provider has two or three, some have one for each of many clients.
const MAX_KEYS: usize = 100;

/// RSA keys in bytes: shorter ones are weak, longer ones cost whoever checks.
const RSA_SIZES: std::ops::RangeInclusive<usize> = 256..=1024;

/// As it is published.
#[derive(Debug, Deserialize)]
pub(super) struct PublishedKeys {
    keys: Vec<Value>,
}

/// What can be checked with.
#[derive(Debug, Clone)]
pub(super) struct KeySet {
    keys: Vec<VerifyingKey>,
}

#[derive(Debug, Clone)]
struct VerifyingKey {
    jwk: Jwk,
    algorithms: Vec<SignatureAlgorithm>,
    key: DecodingKey,
}

impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        self.keys.iter().map(|key| &key.jwk).eq(other.keys.iter().map(|key| &key.jwk))
    }
}

impl KeySet {
    /// Takes the keys that can sign tokens; others are left out.
    ///
    /// # Errors
    /// When there are none, or too many.
    pub(super) fn new(published: PublishedKeys) -> anyhow::Result<Self> {
        let all = published.keys.len();
        ensure!(all <= MAX_KEYS, "it publishes {all} keys, and at most {MAX_KEYS} are taken");
        let keys: Vec<VerifyingKey> = published.keys.into_iter().filter_map(VerifyingKey::read).collect();
        ensure!(!keys.is_empty(), "it publishes no key that signs tokens");
        Ok(Self { keys })
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Finds those that may have signed a token. One that names no key can only be meant for a single one.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: SignatureAlgorithm) -> Vec<&DecodingKey> {
        let good = self.keys.iter().filter(|key| key.algorithms.contains(&algorithm));
        let found: Vec<_> = match kid {
            Some(_) => good.filter(|key| key.jwk.common.key_id.as_deref() == kid).collect(),
            None => good.collect(),
        };
        if kid.is_none() && found.len() != 1 {
            return Vec::new();
        }
        found.into_iter().map(|key| &key.key).collect()
    }
}

impl VerifyingKey {
    fn read(published: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(published).ok()?;
        let algorithms = algorithms(&jwk)?;
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { jwk, algorithms, key })
    }
}

/// Lists what a key may sign by, as its kind and its provider say. `None`: it signs no tokens.
fn algorithms(jwk: &Jwk) -> Option<Vec<SignatureAlgorithm>> {
    use SignatureAlgorithm::{ES256, ES384, EdDsa, PS256, PS384, PS512, RS256, RS384, RS512};
    let common = &jwk.common;
    let signs = common.public_key_use.as_ref().is_none_or(|said| *said == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|said| said.contains(&KeyOperations::Verify));
    let by_kind: &[SignatureAlgorithm] = match &jwk.algorithm {
        // Four characters are three bytes.
        AlgorithmParameters::RSA(key) if RSA_SIZES.contains(&(key.n.trim_end_matches('=').len() * 3 / 4)) => {
            &[RS256, RS384, RS512, PS256, PS384, PS512]
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => &[ES256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => &[ES384],
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[EdDsa],
        _ => return None,
    };
    let said = common.key_algorithm.map(|algorithm| algorithm.to_string());
    let is_said = |algorithm: SignatureAlgorithm| said.as_deref().is_none_or(|said| said.parse() == Ok(algorithm));
    let good: Vec<_> = by_kind.iter().copied().filter(|algorithm| is_said(*algorithm)).collect();
    (signs && !good.is_empty()).then_some(good)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

    fn set(keys: &Value) -> anyhow::Result<KeySet> {
        KeySet::new(serde_json::from_value(json!({ "keys": keys })).unwrap())
    }

    #[test]
    fn only_keys_that_sign_tokens_are_taken() {
        use SignatureAlgorithm::{ES256, RS256};
        let good = json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "a", "use": "sig", "alg": "ES256"});
        let keys = set(&json!([
            good,
            {"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "encrypts", "use": "enc"},
            {"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "other", "alg": "ES384"},
            {"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "wraps", "key_ops": ["wrapKey"]},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "short"},
            {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric"},
            {"kty": "AKP", "kid": "of tomorrow"},
            "no key at all",
        ]))
        .unwrap();
        assert_eq!((keys.len(), keys.find(Some("a"), ES256).len()), (1, 1));
        assert!(keys.find(Some("a"), RS256).is_empty() && keys.find(Some("b"), ES256).is_empty());
        assert_eq!(keys.find(None, ES256).len(), 1, "there is but one that may be meant");
        let twice = set(&json!([good, {"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "b"}])).unwrap();
        assert!(twice.find(None, ES256).is_empty());
        assert_eq!(twice.find(Some("b"), ES256).len(), 1);
        let none = set(&json!([{"kty": "oct", "k": "c2VjcmV0"}])).unwrap_err();
        assert_eq!(none.to_string(), "it publishes no key that signs tokens");
        let many = set(&vec![good; 101].into()).unwrap_err();
        assert_eq!(many.to_string(), "it publishes 101 keys, and at most 100 are taken");
    }
}
