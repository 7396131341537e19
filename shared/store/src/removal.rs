//! The part of the contract about what is removed for good: jobs whose time is over, and whatever is known of a principal.
//!
//! Files go before the rows that know of them: first [`release_files`](RemovalStore::release_files) says which objects nobody needs
//! any more, then whoever asked deletes them, then [`remove_jobs`](RemovalStore::remove_jobs) takes the rows. Whatever is cut off in
//! between is found again.

use std::time::Duration;

use async_trait::async_trait;
use model::job::Caller;
use uuid::Uuid;

use super::Result;

/// What was removed, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Removed {
    /// Jobs, with their parameters, events, links and mails.
    pub jobs: u64,
    /// Files of these.
    pub files: u64,
    /// Addresses that were told, or were to be.
    pub deliveries: u64,
    /// Who opened a link: removed with the link, or made nameless.
    pub clicks: u64,
    /// API keys.
    pub keys: u64,
    /// Schedules.
    pub schedules: u64,
    /// Parts of audit rows that said who it was.
    pub audit_persons: u64,
}

impl Removed {
    /// Adds up.
    pub const fn add(&mut self, more: Self) {
        self.jobs += more.jobs;
        self.files += more.files;
        self.deliveries += more.deliveries;
        self.clicks += more.clicks;
        self.keys += more.keys;
        self.schedules += more.schedules;
        self.audit_persons += more.audit_persons;
    }
}

/// Removes for good.
#[async_trait]
pub trait RemovalStore: Send + Sync {
    /// Jobs that ended longer ago than `age`, behind `after`, in the order of their ids. Nothing that ended later than these were
    /// made is looked at.
    async fn outdated_jobs(&self, age: Duration, after: Uuid, limit: u32) -> Result<Vec<Uuid>>;
    /// The caller's jobs behind `after`, in the order of their ids; true: it has ended.
    async fn jobs_of_principal(&self, caller: &Caller, after: Uuid, limit: u32) -> Result<Vec<(Uuid, bool)>>;
    /// Marks the files of these jobs as deleted, and returns the keys of those objects that no other job has. Asked again, it
    /// returns them again.
    async fn release_files(&self, jobs: Vec<Uuid>) -> Result<Vec<String>>;
    /// Removes jobs that have ended, whose files are released and whose run nobody waits for, with all that belongs to them. Of their
    /// links it is remembered that they are gone.
    async fn remove_jobs(&self, jobs: Vec<Uuid>) -> Result<Removed>;
    /// Tells whether a link was removed with its job.
    async fn link_is_gone(&self, hash: [u8; 32]) -> Result<bool>;
    /// Forgets removed links older than `age`. Returns how many.
    async fn forget_gone_links(&self, age: Duration) -> Result<u64>;
    /// Counts what [`remove_jobs`](RemovalStore::remove_jobs) and [`erase_principal`](RemovalStore::erase_principal) would remove.
    async fn count_of_principal(&self, caller: &Caller) -> Result<Removed>;
    /// Removes the caller's API keys, idempotency keys and schedules, what was counted of them, and their name from clicks, pauses and
    /// linked rows of the audit log. Their jobs are removed before.
    async fn erase_principal(&self, caller: &Caller) -> Result<Removed>;
}
