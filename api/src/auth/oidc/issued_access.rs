//! What somebody may do by a provider's leave: as a token says it, or as it was said when they signed in.

use chrono::{DateTime, Utc};
use model::attributes::Attributes;
use model::job::Caller;
use model::sign_in::{open_issued, seal_issued};
use serde::{Deserialize, Serialize};
use store::{Scope, TokenLookup};
use uuid::Uuid;

/// What every text of one begins with.
const PREFIX: &str = "wi_";

/// Access that a provider's token gives, read by the mapping of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedAccess {
    /// Names the token, by its hash, or the session.
    pub id: Uuid,
    /// Whether it is the session of a browser, and not a token.
    pub session: bool,
    /// The provider, by its section in the configuration.
    pub issuer: String,
    /// Of the provider's section: a session ends when the mapping is another one.
    pub mark: String,
    /// Whose data it opens, and as whom.
    #[serde(flatten)]
    pub caller: Caller,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Names of roles in the configuration.
    pub roles: Vec<String>,
    /// For queries.
    pub attributes: Attributes,
    /// When it was given, at the earliest that clocks allow: what was ended after that, it opens no more.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub issued_at: DateTime<Utc>,
    /// From when on it works, in database time.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub not_before: DateTime<Utc>,
    /// When it stops working, in database time.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub until: DateTime<Utc>,
}

impl IssuedAccess {
    /// Asks whether it was ended before its time.
    #[must_use]
    pub fn lookup(&self) -> TokenLookup {
        TokenLookup { id: self.id, caller: self.caller.clone(), minted_at: self.issued_at }
    }

    /// Writes it for a cookie or a ticket: nobody can make one without the secret.
    #[must_use]
    pub fn write(&self, secret: &str) -> String {
        // Made of strings, numbers and lists, so that writing it cannot fail.
        format!("{PREFIX}{}", seal_issued(secret, serde_json::to_vec(self).unwrap_or_default()))
    }

    /// Reads back what [`IssuedAccess::write`] made. `None` when it was altered or is something else.
    #[must_use]
    pub fn read<'s>(secrets: impl IntoIterator<Item = &'s str>, text: &str) -> Option<Self> {
        serde_json::from_slice(&open_issued(secrets, text.strip_prefix(PREFIX)?)?).ok()
    }
}
