//! Sweeping: what crashes and lost messages leave behind. Every call is safe in several processes at once.

use std::time::Duration;

use async_trait::async_trait;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::connection::Connection;
use super::effects::Effects;
use super::errors::{Failure, unreadable};
use super::lose::{Lost, gone_workers, lose};
use super::rows::{IdRow, from_json};
use super::run::StatementResult;
use super::sql::sql;
use super::{PostgresStore, column, millis};
use model::artifact::{Artifact, attempt_of_key};
use model::job::{JobState, Lane};
use store::{Result, SweepStore};

const EXPIRED: &str = "
    select json_build_object('id', id, 'job_id', job_id, 'attempt', attempt, 'format', format, 'object_key', object_key,
        'filename', filename, 'bytes', bytes, 'rows', rows, 'sha256', sha256, 'complete', complete, 'snapshot_at', snapshot_at,
        'created_at', created_at, 'expires_at', expires_at, 'link_id', link_id)::text as artifact
    from artifacts where deleted_at is null and expires_at < now() order by expires_at limit $1";

const MARK_DELETED: &str = "update artifacts set deleted_at = now() where id = any($1) and deleted_at is null";

/// An attempt that runs may be about to write the row for its file.
const UNREFERENCED: &str = "
    select key from unnest($1::text[], $2::uuid[], $3::int[]) as k(key, job_id, attempt)
    where not exists (select from artifacts a where a.object_key = key and a.deleted_at is null)
      and not exists (select from jobs j where j.id = k.job_id and j.state = 'processing' and j.attempt = k.attempt)";

const FORGET: &str = "
    with old as materialized (
        select ctid from idempotency where created_at < now() - $1 * interval '1 millisecond'
        order by created_at limit 10000 for update skip locked
    )
    delete from idempotency i using old where i.ctid = old.ctid";

/// Invariant 5, in one query. A worker is alive when its row is; a due time covers a retry; the sweeper rings what is pending. A job
/// that follows another one is covered by it, and by the sweeper for a while after it has ended.
const UNCOVERED: &str = concat!(
    "
    select id from jobs j
    where state in ",
    store::unfinished_states!(),
    "
      and case when leader_id is null then state <> 'pending'
               else not exists (select from jobs l where l.id = j.leader_id
                                and coalesce(l.finished_at, now()) > now() - interval '10 seconds') end
      and not (leader_id is null and state = 'retrying' and next_attempt_at is not null)
      and not (leader_id is null and state = 'processing' and exists (select from workers w where w.id = j.worker_id))
      and not exists (select from outbox o where o.subject = j.id)"
);

const COUNTS: &str = concat!(
    "
    select lane, state, count(*) as count from jobs where state in ",
    store::unfinished_states!(),
    " and leader_id is null
    group by lane, state order by lane, state"
);

#[derive(QueryableByName)]
struct ArtifactRow {
    #[diesel(sql_type = Text)]
    artifact: String,
}

#[derive(QueryableByName)]
struct ObjectKeyRow {
    #[diesel(sql_type = Text)]
    key: String,
}

#[derive(QueryableByName)]
struct StateRow {
    #[diesel(sql_type = Text)]
    lane: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[async_trait]
impl SweepStore for PostgresStore {
    async fn release_lost_jobs(&self, silence: Duration) -> Result<Vec<Uuid>> {
        self.change(move |connection| release_lost(connection, millis(silence)).boxed()).await
    }

    async fn expired_artifacts(&self, limit: u32) -> Result<Vec<Artifact>> {
        self.read(move |connection| {
            async move {
                let rows: Vec<ArtifactRow> = sql(EXPIRED).bind::<BigInt, _>(i64::from(limit)).load(connection).await?;
                rows.iter().map(|row| from_json(&row.artifact)).collect()
            }
            .boxed()
        })
        .await
    }

    async fn mark_deleted(&self, artifacts: Vec<Uuid>) -> Result<()> {
        self.on_rows(MARK_DELETED, artifacts).await
    }

    async fn unreferenced_keys(&self, keys: Vec<String>) -> Result<Vec<String>> {
        self.read(move |connection| unreferenced(connection, keys).boxed()).await
    }

    async fn lead_followers(&self, limit: u32) -> Result<u32> {
        self.lead_behind(limit).await
    }

    async fn forget_idempotency(&self, age: Duration) -> Result<u64> {
        self.read(move |connection| {
            async move {
                let forgotten = sql(FORGET).bind::<BigInt, _>(millis(age)).execute(connection).await?;
                Ok(forgotten as u64)
            }
            .boxed()
        })
        .await
    }

    async fn uncovered_jobs(&self) -> Result<Vec<Uuid>> {
        self.read(|connection| {
            async move {
                let rows: Vec<IdRow> = sql(UNCOVERED).load(connection).await?;
                Ok(column(&rows, |row| row.id))
            }
            .boxed()
        })
        .await
    }

    async fn job_counts(&self) -> Result<Vec<(Lane, JobState, u64)>> {
        self.read(|connection| {
            async move {
                let rows: Vec<StateRow> = sql(COUNTS).load(connection).await?;
                rows.into_iter().map(StateRow::read).collect()
            }
            .boxed()
        })
        .await
    }
}

impl StateRow {
    fn read(self) -> StatementResult<(Lane, JobState, u64)> {
        let lane = self.lane.parse().map_err(unreadable)?;
        Ok((lane, self.state.parse().map_err(unreadable)?, self.count.unsigned_abs()))
    }
}

async fn release_lost(connection: &mut Connection, silence_ms: i64) -> StatementResult<(Vec<Uuid>, Effects)> {
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let gone = gone_workers(connection, silence_ms).await?;
            let effects =
                if gone.is_empty() { Effects::default() } else { lose(connection, &gone, &[], Lost::Gone).await? };
            Ok((effects.changes().map(|event| event.job_id).collect(), effects))
        })
        .await
}

async fn unreferenced(connection: &mut Connection, keys: Vec<String>) -> StatementResult<Vec<String>> {
    // Whatever is not named like a file of ours belongs to no attempt.
    let attempts = column(&keys, |key| attempt_of_key(key).unwrap_or((Uuid::nil(), 0)));
    let rows: Vec<ObjectKeyRow> = sql(UNREFERENCED)
        .bind::<Array<Text>, _>(keys.as_slice())
        .bind::<Array<SqlUuid>, _>(column(&attempts, |(job, _)| *job))
        .bind::<Array<Integer>, _>(column(&attempts, |(_, attempt)| *attempt))
        .load(connection)
        .await?;
    Ok(rows.into_iter().map(|row| row.key).collect())
}
