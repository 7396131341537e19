//! Rows as they are kept, and what they become.

use diesel::SqliteConnection;
use uuid::Uuid;

use super::errors::{StatementResult, unreadable};
use super::sql::{Cells, sql};
use model::artifact::Artifact;
use model::attributes::SealedAttributes;
use model::delivery::Delivery;
use model::event::Event;
use model::job::{Caller, Job, JobState};
use model::progress::Progress;
use model::refusal::OnRefusal;
use model::reuse::Sharing;

/// The columns [`read_job`] reads.
macro_rules! job_columns {
    () => {
        "id, tenant, principal, report, report_version, lane, params, formats, notify, state, attempt, errors, crashes, \
         interruptions, max_attempts, timeout_ms, retention_ms, worker_id, phase, rows_read, total_rows, \
         total_is_estimate, bytes_written, seq, created_at, started_at, finished_at, next_attempt_at, error, traceparent, \
         forecast, coalesce(served, 'cold'), leader_id, joined, withdrawn_at, made_from, coalesce(on_refusal, 'fail'), refused, \
         attributes, set_aside"
    };
}
pub(super) use job_columns;

/// Reads a job without its artifacts.
pub(super) fn read_job(cells: &mut Cells) -> StatementResult<Job> {
    let mut job = Job {
        id: cells.id()?,
        caller: read_caller(cells)?,
        report: cells.text()?,
        report_version: cells.text()?,
        lane: cells.name()?,
        params: cells.json()?,
        attributes: SealedAttributes::default(),
        formats: cells.json()?,
        on_refusal: OnRefusal::Fail,
        notify: cells.json()?,
        state: cells.name()?,
        attempt: cells.small()?,
        errors: cells.small()?,
        crashes: cells.small()?,
        interruptions: cells.small()?,
        max_attempts: cells.small()?,
        timeout_ms: cells.integer()?,
        retention_ms: cells.integer()?,
        worker_id: cells.maybe_id()?,
        progress: Progress {
            phase: cells.name()?,
            rows: cells.count()?,
            total_rows: cells.maybe_integer()?.map(i64::unsigned_abs),
            total_is_estimate: cells.flag()?,
            bytes: cells.count()?,
        },
        seq: cells.integer()?,
        created_at: cells.time()?,
        started_at: cells.maybe_time()?,
        finished_at: cells.maybe_time()?,
        next_attempt_at: cells.maybe_time()?,
        error: cells.maybe_json()?,
        traceparent: cells.maybe_text()?,
        forecast: cells.maybe_json()?,
        artifacts: Vec::new(),
        sharing: Sharing {
            served: cells.name()?,
            leader: cells.maybe_id()?,
            joined: cells.maybe_integer()?.map(i32::try_from).transpose().map_err(unreadable)?,
            withdrawn_at: cells.maybe_time()?,
            made_from: cells.maybe_id()?,
        },
        refused: Vec::new(),
        set_aside: None,
    };
    job.on_refusal = cells.name()?;
    job.refused = cells.maybe_json()?.unwrap_or_default();
    job.attributes = cells.maybe_json()?.unwrap_or_default();
    job.set_aside = cells.maybe_text()?.map(|target| target.parse().map_err(unreadable)).transpose()?;
    Ok(job)
}

pub(super) fn read_caller(cells: &mut Cells) -> StatementResult<Caller> {
    Ok(Caller { tenant: cells.text()?, principal: cells.text()? })
}

/// Reads any job, without its artifacts.
pub(super) fn bare_job(connection: &mut SqliteConnection, id: Uuid) -> StatementResult<Option<Job>> {
    sql!(concat!("select ", job_columns!(), " from jobs where id = ?1"), id).row(connection, read_job)
}

/// Reads any job.
pub(super) fn whole_job(connection: &mut SqliteConnection, id: Uuid) -> StatementResult<Option<Job>> {
    bare_job(connection, id)?.map(|job| with_artifacts(connection, job)).transpose()
}

/// Adds the artifacts, which only finished jobs have.
pub(super) fn with_artifacts(connection: &mut SqliteConnection, mut job: Job) -> StatementResult<Job> {
    if job.state == JobState::Done {
        let text = concat!("select ", artifact_columns!(), " from artifacts a where a.job_id = ?1 order by a.format");
        job.artifacts = sql!(text, job.id).rows(connection, read_artifact)?;
    }
    Ok(job)
}

/// The columns [`read_artifact`] reads, of a table named `a`.
macro_rules! artifact_columns {
    () => {
        "a.id, a.job_id, a.attempt, a.format, a.object_key, a.filename, a.bytes, a.rows, a.sha256, a.complete, \
         a.snapshot_at, a.created_at, a.expires_at, a.link_id, \
         (select l.token_hash from links l where l.artifact_id = a.id limit 1)"
    };
}
pub(super) use artifact_columns;

pub(super) fn read_artifact(cells: &mut Cells) -> StatementResult<Artifact> {
    Ok(Artifact {
        id: cells.id()?,
        job_id: cells.id()?,
        attempt: cells.small()?,
        format: cells.name()?,
        object_key: cells.text()?,
        filename: cells.text()?,
        bytes: cells.count()?,
        rows: cells.count()?,
        sha256: cells.text()?,
        complete: cells.flag()?,
        snapshot_at: cells.time()?,
        created_at: cells.time()?,
        expires_at: cells.time()?,
        link_id: cells.id()?,
        link_hash: cells.maybe_hash()?,
    })
}

/// The columns [`read_event`] reads.
macro_rules! event_columns {
    () => {
        "job_id, seq, tenant, principal, kind, state, attempt, error, next_attempt_at, at, refused"
    };
}
pub(super) use event_columns;

pub(super) fn read_event(cells: &mut Cells) -> StatementResult<Event> {
    Ok(Event {
        job_id: cells.id()?,
        seq: cells.integer()?,
        caller: read_caller(cells)?,
        kind: cells.name()?,
        state: cells.name()?,
        attempt: cells.small()?,
        error: cells.maybe_json()?,
        next_attempt_at: cells.maybe_time()?,
        at: cells.time()?,
        refused: cells.maybe_json()?.unwrap_or_default(),
        leader: None,
    })
}

/// The columns [`read_delivery`] reads.
macro_rules! delivery_columns {
    () => {
        "id, job_id, tenant, event, seq, channel, recipient, state, attempt, next_attempt_at, error, created_at, \
         sent_at, told"
    };
}
pub(super) use delivery_columns;

pub(super) fn read_delivery(cells: &mut Cells) -> StatementResult<Delivery> {
    Ok(Delivery {
        id: cells.id()?,
        job_id: cells.id()?,
        tenant: cells.text()?,
        event: cells.name()?,
        seq: cells.integer()?,
        channel: cells.name()?,
        recipient: cells.text()?,
        state: cells.name()?,
        attempt: cells.small()?,
        next_attempt_at: cells.maybe_time()?,
        error: cells.maybe_text()?,
        created_at: cells.time()?,
        sent_at: cells.maybe_time()?,
        late: cells.maybe_json()?,
    })
}
