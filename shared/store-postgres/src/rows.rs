//! Rows as the statements answer them, and what they become.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use uuid::Uuid;

use super::connection::Connection;
use super::errors::{Failure, unreadable};
use super::run::StatementResult;
use super::sql::sql;
use model::job::{Caller, Job, NewJob};
use model::message::{Message, Queue, Route};
use model::problem::Problem;
use model::progress::Progress;
use model::refusal::{OnRefusal, Refusal};
use model::reuse::{Served, Sharing};

/// The columns of [`JobRow`], artifacts apart, of a table or part named `j`.
macro_rules! job_columns {
    () => {
        "j.id, j.tenant, j.principal, j.report, j.report_version, j.lane, j.params::text as params, \
         j.formats::text as formats, j.notify::text as notify, j.state, j.attempt, j.errors, j.crashes, j.interruptions, \
         j.max_attempts, j.timeout_ms, j.retention_ms, j.worker_id, j.phase, j.rows_read, j.total_rows, \
         j.total_is_estimate, j.bytes_written, j.seq, j.created_at, j.started_at, j.finished_at, j.next_attempt_at, \
         j.error::text as error, j.traceparent, j.forecast::text as forecast, j.served, j.leader_id, j.joined, j.withdrawn_at, \
         j.made_from, j.on_refusal, j.refused::text as refused, j.attributes::text as attributes, j.set_aside"
    };
}
pub(super) use job_columns;

/// The job's artifacts as one JSON array, or null for none. JSON, because so a list of jobs with theirs is one round trip.
macro_rules! artifacts_column {
    () => {
        "(select json_agg(json_build_object('id', a.id, 'job_id', a.job_id, 'attempt', a.attempt, 'format', a.format, \
         'object_key', a.object_key, 'filename', a.filename, 'bytes', a.bytes, 'rows', a.rows, 'sha256', a.sha256, \
         'complete', a.complete, 'snapshot_at', a.snapshot_at, 'created_at', a.created_at, 'expires_at', a.expires_at, \
         'link_id', a.link_id, 'link_hash', (select encode(l.token_hash, 'hex') from links l where l.artifact_id = a.id limit 1)) \
         order by a.format)::text from artifacts a where a.job_id = j.id) as artifacts"
    };
}
pub(super) use artifacts_column;

/// A job.
#[derive(QueryableByName)]
pub(super) struct JobRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    tenant: String,
    #[diesel(sql_type = Text)]
    principal: String,
    #[diesel(sql_type = Text)]
    report: String,
    #[diesel(sql_type = Text)]
    report_version: String,
    #[diesel(sql_type = Text)]
    lane: String,
    #[diesel(sql_type = Text)]
    params: String,
    #[diesel(sql_type = Text)]
    formats: String,
    #[diesel(sql_type = Text)]
    notify: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Integer)]
    attempt: i32,
    #[diesel(sql_type = Integer)]
    errors: i32,
    #[diesel(sql_type = Integer)]
    crashes: i32,
    #[diesel(sql_type = Integer)]
    interruptions: i32,
    #[diesel(sql_type = Integer)]
    max_attempts: i32,
    #[diesel(sql_type = BigInt)]
    timeout_ms: i64,
    #[diesel(sql_type = BigInt)]
    retention_ms: i64,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    worker_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    phase: String,
    #[diesel(sql_type = BigInt)]
    rows_read: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    total_rows: Option<i64>,
    #[diesel(sql_type = Bool)]
    total_is_estimate: bool,
    #[diesel(sql_type = BigInt)]
    bytes_written: i64,
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    started_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    finished_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    next_attempt_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    error: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    traceparent: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    forecast: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    served: Option<String>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    leader_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Integer>)]
    joined: Option<i32>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    withdrawn_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    made_from: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    on_refusal: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    refused: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    attributes: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    set_aside: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    artifacts: Option<String>,
}

