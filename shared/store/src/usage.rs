//! The part of the contract about what is used: counted where jobs are written and where they are done, in the same transaction.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use model::usage::{Usage, UsagePart, UsageSubject};

use super::Result;

/// Writers that count at the same time do so in rows of their own, of this many, so that none waits for another.
pub const USAGE_SLOTS: i16 = 8;

/// Principals, or reports, that are told apart at most where usage is listed by them.
pub const MAX_USERS: u32 = 100;

/// What tenants, principals and reports used. [`submit`](super::JobStore::submit) counts jobs, recipients and links, of jobs that it
/// writes and no others; [`settle`](super::WorkerStore::settle) counts rows and bytes of jobs that are done.
#[async_trait]
pub trait UsageStore: Send + Sync {
    /// Reads what was used since a time, part by part, oldest first.
    async fn usage_of(&self, tenant: &str, subject: &UsageSubject, since: DateTime<Utc>) -> Result<Vec<UsagePart>>;
    /// Reads what each principal of a tenant used since a time, those with the most jobs first, at most [`MAX_USERS`].
    async fn usage_by_principal(&self, tenant: &str, since: DateTime<Utc>) -> Result<Vec<(String, Usage)>>;
    /// Reads what of each report was used since a time, as [`usage_by_principal`](Self::usage_by_principal) does.
    async fn usage_by_report(&self, tenant: &str, since: DateTime<Utc>) -> Result<Vec<(String, Usage)>>;
    /// Makes one row of each subject's rows of a day that is over. Sums stay. Returns how many rows went.
    async fn fold_usage(&self, starts: DateTime<Utc>, ends: DateTime<Utc>) -> Result<u64>;
    /// Forgets what was used longer than `age` ago. Returns how many rows went.
    async fn forget_usage(&self, age: Duration) -> Result<u64>;
}
