//! Ringing again for what was rung in vain. The sweeper decides how many; the store knows which.

use std::time::Duration;

use async_trait::async_trait;

use super::Result;
use model::delivery::Channel;
use model::job::Lane;

/// Doorbells that may have been lost. Every call is safe in several processes at once.
///
/// What is rung has its `rung_at` set, and so is silent again only later. Nothing is rung that has an outbox row. Counting stops at
/// `limit`, and takes no longer when there are more.
#[async_trait]
pub trait RingStore: Send + Sync {
    /// Counts jobs of the lane that are `pending`, without outbox row, and were last rung more than `grace` ago. On PostgreSQL a job
    /// that lost a worker counts after 300 ms: the broker may have given its doorbell to that very worker, which is only paused,
    /// and a job that must run alone waits for an idle worker to hear of it.
    async fn count_silent(&self, lane: Lane, grace: Duration, limit: u32) -> Result<u64>;
    /// Rings up to `limit` of the jobs [`RingStore::count_silent`] counts, longest silent first. Returns how many.
    async fn ring_silent(&self, lane: Lane, grace: Duration, limit: u32) -> Result<u32>;
    /// Counts jobs of the lane that are `retrying`, without outbox row, overdue by more than `grace`, and were last rung longer ago.
    async fn count_overdue_retries(&self, lane: Lane, grace: Duration, limit: u32) -> Result<u64>;
    /// Rings up to `limit` of the jobs [`RingStore::count_overdue_retries`] counts, longest overdue first. Returns how many.
    async fn ring_overdue_retries(&self, lane: Lane, grace: Duration, limit: u32) -> Result<u32>;
    /// Counts deliveries of the channel that are due (or leased for too long), without outbox row, and were last rung more than
    /// `grace` ago.
    async fn count_due_deliveries(&self, channel: Channel, grace: Duration, limit: u32) -> Result<u64>;
    /// Rings up to `limit` of the deliveries [`RingStore::count_due_deliveries`] counts, longest silent first. Returns how many.
    async fn ring_due_deliveries(&self, channel: Channel, grace: Duration, limit: u32) -> Result<u32>;
    /// Rings up to `limit` of the jobs that [`RingStore::count_silent`] or [`RingStore::count_overdue_retries`] counts and that were
    /// passed: a job of the lane that was rung later runs already. Their messages have left the queue. Returns how many.
    async fn ring_passed_jobs(&self, lane: Lane, grace: Duration, limit: u32) -> Result<u32>;
    /// The same for deliveries: one of the channel that was rung later is being sent already. Returns how many.
    async fn ring_passed_deliveries(&self, channel: Channel, grace: Duration, limit: u32) -> Result<u32>;
}
