//! The part of the contract about tokens: a backend has them minted for the people it knows, and nothing is kept of them but the means
//! to end them.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use model::access::{hash_run, hash_token, open_token, seal_token};
use model::attributes::Attributes;
use model::job::{Caller, Params};
use model::scope::Scope;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Result;

/// What every token begins with.
pub const TOKEN_PREFIX: &str = "wt_";

/// Longest token, in characters: what fits into a header field wherever one is sent.
pub const MAX_TOKEN: usize = 6_000;

/// What a backend lets a browser do for a while, in the name of one principal. It is signed and not sealed: its holder can read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// Names it, to revoke it by.
    pub id: Uuid,
    /// SHA-256 of the API key that minted it. It ends with that key, and may never do more.
    #[serde(with = "hash_text")]
    pub key_hash: [u8; 32],
    /// Whose data it opens, and as whom.
    #[serde(flatten)]
    pub caller: Caller,
    /// What it may do: `read`, `write`.
    pub scopes: Vec<Scope>,
    /// Database time.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub minted_at: DateTime<Utc>,
    /// When it stops working, in database time.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub until: DateTime<Utc>,
    /// What it is bound to.
    #[serde(alias = "bounds_with_attributes")]
    pub bounds: TokenBounds,
}

/// What [`AccessToken::bounds`] is called in a token that holds attributes.
const BOUNDS_WITH_ATTRIBUTES: &str = "bounds_with_attributes";

/// What a token is bound to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenBounds {
    /// The reports it may run and see jobs of; every one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports: Option<Vec<String>>,
    /// Parameters that are fixed, as they were given.
    #[serde(default, skip_serializing_if = "Params::is_empty")]
    pub params: Params,
    /// The addresses that may be told, in the form of `mail.allow`; nobody when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// Jobs its principal may have under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unfinished: Option<u32>,
    /// What is known of its principal.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

impl TokenBounds {
    /// Names what may be seen with it: the same for all that have the same reports, parameters and attributes.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut reports: Vec<&str> = self.reports.iter().flatten().map(String::as_str).collect();
        reports.sort_unstable();
        let all = if self.reports.is_none() { "all" } else { "named" };
        let mut values = self.params.clone();
        values.extend(self.attributes.among_params());
        URL_SAFE_NO_PAD.encode(&hash_run(std::iter::once(all).chain(reports), &values)[..12])
    }
}

impl AccessToken {
    /// Writes it, signed: nobody can make one without the secret.
    #[must_use]
    pub fn write(&self, secret: &str) -> String {
        // Made of strings, numbers and lists, so that writing it cannot fail.
        let mut body = serde_json::to_value(self).unwrap_or_default();
        // A version that knows no attributes must not let anybody in without them: it does not find the bounds.
        if !self.bounds.attributes.is_empty()
            && let Some(fields) = body.as_object_mut()
            && let Some(bounds) = fields.remove("bounds")
        {
            fields.insert(BOUNDS_WITH_ATTRIBUTES.to_owned(), bounds);
        }
        let body = body.to_string().into_bytes();
        format!("{TOKEN_PREFIX}{}", seal_token(secret, body))
    }

    /// Reads back what [`AccessToken::write`] made. `None` when it was altered, signed with none of these secrets, or is not shaped like one;
    /// whether it is over is for the caller to see.
    #[must_use]
    pub fn read<'s>(secrets: impl IntoIterator<Item = &'s str>, text: &str) -> Option<Self> {
        if text.len() > MAX_TOKEN {
            return None;
        }
        serde_json::from_slice(&open_token(secrets, text.strip_prefix(TOKEN_PREFIX)?)?).ok()
    }
}

mod hash_text {
    use base64::Engine as _;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::URL_SAFE_NO_PAD;

    pub(super) fn serialize<S: Serializer>(hash: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&URL_SAFE_NO_PAD.encode(hash))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(D::Error::custom)?;
        bytes.try_into().map_err(|_| D::Error::custom("a hash has 32 bytes"))
    }
}

/// A token, to ask whether it was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenLookup {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub caller: Caller,
    /// When it was minted: what was revoked of its principal before has no say.
    pub minted_at: DateTime<Utc>,
}

/// Which tokens are to work no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenRevocation {
    /// One of this tenant, whether it was ever minted or not.
    One {
        /// The tenant.
        tenant: String,
        /// The token.
        id: Uuid,
    },
    /// All that this principal was given until now.
    AllOf(Caller),
    /// All that a principal was given until now who is erased: their name is kept nowhere.
    Erased(Caller),
}

