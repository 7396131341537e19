//! Which limit a refusal is about.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A limit that was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReachedLimit {
    /// Its name in the configuration, such as `jobs_per_day`.
    pub name: String,
    /// Whose it is.
    pub of: LimitOwner,
    /// How much it allows.
    pub most: u64,
    /// How much of that is used, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// When there is some again, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<DateTime<Utc>>,
}

/// Whom a limit binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitOwner {
    /// All of a tenant together.
    Tenant,
    /// One principal.
    Principal,
}
