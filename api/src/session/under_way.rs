//! A sign-in that is under way at an identity provider: what the browser keeps of it meanwhile, sealed.
//!
//! The provider is told two words that nobody can guess, and is shown a third one when its code is turned into tokens. They are derived
//! from the one that travels (`state`), so that the browser holds nothing that would help whoever reads its cookies, and any gateway
//! can finish what another one began.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use model::access::make_once_token;
use model::sign_in::{open_sign_in, seal_sign_in, sign_in_word};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// People look for their second factor.
pub(super) const TTL_SECONDS: i64 = 15 * 60;

/// A sign-in under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnderWay {
    /// The provider, by its section in the configuration.
    pub(super) issuer: String,
    /// Comes back with the code.
    pub(super) state: String,
    /// Where the provider was told to send the browser back to.
    pub(super) redirect_uri: String,
    /// Where they wanted to go: a path of this service, without the slash that it begins with.
    pub(super) next: String,
    /// The session that the browser had before, which ends.
    pub(super) before: Option<Uuid>,
    /// Unix time in seconds.
    until: i64,
}

impl UnderWay {
    /// Begins one.
    pub(super) fn begin(issuer: &str, redirect_uri: String, next: &str, before: Option<Uuid>) -> Self {
        Self {
            issuer: issuer.to_owned(),
            state: make_once_token(),
            redirect_uri,
            next: clean(next),
            before,
            until: Utc::now().timestamp() + TTL_SECONDS,
        }
    }

    /// Writes it for the browser.
    pub(super) fn write(&self, secret: &str) -> String {
        // Made of strings and a number, so that writing it cannot fail.
        seal_sign_in(secret, serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads it back, with the secret that it was written under: its words are derived from that. `None`: it is not one of ours, of
    /// another provider or state, or too old.
    pub(super) fn read<'s>(
        secrets: impl IntoIterator<Item = &'s str>,
        text: &str,
        issuer: &str,
        state: &str,
    ) -> Option<(Self, &'s str)> {
        let (body, secret) = secrets.into_iter().find_map(|secret| Some((open_sign_in(secret, text)?, secret)))?;
        let read: Self = serde_json::from_slice(&body).ok()?;
        let good = read.issuer == issuer && read.state == state && read.until > Utc::now().timestamp();
        good.then_some((read, secret))
    }

    /// Returns what the id token must repeat.
    pub(super) fn nonce(&self, secret: &str) -> String {
        sign_in_word(secret, "nonce", &self.state)
    }

    /// Returns what shows that who fetches the tokens is who sent the browser.
    pub(super) fn verifier(&self, secret: &str) -> String {
        sign_in_word(secret, "code verifier", &self.state)
    }

    /// Returns what the provider is told of the verifier.
    pub(super) fn challenge(&self, secret: &str) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier(secret)))
    }
}

/// Keeps a place to go to within this service. Whatever else it is, it is the first page.
fn clean(next: &str) -> String {
    let path = next.strip_prefix('/').unwrap_or_default();
    let good = path.len() <= 500
        && !path.starts_with(['/', '\\'])
        && path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>'));
    if good { path.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_is_finished_by_whom_it_was_begun_for_and_by_nobody_else() {
        let begun =
            UnderWay::begin("staff", "https://r.example/login/staff/callback".to_owned(), "/jobs?state=done", None);
        let text = begun.write("secret");
        assert_eq!(begun.next, "jobs?state=done");
        let found = UnderWay::read(["new", "secret"], &text, "staff", &begun.state);
        assert_eq!(found, Some((begun.clone(), "secret")));
        for (secret, issuer, state) in
            [("other", "staff", &*begun.state), ("secret", "partners", &begun.state), ("secret", "staff", "other")]
        {
            assert_eq!(UnderWay::read([secret], &text, issuer, state), None);
        }
        let old = UnderWay { until: Utc::now().timestamp(), ..begun.clone() }.write("secret");
        assert_eq!(UnderWay::read(["secret"], &old, "staff", &begun.state), None);
        let words = [begun.nonce("secret"), begun.verifier("secret"), begun.challenge("secret"), begun.state];
        for (place, word) in words.iter().enumerate() {
            assert_eq!(word.len(), 43);
            assert!(!words[..place].contains(word) && (place == 3 || !text.contains(word.as_str())));
        }
    }

    #[test]
    fn nobody_is_led_away_from_here() {
        for (next, kept) in [
            ("/", ""),
            ("/jobs/7", "jobs/7"),
            ("//evil.example/", ""),
            ("/\\evil.example/", ""),
            ("https://evil.example/", ""),
            ("/a b", ""),
            ("/a\r\nb: c", ""),
        ] {
            assert_eq!(clean(next), kept, "{next}");
        }
    }
}