impl TokenRevocation {
    /// Returns the tenant, and what the row is about, as both stores keep it.
    #[must_use]
    pub fn subject(&self) -> (&str, String) {
        match self {
            Self::One { tenant, id } => (tenant, token_subject(*id)),
            Self::AllOf(caller) => (&caller.tenant, principal_subject(&caller.principal)),
            Self::Erased(caller) => (&caller.tenant, erased_subject(caller)),
        }
    }
}

/// Returns what a row about one token is called.
#[must_use]
pub fn token_subject(id: Uuid) -> String {
    format!("token:{id}")
}

/// Returns what a row about all tokens of a principal is called.
#[must_use]
pub fn principal_subject(principal: &str) -> String {
    format!("principal:{principal}")
}

/// Returns what a row about all tokens of a principal who is erased is called: nothing that says who that was.
#[must_use]
pub fn erased_subject(caller: &Caller) -> String {
    let hash = hash_token(&format!("waitless erased v1\n{}\n{}", caller.tenant, caller.principal));
    format!("erased:{}", URL_SAFE_NO_PAD.encode(hash))
}

/// Somebody whom an identity provider lets in, and who may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownOwner {
    /// The provider, by its section in the configuration.
    pub issuer: String,
    /// How long ago the newest was issued of what they were let in with.
    pub let_in_ago: Duration,
}

/// The ends of tokens, and those who have nothing else.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Revokes tokens for good. How they stand is told by [`look_up_access`](super::SessionStore::look_up_access).
    async fn revoke_tokens(&self, which: TokenRevocation) -> Result<()>;
    /// Forgets revocations older than `age`: longer than any token is good. Returns how many.
    async fn forget_revoked_tokens(&self, age: Duration) -> Result<u64>;
    /// Remembers that an identity provider let somebody in who may write, with what was issued at `let_in_at`. What was issued before
    /// what is known changes nothing.
    async fn remember_owner(&self, owner: Caller, issuer: String, let_in_at: DateTime<Utc>) -> Result<()>;
    /// Says which provider let somebody in, and when; nothing when all that they were given until then was revoked.
    async fn known_owner(&self, owner: &Caller) -> Result<Option<KnownOwner>>;
    /// Forgets who was not let in for `age`. Returns how many.
    async fn forget_owners(&self, age: Duration) -> Result<u64>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> AccessToken {
        AccessToken {
            id: Uuid::now_v7(),
            key_hash: [7; 32],
            caller: Caller { tenant: "acme".into(), principal: "customer-7".into() },
            scopes: vec![Scope::Read, Scope::Write],
            minted_at: DateTime::from_timestamp_micros(1_900_000_000_000_001).unwrap(),
            until: DateTime::from_timestamp_micros(1_900_000_900_000_001).unwrap(),
            bounds: TokenBounds {
                reports: Some(vec!["orders".into()]),
                params: Params::from_iter([("customer".to_owned(), 7.into())]),
                recipients: vec!["@acme.example".into()],
                max_unfinished: Some(3),
                attributes: Attributes::default(),
            },
        }
    }

    #[test]
    fn a_version_that_knows_no_attributes_takes_no_token_that_has_some() {
        let plain = serde_json::to_value(token()).unwrap();
        assert!(plain.get("bounds").is_some(), "one without is read by every version");
        let mut known = token();
        known.bounds.attributes = Attributes::new([("region".to_owned(), "EU".into())]).unwrap();
        let text = known.write("secret");
        let body = open_token(["secret"], text.strip_prefix(TOKEN_PREFIX).unwrap()).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(body.get("bounds").is_none() && body.get(BOUNDS_WITH_ATTRIBUTES).is_some());
        assert_ne!(known.bounds.fingerprint(), token().bounds.fingerprint());
    }

    #[test]
    fn a_token_comes_back_whole_and_an_altered_one_not_at_all() {
        let free = AccessToken { bounds: TokenBounds::default(), ..token() };
        let mut known = token();
        known.bounds.attributes = Attributes::new([("region".to_owned(), "EU".into())]).unwrap();
        for token in [token(), free, known] {
            let text = token.write("secret");
            assert_eq!(AccessToken::read(["secret"], &text), Some(token));
            assert_eq!(AccessToken::read(["other"], &text), None);
            for index in 0..text.len() {
                let mut altered = text.clone().into_bytes();
                altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
                assert_eq!(AccessToken::read(["secret"], &String::from_utf8(altered).unwrap()), None);
            }
            for none in ["", "wt_", "wt_A", &text[..60], &format!("{text}AAAA"), &text[3..]] {
                assert_eq!(AccessToken::read(["secret"], none), None, "{none}");
            }
        }
        assert_eq!(AccessToken::read(["secret"], &format!("wt_{}", "A".repeat(100_000))), None);
    }
}
