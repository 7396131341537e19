//! Jobs as the gateway sees them: reading, listing, cancelling, replaying.

use async_trait::async_trait;
use diesel::OptionalExtension as _;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::PostgresStore;
use super::audit::note_change;
use super::cancel::cancel;
use super::connection::Connection;
use super::effects::{EffectRow, Effects, with_effects};
use super::errors::Failure;
use super::lists::list;
use super::rows::{CountRow, JobRow, artifacts_column, job_columns};
use super::run::StatementResult;
use super::sql::sql;
use model::audit::{Actor, AuditAct};
use model::event::Event;
use model::job::{Caller, Idempotency, Job, JobState, NewJob};
use store::audit::actor;
use store::{Changed, FeedCursor, JobFilter, JobStore, NEWEST_COUNTED, Result, Submitted};

const JOB: &str = concat!(
    "select ",
    job_columns!(),
    ", ",
    artifacts_column!(),
    " from jobs j where j.id = $1 and ($2::text is null or (j.tenant = $2 and j.principal = $3))"
);

const RUNS: &str = concat!(
    "select ",
    job_columns!(),
    ", null::text as artifacts from jobs j where j.id = any($1) and j.state = 'processing'"
);

const UNFINISHED: &str = concat!(
    "
    select count(*) as count from (
        select from jobs where tenant = $1 and state in ",
    store::unfinished_states!(),
    " limit $2
    ) counted"
);

const UNFINISHED_OF: &str = concat!(
    "
    select count(*) as count from (
        select state from jobs where tenant = $1 and principal = $2 order by id desc limit $3
    ) newest where state in ",
    store::unfinished_states!()
);

/// From here on the job has a run of its own, which nobody joins.
const REPLAY: &str = with_effects!(
    "with changed as (
        update jobs j
        set state = 'pending', errors = 0, crashes = 0, interruptions = 0, finished_at = null, error = null, rung_at = now(),
            seq = j.seq + 1, phase = 'waiting', rows_read = 0, total_rows = null, total_is_estimate = false, bytes_written = 0,
            fingerprint = null, joined = null, leader_id = null, served = null, link_seeds = null, late_at = null
        where j.id = $1 and j.tenant = $2 and j.principal = $3 and j.state = 'failed' and j.withdrawn_at is null
        returning j.id, j.seq, j.tenant, j.principal, 'replayed' as kind, j.state, j.attempt, null::json as event_error,
                  j.next_attempt_at, j.notify, j.lane, j.report, j.traceparent, null::bigint as delay_ms, true as ring,
                  false as led, false as quiet, j.leader_id, null::json as refused
    )"
);

#[async_trait]
impl JobStore for PostgresStore {
    async fn submit(&self, jobs: Vec<NewJob>) -> Result<Vec<Submitted>> {
        self.submit_batch(jobs).await
    }

    async fn find_submitted(&self, caller: &Caller, given: &Idempotency) -> Result<Option<Submitted>> {
        self.find_key(caller, given).await
    }

    async fn job(&self, caller: &Caller, id: Uuid) -> Result<Option<Job>> {
        let caller = caller.clone();
        self.read(move |connection| async move { find(connection, id, Some(&caller)).await }.boxed()).await
    }

    async fn job_by_id(&self, id: Uuid) -> Result<Option<Job>> {
        self.read(move |connection| find(connection, id, None).boxed()).await
    }

    async fn jobs(&self, filter: JobFilter) -> Result<Vec<Job>> {
        self.read(move |connection| list(connection, filter).boxed()).await
    }

    async fn count_unfinished(&self, tenant: &str, limit: u32) -> Result<u32> {
        let tenant = tenant.to_owned();
        self.read(move |connection| {
            async move {
                let row: CountRow = sql(UNFINISHED)
                    .bind::<Text, _>(tenant)
                    .bind::<BigInt, _>(i64::from(limit))
                    .get_result(connection)
                    .await?;
                Ok(u32::try_from(row.count).unwrap_or(u32::MAX))
            }
            .boxed()
        })
        .await
    }

    async fn count_unfinished_of(&self, caller: &Caller) -> Result<u32> {
        let caller = caller.clone();
        self.read(move |connection| {
            async move {
                let row: CountRow = sql(UNFINISHED_OF)
                    .bind::<Text, _>(caller.tenant)
                    .bind::<Text, _>(caller.principal)
                    .bind::<BigInt, _>(i64::from(NEWEST_COUNTED))
                    .get_result(connection)
                    .await?;
                Ok(u32::try_from(row.count).unwrap_or(u32::MAX))
            }
            .boxed()
        })
        .await
    }

