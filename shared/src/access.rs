//! What opens doors: API keys and link tokens. Both are kept as hashes only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Returns the SHA-256 of a key or token, as the store keeps it.
#[must_use]
pub fn hash_token(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Makes a new API key of 256 random bits: `wl_` and 43 characters.
#[must_use]
pub fn make_api_key() -> String {
    let bytes: [u8; 32] = rand::random();
    format!("wl_{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Returns the part of an API key that may be shown.
#[must_use]
pub fn key_prefix(key: &str) -> String {
    key.chars().take(10).collect()
}

/// Derives the token of a link: 43 characters that nobody can guess without the secret.
///
/// Derived and not drawn, so that the gateway can show a link again and a mail that is sent again carries the same link,
/// while the database holds only its hash.
#[must_use]
pub fn link_token(secret: &str, link_id: Uuid) -> String {
    // HMAC takes keys of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(b"waitless link v1");
    mac.update(link_id.as_bytes());
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}
