//! Sweeping: what crashes and lost messages leave behind. Every call is safe in several processes at once.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::connection::Connection;
use super::effects::Effects;
use super::errors::{Failure, unreadable};
use super::floors::TimedLine;
use super::follow::leaders;
use super::lose::{Lost, gone_workers, lose};
use super::rows::{IdRow, from_json};
use super::run::StatementResult;
use super::running::running_on_worker;
use super::sql::sql;
use super::{PostgresStore, column, millis};
use model::artifact::{Artifact, attempt_of_key};
use model::job::{JobState, Lane};
use store::{COUNTED_AT_MOST, Result, SweepStore};

const EXPIRED: &str = "
    select json_build_object('id', id, 'job_id', job_id, 'attempt', attempt, 'format', format, 'object_key', object_key,
        'filename', filename, 'bytes', bytes, 'rows', rows, 'sha256', sha256, 'complete', complete, 'snapshot_at', snapshot_at,
        'created_at', created_at, 'expires_at', expires_at, 'link_id', link_id,
        'link_hash', (select encode(l.token_hash, 'hex') from links l where l.artifact_id = artifacts.id limit 1))::text as artifact
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

/// Invariant 5, in one query. A worker is alive when its row is, and who has none is in `gone_workers`; a due time covers a retry,
/// as a constraint holds; the sweeper rings what is pending. A job that follows another one is covered by it, and by the sweeper
/// for a while after it has ended.
const UNCOVERED: &str = leaders!(
    "select j.id from gone_workers g cross join lateral (
        select j.id from jobs j
        where j.state = 'processing' and j.worker_id = any(array[g.id]) and j.leader_id is null limit 100
    ) j
    where not exists (select from workers w where w.id = g.id) and not exists (select from outbox o where o.subject = j.id)
    union all
    select f.id from leader
    cross join lateral (
        select f.id from jobs f where f.leader_id = any(array[leader.id]) and f.leader_id is not null and f.state in ",
    store::unfinished_states!(),
    " limit 100
    ) f
    where leader.id is not null
      and ((select coalesce(l.finished_at, now()) from jobs l where l.id = leader.id) > now() - interval '10 seconds') is not true
      and not exists (select from outbox o where o.subject = f.id)"
);

/// `$1` the lanes and `$2` their floors, `$3` that of retries, `$4` where counting stops.
const COUNTS: &str = concat!(
    "
    select l.lane, 'pending' as state, c.count, c.oldest, now() as now
    from unnest($1::text[], $2::timestamptz[]) as l(lane, since)
    cross join lateral (
        select count(*) as count, min(rung_at) as oldest from (
            select rung_at from jobs
            where state = 'pending' and lane = l.lane and leader_id is null and rung_at >= l.since order by rung_at limit $4
        ) j
    ) c
    union all
    select lane, 'retrying', count(*), min(next_attempt_at), now() from (
        select lane, next_attempt_at from jobs
        where state = 'retrying' and leader_id is null and next_attempt_at >= $3 order by next_attempt_at limit $4
    ) j group by lane
    union all
    select r.lane, 'processing', count(*), null, now() from (
        select r.lane from workers w cross join lateral ",
    running_on_worker!("j.lane"),
    " r
        union all
        select j.lane from gone_workers g cross join lateral (
            select j.lane from jobs j
            where j.state = 'processing' and j.worker_id = any(array[g.id]) and j.leader_id is null limit 100
        ) j
        where not exists (select from workers w where w.id = g.id)
    ) r group by r.lane"
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
    #[diesel(sql_type = Nullable<Timestamptz>)]
    oldest: Option<DateTime<Utc>>,
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
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
        let statement = sql(COUNTS)
            .bind::<Array<Text>, _>(Lane::ALL.map(|lane| lane.as_str()).to_vec())
            .bind::<Array<Timestamptz>, _>(Lane::ALL.map(|lane| self.floors.of(TimedLine::Pending(lane))).to_vec())
            .bind::<Timestamptz, _>(self.floors.of(TimedLine::Retrying))
            .bind::<BigInt, _>(i64::from(COUNTED_AT_MOST));
        let rows: Vec<StateRow> =
            self.read(move |connection| async move { Ok(statement.load(connection).await?) }.boxed()).await?;
        self.raise_floors(&rows);
        let counts = rows.into_iter().map(StateRow::read).collect::<StatementResult<Vec<_>>>()?;
        Ok(counts.into_iter().filter(|(.., count)| *count > 0).collect())
    }
}

impl PostgresStore {
    /// There is a row for each lane's pending jobs, also where there are none.
    fn raise_floors(&self, counted: &[StateRow]) {
        let of = |state: JobState| counted.iter().filter(move |row| row.state == state.as_str());
        for row in of(JobState::Pending) {
            if let Ok(lane) = row.lane.parse() {
                self.floors.raise(TimedLine::Pending(lane), row.oldest, row.now);
            }
        }
        if let Some(now) = counted.first().map(|row| row.now) {
            self.floors.raise(TimedLine::Retrying, of(JobState::Retrying).filter_map(|row| row.oldest).min(), now);
        }
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
