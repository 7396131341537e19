//! Signatures of webhooks, as Standard Webhooks 1.0 has them: <https://www.standardwebhooks.com>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What secrets begin with.
const PREFIX: &str = "whsec_";

/// Bytes that a key may have.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// The key that an endpoint checks signatures with. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// Reads `whsec_` and base64, which is how they are passed on.
    ///
    /// # Errors
    /// Says what a secret looks like, and nothing of the text.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let wrong = "is no secret of a webhook; write whsec_ and 24 to 64 random bytes in base64: echo whsec_$(openssl rand -base64 32)";
        let encoded = text.strip_prefix(PREFIX).ok_or(wrong)?;
        let key = STANDARD.decode(encoded).map_err(|_| wrong)?;
        if LENGTHS.contains(&key.len()) { Ok(Self(key)) } else { Err(wrong) }
    }

    /// Signs a body under the id and the time (seconds since 1970) that go out with it: `v1,` and base64.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        // A key of any length makes a MAC.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(id.as_bytes());
        mac.update(format!(".{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a module of its own, with what it uses.
    mod example {
        include!("webhook_example.rs");

        /// The same, for others to call.
        pub(super) fn check(
            body: &str,
            (id, time): (&str, &str),
            signatures: &str,
            secrets: &[&str],
            now: i64,
        ) -> bool {
            is_signed(body.as_bytes(), id, time, signatures, secrets, now)
        }
    }

    #[test]
    fn the_example_of_the_documentation_verifies_what_is_signed_here() {
        let shown = include_str!("../../../docs/WEBHOOKS.md").split("```rust\n").nth(1).unwrap().split("```").next();
        assert_eq!(shown, Some(include_str!("webhook_example.rs")));
        let secrets = ["whsec_c2VjcmV0cyBhcmUgcm90YXRlZCBub3cgYW5kIHRoZW4=", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
        let [next, old] = secrets.map(|secret| WebhookSecret::read(secret).unwrap().sign("id", 1_000, b"{}"));
        let both = format!("{next} {old}");
        for (body, id, time, signatures, known, now, is_good) in [
            ("{}", "id", "1000", &both, &secrets[..1], 1_200, true),
            ("{}", "id", "1000", &both, &secrets[1..], 1_200, true),
            ("{}", "id", "1000", &old, &secrets[..], 1_200, true),
            ("{}", "id", "1000", &old, &secrets[..1], 1_200, false),
            ("{ }", "id", "1000", &both, &secrets[..], 1_200, false),
            ("{}", "other", "1000", &both, &secrets[..], 1_200, false),
            ("{}", "id", "1001", &both, &secrets[..], 1_200, false),
            ("{}", "id", "1000", &both, &secrets[..], 1_301, false),
            ("{}", "id", "soon", &both, &secrets[..], 1_200, false),
        ] {
            assert_eq!(example::check(body, (id, time), signatures, known, now), is_good, "{body} {id} {time} {now}");
        }
    }

    #[test]
    fn a_signature_is_the_one_that_the_standard_gives_as_an_example() {
        let secret = WebhookSecret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{secret:?}"), "(hidden)");
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_shown() {
        let long = format!("whsec_{}", STANDARD.encode([7; 65]));
        for wrong in
            ["", "whsec_", "whsec_hunter2", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8=", &long]
        {
            let why = WebhookSecret::read(wrong).unwrap_err();
            assert!(why.contains("whsec_ and 24 to 64 random bytes"), "{wrong}: {why}");
        }
    }
}