    async fn events_of_job(&self, caller: &Caller, job_id: Uuid, after: i64, limit: u32) -> Result<Vec<Event>> {
        self.read_events_of_job(caller, job_id, after, limit).await
    }

    async fn events_of_caller(
        &self,
        caller: &Caller,
        after: FeedCursor,
        limit: u32,
    ) -> Result<Vec<(FeedCursor, Event)>> {
        self.read_feed(caller, after, limit).await
    }

    async fn feed_end(&self) -> Result<FeedCursor> {
        self.read_feed_end().await
    }

    async fn cancel(&self, caller: &Caller, id: Uuid) -> Result<Changed> {
        let (caller, by) = (caller.clone(), actor());
        self.change(move |connection| cancel(connection, id, caller, by).boxed()).await
    }

    async fn replay(&self, caller: &Caller, id: Uuid) -> Result<Changed> {
        let (caller, by) = (caller.clone(), actor());
        self.change(move |connection| replay(connection, id, caller, by).boxed()).await
    }

    async fn save_report_version(&self, version: &str, name: &str, definition: &str) -> Result<()> {
        self.keep_report_version(version, name, definition).await
    }

    async fn report_version(&self, version: &str) -> Result<Option<(String, String)>> {
        self.read_report_version(version).await
    }
}

async fn find(connection: &mut Connection, id: Uuid, caller: Option<&Caller>) -> StatementResult<Option<Job>> {
    let row: Option<JobRow> = sql(JOB)
        .bind::<SqlUuid, _>(id)
        .bind::<Nullable<Text>, _>(caller.map(|caller| caller.tenant.as_str()))
        .bind::<Nullable<Text>, _>(caller.map(|caller| caller.principal.as_str()))
        .get_result(connection)
        .await
        .optional()?;
    let Some(job) = row.map(JobRow::into_job).transpose()? else { return Ok(None) };
    if caller.is_none() {
        return Ok(Some(job));
    }
    Ok(with_progress(connection, vec![job.as_seen()]).await?.pop())
}

/// Shows running followers how far their leaders are: heartbeats carry the progress of runs, not of those who wait for them.
pub(super) async fn with_progress(connection: &mut Connection, mut jobs: Vec<Job>) -> StatementResult<Vec<Job>> {
    let leader = |job: &Job| job.sharing.follows().filter(|_| job.state == JobState::Processing);
    let leaders: Vec<Uuid> = jobs.iter().filter_map(leader).collect();
    if leaders.is_empty() {
        return Ok(jobs);
    }
    let rows: Vec<JobRow> = sql(RUNS).bind::<Array<SqlUuid>, _>(leaders).load(connection).await?;
    let runs = rows.into_iter().map(JobRow::into_job).collect::<StatementResult<Vec<Job>>>()?;
    for job in &mut jobs {
        let run = runs.iter().find(|run| leader(job) == Some(run.id) && run.attempt == job.attempt);
        job.progress = run.map_or(job.progress, |run| run.progress);
    }
    Ok(jobs)
}

async fn replay(
    connection: &mut Connection,
    id: Uuid,
    caller: Caller,
    by: Option<Actor>,
) -> StatementResult<(Changed, Effects)> {
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let effects = change_one(connection, REPLAY, id, &caller).await?;
            let outcome = changed(connection, id, &caller, &effects).await?;
            note_change(connection, AuditAct::JobReplayed, &outcome, by.as_ref()).await?;
            Ok((outcome, effects))
        })
        .await
}

/// Changes the job if its state allows it.
pub(super) async fn change_one(
    connection: &mut Connection,
    text: &'static str,
    id: Uuid,
    caller: &Caller,
) -> StatementResult<Effects> {
    let rows: Vec<EffectRow> = sql(text)
        .bind::<SqlUuid, _>(id)
        .bind::<Text, _>(caller.tenant.as_str())
        .bind::<Text, _>(caller.principal.as_str())
        .load(connection)
        .await?;
    Effects::read(rows)
}

/// Reads the job after a change, in the same transaction.
pub(super) async fn changed(
    connection: &mut Connection,
    id: Uuid,
    caller: &Caller,
    effects: &Effects,
) -> StatementResult<Changed> {
    Ok(match find(connection, id, Some(caller)).await? {
        None => Changed::NotFound,
        Some(job) if effects.is_empty() => Changed::WrongState(Box::new(job)),
        Some(job) => Changed::Yes(Box::new(job)),
    })
}
