//! Keys that sign tokens of tests.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A key pair on P-256.
#[derive(Debug)]
pub struct SigningKey {
    kid: String,
    pair: EcdsaKeyPair,
}

impl SigningKey {
    /// Makes a new one of this name.
    ///
    /// # Panics
    /// When there is no randomness.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub fn make(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("there is randomness");
        Self { kid: kid.to_owned(), pair }
    }

    /// Returns what is published of it.
    #[must_use]
    pub fn published(&self) -> Value {
        let point = self.point();
        // 04, and both coordinates.
        let (x, y) = point.split_at(1).1.split_at(32);
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
    }

    /// Returns the public half, as everybody can have it.
    #[must_use]
    pub fn point(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().to_vec()
    }

    /// Signs claims under the usual header.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_under(&json!({"alg": "ES256", "typ": "at+jwt", "kid": self.kid}), claims)
    }

    /// Signs claims under any header.
    ///
    /// # Panics
    /// When it cannot sign.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub fn sign_under(&self, header: &Value, claims: &Value) -> String {
        assemble(header, claims, |message| {
            let signature = self.pair.sign(&SystemRandom::new(), message).expect("the key signs");
            URL_SAFE_NO_PAD.encode(signature)
        })
    }
}

/// Puts a token together; `sign` returns the last part for the first two.
#[must_use]
pub fn assemble(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> String) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = sign(message.as_bytes());
    format!("{message}.{signature}")
}
