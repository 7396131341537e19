//! The part of the contract about what opens doors: API keys and links.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Result;
use model::artifact::{Link, LinkStatus, NewClick};
use model::attributes::Attributes;
use model::job::Caller;
use model::scope::Scope;

/// An API key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Identity.
    pub id: Uuid,
    /// First characters of the key, to recognise it by.
    pub prefix: String,
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
    /// Whose data it opens, and as whom.
    pub caller: Caller,
    /// What it may do by itself.
    pub scopes: Vec<Scope>,
    /// What is known of whoever uses it.
    pub attributes: Attributes,
    /// Names of roles in the configuration, which add to that.
    pub roles: Vec<String>,
    /// Database time.
    pub created_at: DateTime<Utc>,
    /// When it stops working.
    pub expires_at: Option<DateTime<Utc>>,
    /// When somebody revoked it.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Whether database time is past `expires_at`, at the time of reading.
    pub expired: bool,
}

/// A key about to be made.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// Fresh UUIDv7.
    pub id: Uuid,
    /// First characters of the key.
    pub prefix: String,
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
    /// Whose.
    pub caller: Caller,
    /// What it may do by itself.
    pub scopes: Vec<Scope>,
    /// What is known of whoever uses it.
    pub attributes: Attributes,
    /// Names of roles in the configuration, which add to that.
    pub roles: Vec<String>,
    /// From now; for ever when absent.
    pub valid_for: Option<Duration>,
}

/// Clicks on one link that are logged in an hour. All are counted; whoever sends more fills no table.
pub const CLICKS_AN_HOUR: u32 = 100;

/// Clicks of one link that are shown.
pub const CLICKS_SHOWN: u32 = 50;

/// Keys and links: what opens doors.
#[async_trait]
pub trait AccessStore: Send + Sync {
    /// Keeps a new key.
    async fn create_api_key(&self, key: NewApiKey) -> Result<ApiKey>;
    /// Finds a key by the hash of what the caller sent, revoked and expired ones too.
    async fn api_key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKey>>;
    /// Lists keys, all tenants or one, newest first.
    async fn api_keys(&self, tenant: Option<&str>) -> Result<Vec<ApiKey>>;
    /// Revokes a key. False: no such key, or revoked before.
    async fn revoke_api_key(&self, id: Uuid) -> Result<bool>;
    /// Finds a link by the hash of its token, also one that works no more. Counts nothing.
    async fn find_link(&self, hash: [u8; 32]) -> Result<Option<Link>>;
    /// Counts what somebody did with a link, unless a scanner did, and keeps it in the link's log, at most [`CLICKS_AN_HOUR`].
    async fn record_click(&self, hash: [u8; 32], click: NewClick) -> Result<()>;
    /// Remembers the job that makes a link's report again.
    async fn remember_again(&self, hash: [u8; 32], job_id: Uuid) -> Result<()>;
    /// Lists the links of one of the caller's jobs, each with its newest clicks, in the order of formats.
    async fn links_of_job(&self, caller: &Caller, job_id: Uuid) -> Result<Vec<LinkStatus>>;
    /// Removes clicks older than `age` from the logs; counts stay. Returns how many.
    async fn forget_clicks(&self, age: Duration) -> Result<u64>;
    /// Revokes the links of an artifact of the caller's. False: none.
    async fn revoke_links(&self, caller: &Caller, artifact_id: Uuid) -> Result<bool>;
}
