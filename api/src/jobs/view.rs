//! A job as the API shows it.

use std::borrow::Cow;

use actix_web::HttpRequest;
use chrono::{DateTime, Utc};
use model::artifact::{Artifact, Format};
use model::job::{Job, JobState, Lane, Params};
use model::problem::{Problem, StoredProblem};
use model::progress::{Phase, Progress};
use model::refusal::{OnRefusal, Refusal};
use model::reuse::Served;
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;
use uuid::Uuid;

use super::waiting_for::WaitingFor;
use crate::forecast::JobOutlook;
use crate::forecast::view::{EtaView, QueuePositionView};
use crate::gateway::Gateway;
use crate::report_versions::SensitiveParams;

/// One request to run a report with given parameters and formats.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobView<'a> {
    /// UUIDv7.
    id: Uuid,
    /// The report's name.
    report: &'a str,
    /// `sha256:…` of the definition that runs.
    report_version: &'a str,
    /// Checked parameters, defaults filled in; sensitive ones are hidden.
    #[schema(value_type = Object)]
    params: Cow<'a, Params>,
    /// The formats that are made.
    #[schema(value_type = Vec<String>)]
    formats: &'a [Format],
    /// What becomes of it when a format cannot hold the rows: `fail` or `keep_others`.
    #[schema(value_type = String)]
    on_refusal: OnRefusal,
    /// `cold`: by a run of its own; `warm`: at once, from the files of an identical job; `joined`: by the run of an identical job
    /// that was under way.
    #[schema(value_type = String)]
    served: Served,
    /// The finished job from whose Parquet file it is made, in place of the report's source; null for every other job.
    made_from: Option<Uuid>,
    /// `pending`, `processing`, `retrying`, `done`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    state: JobState,
    /// Number of the running or last attempt; 0 before the first one.
    attempt: i32,
    /// How far the running or last attempt is.
    progress: ProgressView,
    /// What it waits for, while it is `pending` or `retrying`.
    waiting_for: Option<WaitingFor>,
    /// Where it stands in its lane's queue, while it waits.
    queue: Option<QueuePositionView>,
    /// When it will be ready, learned from runs before; null while there are too few, or when it takes longer than they did.
    eta: Option<EtaView>,
    /// When it was submitted.
    created_at: DateTime<Utc>,
    /// When the latest attempt started.
    started_at: Option<DateTime<Utc>>,
    /// When it reached a final state.
    finished_at: Option<DateTime<Utc>>,
    /// When a `retrying` job is due again.
    next_attempt_at: Option<DateTime<Utc>>,
    /// One a format, once `done`, but for those in `refused`.
    artifacts: Vec<ArtifactView<'a>>,
    /// Formats that could not hold the rows, once `done`: only where `on_refusal` is `keep_others`, and never all of them.
    refused: Vec<RefusalView<'a>>,
    /// Why it failed, or why it is being retried.
    #[schema(value_type = Option<StoredProblem>)]
    error: Option<&'a Problem>,
    /// Where to go from here.
    links: Links,
}

/// A format that could not hold the rows, and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refusal)]
pub struct RefusalView<'a> {
    /// One of the job's formats; it has no artifact.
    #[schema(value_type = String)]
    format: Format,
    /// Why, and what to do.
    #[schema(value_type = StoredProblem)]
    problem: &'a Problem,
}

/// Shows refusals.
pub fn refusals(refused: &[Refusal]) -> Vec<RefusalView<'_>> {
    refused.iter().map(|refusal| RefusalView { format: refusal.format, problem: &refusal.problem }).collect()
}

/// How far an attempt is. Unknown is null, never invented.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Progress)]
pub struct ProgressView {
    /// `waiting`, `starting`, `reading`, `storing` or `finished`.
    #[schema(value_type = String)]
    phase: Phase,
    /// Rows read so far.
    rows: u64,
    /// Rows to be read, where known.
    total_rows: Option<u64>,
    /// Whether `total_rows` is an estimate of the source's planner.
    total_is_estimate: bool,
    /// Bytes written so far, over all formats.
    bytes: u64,
    /// Rows read of rows to be read.
    percent: Option<f64>,
}

/// Where to go from a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct Links {
    /// The job.
    #[serde(rename = "self")]
    this: String,
    /// Its server-sent events.
    events: String,
    /// `POST` here to cancel it.
    cancel: String,
}

/// A file a job produced.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Artifact)]
pub struct ArtifactView<'a> {
    /// Its format.
    #[schema(value_type = String)]
    format: Format,
    /// The name it is offered under.
    filename: &'a str,
    /// Its media type.
    media_type: &'static str,
    /// Its size.
    bytes: u64,
    /// Rows in it, header not counted.
    rows: u64,
    /// Lower-case hexadecimal SHA-256 of it.
    sha256: &'a str,
    /// Whether every row is in it.
    complete: bool,
    /// When it goes.
    expires_at: DateTime<Utc>,
    /// Where to fetch it with the API key.
    file: String,
    /// Where to fetch what is known about it.
    receipt: String,
    /// Where whoever holds this address can fetch it, until it expires or is revoked.
    link: String,
}

