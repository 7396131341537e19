//! The part of the contract about whether anything can be written at all.

use async_trait::async_trait;

use super::Result;

/// A database may answer and take nothing: it is a standby, its disk is full, somebody made it read-only.
#[async_trait]
pub trait WritableStore: Send + Sync {
    /// Writes and commits a row that means nothing. Safe in any number of processes at once.
    async fn check_writable(&self) -> Result<()>;
}