impl JobRow {
    pub(super) fn into_job(self) -> StatementResult<Job> {
        let progress = Progress {
            phase: self.phase.parse().map_err(unreadable)?,
            rows: self.rows_read.unsigned_abs(),
            total_rows: self.total_rows.map(i64::unsigned_abs),
            total_is_estimate: self.total_is_estimate,
            bytes: self.bytes_written.unsigned_abs(),
        };
        Ok(Job {
            id: self.id,
            caller: Caller { tenant: self.tenant, principal: self.principal },
            report: self.report,
            report_version: self.report_version,
            lane: self.lane.parse().map_err(unreadable)?,
            params: from_json(&self.params)?,
            attributes: self.attributes.as_deref().map(from_json).transpose()?.unwrap_or_default(),
            formats: from_json(&self.formats)?,
            on_refusal: self.on_refusal.as_deref().map_or(Ok(OnRefusal::Fail), str::parse).map_err(unreadable)?,
            notify: from_json(&self.notify)?,
            state: self.state.parse().map_err(unreadable)?,
            attempt: self.attempt,
            errors: self.errors,
            crashes: self.crashes,
            interruptions: self.interruptions,
            max_attempts: self.max_attempts,
            timeout_ms: self.timeout_ms,
            retention_ms: self.retention_ms,
            worker_id: self.worker_id,
            progress,
            seq: self.seq,
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            next_attempt_at: self.next_attempt_at,
            error: self.error.as_deref().map(from_json).transpose()?,
            traceparent: self.traceparent,
            forecast: self.forecast.as_deref().map(from_json).transpose()?,
            artifacts: self.artifacts.as_deref().map_or_else(|| Ok(Vec::new()), from_json)?,
            refused: read_refusals(self.refused.as_deref())?,
            set_aside: self.set_aside.map(|target| target.parse().map_err(unreadable)).transpose()?,
            sharing: Sharing {
                served: self.served.as_deref().map_or(Ok(Served::Cold), str::parse).map_err(unreadable)?,
                leader: self.leader_id,
                joined: self.joined,
                withdrawn_at: self.withdrawn_at,
                made_from: self.made_from,
            },
        })
    }
}

/// Writes what credentials say of the submitter of each job, where they say anything.
pub(super) fn attributes_of<'j>(jobs: impl Iterator<Item = &'j NewJob>) -> StatementResult<Vec<Option<String>>> {
    jobs.map(|job| (!job.attributes.is_empty()).then(|| to_json(&job.attributes)).transpose()).collect()
}

/// Reads JSON that we wrote.
pub(super) fn from_json<'a, T: Deserialize<'a>>(text: &'a str) -> StatementResult<T> {
    serde_json::from_str(text).map_err(unreadable)
}

/// Reads the formats that could not hold a job's rows, if there were any.
pub(super) fn read_refusals(kept: Option<&str>) -> StatementResult<Vec<Refusal>> {
    kept.map_or_else(|| Ok(Vec::new()), from_json)
}

/// Writes JSON.
pub(super) fn to_json(value: &impl serde::Serialize) -> StatementResult<String> {
    serde_json::to_string(value).map_err(|error| Failure::BadData(error.to_string()))
}

/// What a dead letter says beside the job's id.
#[derive(Deserialize)]
struct DeadJob {
    tenant: String,
    report: String,
    error: Problem,
}

/// Reads route and message from the columns of an outbox row: kind, subject, `(queue, delay_ms)`, detail.
pub(super) fn read_message(
    kind: &str,
    subject: Uuid,
    (queue, delay_ms): (&str, Option<i64>),
    detail: Option<&str>,
) -> StatementResult<(Route, Message)> {
    let queue = Queue::from_routing_key(queue).ok_or_else(|| unreadable(format!("unknown queue `{queue}`")))?;
    let delay = delay_ms.map(|delay| Duration::from_millis(delay.unsigned_abs()));
    let message = match kind {
        "run-job" => Message::RunJob { job_id: subject },
        "send-delivery" => Message::SendDelivery { delivery_id: subject },
        "dead-job" => {
            let DeadJob { tenant, report, error } = from_json(detail.unwrap_or("null"))?;
            Message::DeadJob { job_id: subject, tenant, report, error }
        }
        other => return Err(unreadable(format!("unknown message `{other}`"))),
    };
    Ok((Route { queue, delay }, message))
}

/// One uuid.
#[derive(QueryableByName)]
pub(super) struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    pub(super) id: Uuid,
}

/// One number.
#[derive(QueryableByName)]
pub(super) struct CountRow {
    #[diesel(sql_type = BigInt)]
    pub(super) count: i64,
}

/// Database time.
#[derive(QueryableByName)]
pub(super) struct NowRow {
    #[diesel(sql_type = Timestamptz)]
    pub(super) now: DateTime<Utc>,
}

/// Asks for database time.
pub(super) fn now(connection: &mut Connection) -> BoxFuture<'_, StatementResult<DateTime<Utc>>> {
    async move {
        let row: NowRow = sql("select now() as now").get_result(connection).await?;
        Ok(row.now)
    }
    .boxed()
}
