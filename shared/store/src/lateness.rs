//! The part of the contract about jobs that take longer than the range their submitter was told.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::Result;
use model::delivery::Lateness;

/// Finds jobs that are late and writes what their recipients are told. Both calls are safe in several processes at once.
///
/// Whoever is told is told once a job: the job's mark goes in the transaction that writes the deliveries. A job has such a mark
/// from its submit when it has recipients and was told a range ([`model::job::NewJob::late_after_ms`]), and loses it when it is put back after a failure.
#[async_trait]
pub trait LatenessStore: Send + Sync {
    /// Returns jobs that are not final, have recipients, and are more than `grace` beyond the end of the range that was told at
    /// the submit; those first that have been late for longest, at most `limit`.
    async fn late_jobs(&self, grace: Duration, limit: u32) -> Result<Vec<Uuid>>;
    /// Writes a delivery for each recipient of these jobs and rings for it, unless the job has ended, was withdrawn by its
    /// submitter, or its recipients were told before. A job whose row is being changed may be left for the next call. Returns how
    /// many deliveries were written.
    async fn tell_late(&self, jobs: Vec<(Uuid, Lateness)>) -> Result<u32>;
}
