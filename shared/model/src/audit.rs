//! The audit log: who did what, on what, from where, and how it ended.
//!
//! Each tenant has a chain of its own: the hash of a row is made over its content and the hash of the row before. What is about a
//! person stands apart, and the row holds only a commitment to it: SHA-256 over a random salt and the text. Take text and salt away
//! and nothing is left of the person, while the chain stays as it was.

mod act;
mod chain;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use act::AuditAct;
pub use chain::{ChainBreak, ChainWalk, commit_to, hash_entry};

/// The chain of what belongs to no tenant: credentials that nobody has, and acts of the command line on all tenants.
pub const NO_TENANT: &str = "";

/// A program says of itself what it likes; more than this is cut off. In characters.
pub const LONGEST_AGENT: usize = 200;

/// Who acts, and from where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Person {
    /// Who. `None`: whoever holds a link, or a credential that is nobody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Network address of the client; of the command line, the name of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What the program says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

impl Person {
    /// Returns somebody of whom nothing but the name is known.
    #[must_use]
    pub fn named(principal: &str) -> Self {
        Self { principal: Some(principal.to_owned()), ..Self::default() }
    }

    /// Returns the agent as far as it is kept: on one line, and not too long.
    #[must_use]
    pub fn cut_agent(text: &str) -> String {
        text.chars().filter(|c| !c.is_control()).take(LONGEST_AGENT).collect()
    }
}

/// Whoever a call of the store is made for: it writes down in the same transaction what it changed for them.
pub type Actor = Arc<Person>;

/// An entry about to be written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAuditEntry {
    /// Fresh UUIDv7.
    pub id: Uuid,
    /// Whose chain it belongs to.
    pub tenant: String,
    /// What was done: the name of an [`AuditAct`], also one that only a later version knows.
    pub act: String,
    /// On what: `job:…`, `key:…`, `token:…`. Nothing of a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// More of it: a report's name, a format, counts. Nothing of a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// `ok`, or the name of the problem that it was answered with.
    pub outcome: String,
    /// How often: more than one where many of a kind were put together.
    pub count: u32,
    /// Who did it.
    pub who: Person,
    /// The principal whom it was done to, where that may be somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

impl NewAuditEntry {
    /// Makes an entry of something that was done.
    #[must_use]
    pub fn new(tenant: &str, act: AuditAct, subject: String, who: &Person) -> Self {
        Self {
            id: Uuid::now_v7(),
            tenant: tenant.to_owned(),
            act: act.as_str().to_owned(),
            subject,
            detail: String::new(),
            outcome: "ok".to_owned(),
            count: 1,
            who: who.clone(),
            about: None,
        }
    }

    /// Says whom it was done to.
    #[must_use]
    pub fn about(self, principal: &str) -> Self {
        Self { about: Some(principal.to_owned()), ..self }
    }

    /// Says more of it.
    #[must_use]
    pub fn with(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }
}

/// A part of an entry that is about a person, while it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPerson {
    /// Random bytes, in hexadecimal: without them nobody can try whether it was this person.
    pub salt: String,
    /// The person, as JSON: what the commitment was made over.
    pub text: String,
}

impl KeptPerson {
    /// Draws a salt for what is to be kept of a person.
    #[must_use]
    pub fn new(person: &Person) -> Self {
        // Made of strings, so that writing it cannot fail.
        let text = serde_json::to_string(person).unwrap_or_default();
        Self { salt: hex::encode(rand::random::<[u8; 32]>()), text }
    }

    /// Returns what the row holds of it.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        commit_to(&self.salt, &self.text)
    }
}

/// A row of the log, as it stands in its tenant's chain. An export has one a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Whose chain.
    pub tenant: String,
    /// Its place there, from 1 on, without gap.
    pub number: u64,
    /// Identity.
    pub id: Uuid,
    /// Database time of the act.
    pub at: DateTime<Utc>,
    /// What was done: one of [`AuditAct`], or what a later version knows.
    pub act: String,
    /// On what.
    pub subject: String,
    /// More of it.
    pub detail: String,
    /// `ok`, or the name of a problem.
    pub outcome: String,
    /// How often.
    pub count: u32,
    /// Commitment to who did it.
    #[serde(with = "hex::serde")]
    pub who_hash: [u8; 32],
    /// Commitment to whom it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::reuse::maybe_hash")]
    pub about_hash: Option<[u8; 32]>,
    /// Who did it; `None` once that was erased.
    pub who: Option<KeptPerson>,
    /// Whom it was done to; `None` where that is nobody, or was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<KeptPerson>,
    /// Over all of the above, but for the two persons, and the row before.
    #[serde(with = "hex::serde")]
    pub hash: [u8; 32],
}

impl AuditEntry {
    /// Puts an entry behind the row before it.
    #[must_use]
    pub fn link(new: NewAuditEntry, at: DateTime<Utc>, before: ChainEnd) -> Self {
        let who = KeptPerson::new(&new.who);
        let about = new.about.as_deref().map(|principal| KeptPerson::new(&Person::named(principal)));
        let mut entry = Self {
            tenant: new.tenant,
            number: before.number + 1,
            id: new.id,
            at,
            act: new.act,
            subject: new.subject,
            detail: new.detail,
            outcome: new.outcome,
            count: new.count,
            who_hash: who.commitment(),
            about_hash: about.as_ref().map(KeptPerson::commitment),
            who: Some(who),
            about,
            hash: [0; 32],
        };
        entry.hash = hash_entry(before.hash, &entry);
        entry
    }

    /// Returns the end of a chain whose last row this is.
    #[must_use]
    pub const fn end(&self) -> ChainEnd {
        ChainEnd { number: self.number, hash: self.hash }
    }
}

/// How far a chain goes: number and hash of its last row. Kept elsewhere, it shows later that nothing up to it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEnd {
    /// Of the last row; 0: there is none.
    pub number: u64,
    /// Of the last row; zeros where there is none.
    #[serde(with = "hex::serde")]
    pub hash: [u8; 32],
}

impl ChainEnd {
    /// Where every chain begins.
    pub const START: Self = Self { number: 0, hash: [0; 32] };
}

/// Written as `number:hash`.
impl std::fmt::Display for ChainEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.number, hex::encode(self.hash))
    }
}

impl std::str::FromStr for ChainEnd {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write the number of a row and its hash, 7:9f86…, as they were told";
        let (number, hash) = text.split_once(':').ok_or(wrong)?;
        let hash = hex::decode(hash).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(wrong)?;
        Ok(Self { number: number.parse().map_err(|_| wrong)?, hash })
    }
}

/// The chain of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditChain {
    /// Whose.
    pub tenant: String,
    /// The last row that was removed because its time was over: the rows that are left begin behind it.
    pub removed: ChainEnd,
    /// The newest row.
    pub head: ChainEnd,
}
