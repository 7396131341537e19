//! What signing in at an identity provider needs of the secret: what the provider said is sealed as sessions are, each for a purpose of
//! its own, and so is a sign-in that is under way.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::access::{open, seal};

const ISSUED: &[u8] = b"waitless issued access v1";
const SIGN_IN: &[u8] = b"waitless sign-in v1";

/// Signs what an identity provider's token says, for a cookie or a ticket.
#[must_use]
pub fn seal_issued(secret: &str, body: Vec<u8>) -> String {
    seal(secret, ISSUED, body)
}

/// Reads back what [`seal_issued`] signed, as [`open_session`](crate::access::open_session) does.
#[must_use]
pub fn open_issued<'s>(secrets: impl IntoIterator<Item = &'s str>, text: &str) -> Option<Vec<u8>> {
    open(secrets, ISSUED, text)
}

/// Signs what is known of a sign-in that is under way at an identity provider.
#[must_use]
pub fn seal_sign_in(secret: &str, body: Vec<u8>) -> String {
    seal(secret, SIGN_IN, body)
}

/// Reads back what [`seal_sign_in`] signed, as [`open_session`](crate::access::open_session) does.
#[must_use]
pub fn open_sign_in(secret: &str, text: &str) -> Option<Vec<u8>> {
    open([secret], SIGN_IN, text)
}

/// Derives a word that belongs to a sign-in and cannot be guessed: 43 characters, another one for each `purpose`.
#[must_use]
pub fn sign_in_word(secret: &str, purpose: &str, state: &str) -> String {
    // HMAC takes keys of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(b"waitless sign-in word v1");
    mac.update(&(purpose.len() as u64).to_be_bytes());
    mac.update(purpose.as_bytes());
    mac.update(state.as_bytes());
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{open_session, open_ticket, open_token};

    #[test]
    fn what_is_sealed_for_one_purpose_opens_for_no_other() {
        let issued = seal_issued("secret", b"body".to_vec());
        let sign_in = seal_sign_in("secret", b"body".to_vec());
        assert_eq!(open_issued(["secret"], &issued), Some(b"body".to_vec()));
        assert_eq!(open_sign_in("secret", &sign_in), Some(b"body".to_vec()));
        assert_eq!((open_issued(["secret"], &sign_in), open_sign_in("secret", &issued)), (None, None));
        assert_eq!((open_issued(["other"], &issued), open_sign_in("other", &sign_in)), (None, None));
        for sealed in [&issued, &sign_in] {
            assert_eq!((open_session(["secret"], sealed), open_ticket(["secret"], sealed)), (None, None));
            assert_eq!(open_token(["secret"], sealed), None);
        }
        let words = [sign_in_word("secret", "nonce", "a"), sign_in_word("secret", "nonce", "b")];
        assert_ne!(words[0], words[1]);
        assert_ne!(words[0], sign_in_word("secret", "code verifier", "a"));
        assert_ne!(words[0], sign_in_word("other", "nonce", "a"));
    }
}
