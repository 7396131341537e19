//! Jobs as the gateway sees them: reading, listing, cancelling, replaying.

use async_trait::async_trait;
use diesel::OptionalExtension as _;
use diesel::sql_types::{BigInt, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::PostgresStore;
use super::effects::{EffectRow, Effects, with_effects};
use super::errors::Failure;
use super::rows::{CountRow, JobRow, artifacts_column, job_columns};
use super::run::Outcome;
use super::sql::sql;
use crate::event::Event;
use crate::job::{Caller, Idempotency, Job, NewJob};
use crate::store::{Changed, FeedCursor, JobFilter, JobStore, Result, Submitted};

const JOB: &str = concat!(
    "select ",
    job_columns!(),
    ", ",
    artifacts_column!(),
    " from jobs j where j.id = $1 and ($2::text is null or (j.tenant = $2 and j.principal = $3))"
);

const LIST: &str = concat!(
    "select ",
    job_columns!(),
    ", ",
    artifacts_column!(),
    " from jobs j where j.tenant = $1 and j.principal = $2 and ($3::text is null or j.state = $3)
      and ($4::text is null or j.report = $4) and ($5::uuid is null or j.id < $5)
      order by j.tenant desc, j.principal desc, j.id desc limit $6"
);

const LIST_WHOLE_TENANT: &str = concat!(
    "select ",
    job_columns!(),
    ", ",
    artifacts_column!(),
    " from jobs j where j.tenant = $1 and ($2::text is null or j.state = $2)
      and ($3::text is null or j.report = $3) and ($4::uuid is null or j.id < $4)
      order by j.id desc limit $5"
);

const UNFINISHED: &str = "
    select count(*) as count from (
        select from jobs where tenant = $1 and state in ('pending', 'processing', 'retrying') limit $2
    ) counted";

const CANCEL: &str = with_effects!(
    "with changed as (
        update jobs j
        set state = 'cancelled', worker_id = null, next_attempt_at = null, finished_at = now(), seq = j.seq + 1
        where j.id = $1 and j.tenant = $2 and j.principal = $3 and j.state in ('pending', 'processing', 'retrying')
        returning j.id, j.seq, j.tenant, j.principal, 'cancelled' as kind, j.state, j.attempt, null::json as event_error,
                  j.next_attempt_at, j.notify, j.lane, j.report, j.traceparent, null::bigint as delay_ms, false as ring
    )"
);

const REPLAY: &str = with_effects!(
    "with changed as (
        update jobs j
        set state = 'pending', errors = 0, crashes = 0, interruptions = 0, finished_at = null, error = null, rung_at = now(),
            seq = j.seq + 1, phase = 'waiting', rows_read = 0, total_rows = null, total_is_estimate = false, bytes_written = 0
        where j.id = $1 and j.tenant = $2 and j.principal = $3 and j.state = 'failed'
        returning j.id, j.seq, j.tenant, j.principal, 'replayed' as kind, j.state, j.attempt, null::json as event_error,
                  j.next_attempt_at, j.notify, j.lane, j.report, j.traceparent, null::bigint as delay_ms, true as ring
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
        let caller = caller.clone();
        self.change(move |connection| change_one(connection, CANCEL, id, caller).boxed()).await
    }

    async fn replay(&self, caller: &Caller, id: Uuid) -> Result<Changed> {
        let caller = caller.clone();
        self.change(move |connection| change_one(connection, REPLAY, id, caller).boxed()).await
    }

    async fn save_report_version(&self, version: &str, name: &str, definition: &str) -> Result<()> {
        self.keep_report_version(version, name, definition).await
    }

    async fn report_version(&self, version: &str) -> Result<Option<(String, String)>> {
        self.read_report_version(version).await
    }
}

async fn find(connection: &mut AsyncPgConnection, id: Uuid, caller: Option<&Caller>) -> Outcome<Option<Job>> {
    let row: Option<JobRow> = sql(JOB)
        .bind::<SqlUuid, _>(id)
        .bind::<Nullable<Text>, _>(caller.map(|caller| caller.tenant.as_str()))
        .bind::<Nullable<Text>, _>(caller.map(|caller| caller.principal.as_str()))
        .get_result(connection)
        .await
        .optional()?;
    row.map(JobRow::into_job).transpose()
}

async fn list(connection: &mut AsyncPgConnection, filter: JobFilter) -> Outcome<Vec<Job>> {
    let statement = if filter.whole_tenant {
        sql(LIST_WHOLE_TENANT).bind::<Text, _>(filter.caller.tenant)
    } else {
        sql(LIST).bind::<Text, _>(filter.caller.tenant).bind::<Text, _>(filter.caller.principal)
    };
    let rows: Vec<JobRow> = statement
        .bind::<Nullable<Text>, _>(filter.state.map(crate::job::JobState::as_str))
        .bind::<Nullable<Text>, _>(filter.report)
        .bind::<Nullable<SqlUuid>, _>(filter.before)
        .bind::<BigInt, _>(i64::from(filter.limit))
        .load(connection)
        .await?;
    rows.into_iter().map(JobRow::into_job).collect()
}

/// Changes the job if its state allows it, and reads it in the same transaction.
async fn change_one(
    connection: &mut AsyncPgConnection,
    text: &'static str,
    id: Uuid,
    caller: Caller,
) -> Outcome<(Changed, Effects)> {
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let rows: Vec<EffectRow> = sql(text)
                .bind::<SqlUuid, _>(id)
                .bind::<Text, _>(caller.tenant.as_str())
                .bind::<Text, _>(caller.principal.as_str())
                .load(connection)
                .await?;
            let effects = Effects::read(rows)?;
            let changed = match find(connection, id, Some(&caller)).await? {
                None => Changed::NotFound,
                Some(job) if effects.is_empty() => Changed::WrongState(Box::new(job)),
                Some(job) => Changed::Yes(Box::new(job)),
            };
            Ok((changed, effects))
        })
        .await
}
