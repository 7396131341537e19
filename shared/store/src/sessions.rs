//! The part of the contract about what lets somebody in and how it ends: sessions of browsers that were signed out, and how keys,
//! sessions and links stand that opened something which still goes on.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Result;
use super::access::ApiKey;
use super::tokens::TokenLookup;

/// What opened something, to be looked up again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessLookup {
    /// Hashes of API keys.
    pub keys: Vec<[u8; 32]>,
    /// Sessions of browsers.
    pub sessions: Vec<Uuid>,
    /// Hashes of link tokens.
    pub links: Vec<[u8; 32]>,
    /// Tokens that a backend had minted.
    pub tokens: Vec<TokenLookup>,
}

/// How it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessFacts {
    /// Database time, which says what has expired.
    pub now: DateTime<Utc>,
    /// The keys that there are, revoked and expired ones too, in any order.
    pub keys: Vec<ApiKey>,
    /// The sessions that were ended.
    pub ended_sessions: Vec<Uuid>,
    /// The links that were revoked.
    pub revoked_links: Vec<[u8; 32]>,
    /// The tokens that were revoked, by themselves or with all of their principal's.
    pub revoked_tokens: Vec<Uuid>,
}

/// Sessions are sealed in cookies and are no rows; only their ends are kept, so that no gateway takes a cookie any more whose owner
/// has signed out at another one.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Ends a session for good. Ending it again changes nothing.
    async fn end_session(&self, id: Uuid) -> Result<()>;
    /// Says how keys, sessions, links and tokens stand.
    async fn look_up_access(&self, asked: AccessLookup) -> Result<AccessFacts>;
    /// Forgets ends of sessions older than `age`: longer than any cookie is good. Returns how many.
    async fn forget_sessions(&self, age: Duration) -> Result<u64>;
}
