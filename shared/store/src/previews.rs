//! The part of the contract about previews: the first rows of a job, for whoever waits while it runs.

use async_trait::async_trait;
use uuid::Uuid;

use super::Result;
use model::job::Caller;

/// What a worker shows of a job it is running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPreview {
    /// The job.
    pub job_id: Uuid,
    /// The worker that claims to hold it.
    pub worker_id: Uuid,
    /// The fencing token it holds it under.
    pub attempt: i32,
    /// A JSON document of at most [`PREVIEW_BYTES`].
    pub body: String,
}

/// The largest preview.
pub const PREVIEW_BYTES: usize = 64 << 10;

/// Previews. None of them is part of a job's result, and losing one costs nothing.
#[async_trait]
pub trait PreviewStore: Send + Sync {
    /// Keeps the preview in place of the one before. False: the attempt no longer holds the job, and nothing was written.
    async fn save_preview(&self, preview: NewPreview) -> Result<bool>;
    /// Reads the preview of the newest attempt of one of the caller's jobs.
    async fn preview(&self, caller: &Caller, job_id: Uuid) -> Result<Option<String>>;
    /// Removes previews that are as old as the files of their job may become. Returns how many.
    async fn forget_previews(&self) -> Result<u64>;
}