impl From<Progress> for ProgressView {
    fn from(progress: Progress) -> Self {
        Self {
            phase: progress.phase,
            rows: progress.rows,
            total_rows: progress.total_rows,
            total_is_estimate: progress.total_is_estimate,
            bytes: progress.bytes,
            percent: progress.percent(),
        }
    }
}

/// Shows jobs to the caller of one request.
#[derive(Debug)]
pub struct JobPresenter<'a> {
    gateway: &'a Gateway,
    base: Cow<'a, str>,
}

impl<'a> JobPresenter<'a> {
    /// Takes the base of all links from the configuration, else from where the request came in.
    #[must_use]
    pub fn new(gateway: &'a Gateway, request: &HttpRequest) -> Self {
        Self { gateway, base: gateway.own_address.base(request) }
    }

    /// Returns the address of a job.
    #[must_use]
    pub fn job_url(&self, id: Uuid) -> String {
        format!("{}/v1/jobs/{id}", self.base)
    }

    /// Returns an address on this service; `path` starts with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Writes a job as JSON.
    ///
    /// # Errors
    /// The store's, when it has to be asked what is sensitive.
    pub async fn write(&self, job: &Job) -> Result<Vec<u8>, StoreError> {
        let sensitive = self.gateway.report_versions.sensitive_params(job).await?;
        Ok(self.write_with(job, &sensitive))
    }

    /// Writes a job as JSON, `sensitive` being known.
    #[must_use]
    pub fn write_with(&self, job: &Job, sensitive: &SensitiveParams) -> Vec<u8> {
        // The view is made of strings, numbers and times, so that writing it cannot fail.
        serde_json::to_vec(&self.view(job, sensitive)).unwrap_or_default()
    }

    /// Writes a job as JSON, where it stands being known too.
    #[must_use]
    pub fn write_at(&self, job: &Job, sensitive: &SensitiveParams, outlook: JobOutlook) -> Vec<u8> {
        serde_json::to_vec(&self.view_at(job, sensitive, outlook)).unwrap_or_default()
    }

    /// Writes a job as it was when it was submitted, with what was foretold then: each repeat is told the same.
    #[must_use]
    pub fn write_submitted(&self, job: &Job, sensitive: &SensitiveParams) -> Vec<u8> {
        self.write_at(job, sensitive, JobOutlook::at_submit(job))
    }

    /// Shows a job.
    #[must_use]
    pub fn view<'j>(&self, job: &'j Job, sensitive: &SensitiveParams) -> JobView<'j> {
        self.view_at(job, sensitive, self.gateway.forecaster.outlook(job))
    }

    fn view_at<'j>(&self, job: &'j Job, sensitive: &SensitiveParams, outlook: JobOutlook) -> JobView<'j> {
        let this = self.job_url(job.id);
        JobView {
            id: job.id,
            report: &job.report,
            report_version: &job.report_version,
            params: sensitive.redact(&job.params),
            formats: &job.formats,
            on_refusal: job.on_refusal,
            served: job.sharing.served,
            made_from: job.sharing.made_from,
            state: job.state,
            attempt: job.attempt,
            progress: job.progress.into(),
            waiting_for: WaitingFor::of(job),
            queue: outlook.queue(),
            eta: outlook.eta(),
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            next_attempt_at: job.next_attempt_at,
            artifacts: job.artifacts.iter().map(|artifact| self.artifact(&this, artifact)).collect(),
            refused: refusals(&job.refused),
            error: job.error.as_ref(),
            links: Links { events: format!("{this}/events"), cancel: format!("{this}/cancel"), this },
        }
    }

    fn artifact<'j>(&self, job_url: &str, artifact: &'j Artifact) -> ArtifactView<'j> {
        let file = format!("{job_url}/artifacts/{}", artifact.format);
        let token = artifact.link_token(self.gateway.link_secret.all());
        ArtifactView {
            format: artifact.format,
            filename: &artifact.filename,
            media_type: artifact.media_type(),
            bytes: artifact.bytes,
            rows: artifact.rows,
            sha256: &artifact.sha256,
            complete: artifact.complete,
            expires_at: artifact.expires_at,
            receipt: format!("{file}/receipt"),
            file,
            link: format!("{}/d/{token}", self.base),
        }
    }
}

/// Returns how many seconds a client should wait before it asks again for a job that is not final.
#[must_use]
pub fn retry_after(job: &Job) -> Option<i64> {
    let due = |at: DateTime<Utc>| (at - Utc::now()).num_seconds().clamp(1, 60);
    match job.state {
        JobState::Done | JobState::Failed | JobState::Cancelled => None,
        JobState::Retrying => Some(job.next_attempt_at.map_or(5, due)),
        JobState::Pending | JobState::Processing => Some(match job.lane {
            Lane::Interactive => 1,
            Lane::Bulk => 5,
        }),
    }
}
