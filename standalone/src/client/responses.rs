//! What a gateway answers, as far as the commands use it. Fields they do not know are left alone: a newer gateway has more.

use chrono::{DateTime, Utc};
use model::job::{JobState, Params};
use model::problem::StoredProblem;
use model::progress::Phase;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct JobResponse {
    pub(crate) id: Uuid,
    pub(crate) report: String,
    pub(crate) report_version: String,
    pub(crate) params: Params,
    pub(crate) formats: Vec<String>,
    pub(crate) state: JobState,
    pub(crate) attempt: i32,
    pub(crate) progress: ProgressResponse,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
    pub(crate) next_attempt_at: Option<DateTime<Utc>>,
    pub(crate) artifacts: Vec<ArtifactResponse>,
    /// An older gateway has none.
    #[serde(default)]
    pub(crate) refused: Vec<RefusalResponse>,
    pub(crate) error: Option<StoredProblem>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct ProgressResponse {
    pub(crate) phase: Phase,
    pub(crate) rows: u64,
    pub(crate) total_rows: Option<u64>,
    #[serde(default)]
    pub(crate) total_is_estimate: bool,
    pub(crate) bytes: u64,
    pub(crate) percent: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RefusalResponse {
    pub(crate) format: String,
    pub(crate) problem: StoredProblem,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ArtifactResponse {
    pub(crate) format: String,
    pub(crate) filename: String,
    pub(crate) rows: u64,
    pub(crate) sha256: String,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) link: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ReceiptResponse {
    pub(crate) report_version: String,
    pub(crate) attempt: i32,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) complete: bool,
    pub(crate) snapshot_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct JobsResponse {
    pub(crate) jobs: Vec<JobResponse>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LinksResponse {
    pub(crate) links: Vec<LinkResponse>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LinkResponse {
    pub(crate) format: String,
    pub(crate) filename: String,
    pub(crate) link: String,
    pub(crate) state: String,
    pub(crate) views: u64,
    pub(crate) downloads: u64,
    pub(crate) last_download_at: Option<DateTime<Utc>>,
    pub(crate) expires_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ReportsResponse {
    pub(crate) reports: Vec<ReportResponse>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ReportResponse {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) lane: String,
    pub(crate) formats: Vec<String>,
    /// JSON Schema.
    pub(crate) params: Value,
}

/// Data of an event on a job's stream.
#[derive(Debug, Deserialize)]
pub(crate) struct EventData {
    pub(crate) state: Option<JobState>,
    pub(crate) error: Option<StoredProblem>,
    pub(crate) progress: Option<ProgressResponse>,
}

/// The CloudEvent around it.
#[derive(Debug, Deserialize)]
pub(crate) struct EventEnvelope {
    pub(crate) data: EventData,
}
