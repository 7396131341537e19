//! The liveness of one worker: a row that is renewed, and a session lock that goes the moment the process does.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use uuid::Uuid;

use super::connect::Connector;
use super::connection::{Connection, PeerKind};
use super::effects::Effects;
use super::errors::Failure;
use super::follow::lead_all;
use super::lines::ring_next;
use super::lose::{Lost, forgive, lose};
use super::run::StatementResult;
use super::sql::sql;
use super::strays::Holding;
use super::{column, to_i64};
use model::job::Lane;
use store::{AfterCommit, AttemptProgress, Heartbeat, Result, StoreError, WorkerInfo};

/// The lock first, then the row: a row with a lock that is free belongs to a dead worker. One without a lock is judged by its beats
/// alone: behind a pooler the lock would be another session's at the next statement.
const TAKE_LOCK: &str = "select pg_try_advisory_lock(waitless_lock_key($1)) as yes";

const REGISTER: &str = "
    insert into workers (id, lock_key, host, pid, lanes, concurrency, held)
    values ($1, case when $6 then waitless_lock_key($1) end, $2, $3, $4, $5, '{}')
    on conflict (id) do update set heartbeat_at = now(), lock_key = excluded.lock_key";

/// Renews the row, which says whether the lock is held and what the worker holds, and writes progress where nobody is changing the
/// job just now; a missed one comes with the next beat. Answers the attempts that are no longer the worker's, and a row without
/// job where the worker's own row is gone.
///
/// Jobs are read by their ids and judged afterwards: nothing here takes longer when some table or index is full of rows that are
/// gone.
const BEAT: &str = "
    with input as (
        select * from unnest($2::uuid[], $3::int[], $4::text[], $5::bigint[], $6::bigint[], $7::bool[], $8::bigint[])
        as i(job_id, attempt, phase, rows_read, total_rows, total_is_estimate, bytes_written)
    ), worker as (
        update workers
        set heartbeat_at = now(), lock_key = case when $9 then waitless_lock_key($1) end, held = $10,
            held_since = coalesce($11, held_since)
        where id = $1 returning id
    ), seen as materialized (
        select id, state, worker_id, attempt from jobs where id = any($2)
    ), locked as materialized (
        select id, state, worker_id, attempt from jobs where id = any($2) order by id for no key update skip locked
    ), held as materialized (
        select i.* from input i join locked l on l.id = i.job_id and l.attempt = i.attempt
        where l.state = 'processing' and l.worker_id = $1
    ), progress as (
        update jobs j
        set phase = h.phase, rows_read = h.rows_read, total_rows = h.total_rows, total_is_estimate = h.total_is_estimate,
            bytes_written = h.bytes_written
        from held h where j.id = any(array[h.job_id])
    )
    select i.job_id, i.attempt from input i
    where not exists (select from seen s where s.id = i.job_id and s.state = 'processing' and s.worker_id = $1
                                           and s.attempt = i.attempt)
    union all
    select null, null where not exists (select from worker)";

/// What could not be handed back is covered by the row, until the sweeper takes both.
const RETIRE: &str = "delete from workers where id = $1
    and not exists (select from jobs where worker_id = $1 and state = 'processing' and leader_id is null)";

#[derive(QueryableByName)]
struct LockRow {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

#[derive(QueryableByName)]
struct BeatRow {
    #[diesel(sql_type = Nullable<SqlUuid>)]
    job_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Integer>)]
    attempt: Option<i32>,
}

/// What a beat found.
#[derive(Default)]
struct BeatOutcome {
    lost: Vec<(Uuid, i32)>,
    unregistered: bool,
}

/// A worker's heartbeat on PostgreSQL.
pub(super) struct PostgresHeartbeat {
    connector: Connector,
    worker: WorkerInfo,
    after: Arc<dyn AfterCommit>,
    /// None after an error: the next beat opens another.
    connection: Option<Connection>,
    /// False while a session of ours that the server has not yet missed still holds the lock, and always behind a pooler.
    locked: bool,
    holding: Holding,
}

impl PostgresHeartbeat {
    pub(super) async fn start(connector: Connector, worker: WorkerInfo, after: Arc<dyn AfterCommit>) -> Result<Self> {
        let holding = Holding::new(connector.longest_write());
        let mut heartbeat = Self { connector, worker, after, connection: None, locked: false, holding };
        heartbeat.connect().await?;
        let Self { worker, connection, locked, .. } = &mut heartbeat;
        if let Some(connection) = connection {
            register(connection, worker, *locked).await?;
        }
        Ok(heartbeat)
    }

    async fn connect(&mut self) -> Result<()> {
        let mut connection = self.connector.connect().await?;
        self.locked = take_lock(&mut connection, self.worker.id).await?;
        self.connection = Some(connection);
        Ok(())
    }

    /// Brings followers up to jobs that were taken from this worker or handed back. What cannot be done now is left to the sweeper.
    async fn fill_lines(&mut self, limits: Vec<String>) {
        let Some(connection) = &mut self.connection else { return };
        match ring_next(connection, limits).await {
            Ok(effects) if effects.is_empty() => {}
            Ok(effects) => self.after.committed(effects.outbox, effects.events),
            Err(error) => tracing::warn!(?error, "who waits for a free place is not rung for yet; the sweeper does it"),
        }
    }

    async fn lead(&mut self, leaders: Vec<Uuid>) {
        let Some(connection) = &mut self.connection else { return };
        match lead_all(connection, leaders).await {
            Ok(effects) if effects.is_empty() => {}
            Ok(effects) => self.after.committed(effects.outbox, effects.events),
            Err(error) => tracing::warn!(?error, "jobs could not follow their leaders yet; the sweeper goes on"),
        }
    }

    async fn try_beat(&mut self, progress: &[AttemptProgress]) -> Result<Vec<(Uuid, i32)>> {
        if self.connection.is_none() {
            self.connect().await?;
        }
        let Some(connection) = &mut self.connection else { return Ok(Vec::new()) };
        if !self.locked {
            self.locked = take_lock(connection, self.worker.id).await?;
        }
        let reported = column(progress, |attempt| attempt.job_id);
        let since = self.holding.claimed_since();
        let held = self.holding.with(&reported);
        let mut found = beat(connection, (self.worker.id, self.locked), progress, (&held, since)).await?;
        let mut effects = if found.unregistered {
            tracing::warn!(worker = %self.worker.id, "this worker was taken for dead; it stops its jobs and registers again");
            found.lost = column(progress, |attempt| (attempt.job_id, attempt.attempt));
            lose_and_register(connection, &self.worker, self.locked, &found.lost).await?
        } else {
            // The worker lives, whatever comes of looking for what it has forgotten; the next beat looks again.
            let returned = self.holding.give_back_strays(connection, self.worker.id, &reported).await;
            returned.unwrap_or_else(|failure| {
                tracing::warn!(worker = %self.worker.id, ?failure, "it could not be seen whether this worker has forgotten jobs");
                Effects::default()
            })
        };
        let (leaders, freed) = (std::mem::take(&mut effects.led), std::mem::take(&mut effects.freed));
        if !effects.is_empty() {
            self.after.committed(effects.outbox, effects.events);
        }
        if !leaders.is_empty() {
            self.lead(leaders).await;
        }
        if !freed.is_empty() {
            self.fill_lines(freed).await;
        }
        Ok(found.lost)
    }
}

#[async_trait]
impl Heartbeat for PostgresHeartbeat {
    async fn beat(&mut self, progress: Vec<AttemptProgress>) -> Result<Vec<(Uuid, i32)>> {
        // A connection that broke since the last beat is replaced at once; only the second failure is told.
        let fresh = self.connection.is_none();
        match self.bounded_beat(&progress).await {
            Err(StoreError::Unavailable(why)) if !fresh => {
                tracing::warn!(worker = %self.worker.id, why, "the heartbeat's connection broke; opening another");
                self.bounded_beat(&progress).await
            }
            other => other,
        }
    }

    async fn cut_off(&mut self) {
        let Some(connection) = &self.connection else { return std::future::pending().await };
        connection.ended().await;
        self.connection = None;
    }

    async fn retire(&mut self) -> Result<()> {
        if self.connection.is_none() {
            self.connect().await?;
        }
        if let Some(connection) = &mut self.connection {
            sql(RETIRE).bind::<SqlUuid, _>(self.worker.id).execute(connection).await.map_err(Failure::from)?;
        }
        // The lock goes with the session.
        self.connection = None;
        Ok(())
    }
}

impl PostgresHeartbeat {
    async fn bounded_beat(&mut self, progress: &[AttemptProgress]) -> Result<Vec<(Uuid, i32)>> {
        let limit = self.connector.timeout();
        let beaten = match tokio::time::timeout(limit, self.try_beat(progress)).await {
            Ok(beaten) => beaten,
            Err(_) => Err(StoreError::Unavailable(format!("no heartbeat within {limit:?}"))),
        };
        if beaten.is_err() {
            self.connection = None;
        }
        beaten
    }
}

/// Takes the worker's lock, where a session can hold one.
async fn take_lock(connection: &mut Connection, worker: Uuid) -> StatementResult<bool> {
    if connection.peer() == PeerKind::Pooler {
        return Ok(false);
    }
    let row: LockRow = sql(TAKE_LOCK).bind::<SqlUuid, _>(worker).get_result(connection).await?;
    Ok(row.yes)
}

async fn register(connection: &mut Connection, worker: &WorkerInfo, locked: bool) -> StatementResult<()> {
    sql(REGISTER)
        .bind::<SqlUuid, _>(worker.id)
        .bind::<Text, _>(worker.host.as_str())
        .bind::<BigInt, _>(i64::from(worker.pid))
        .bind::<Array<Text>, _>(column(&worker.lanes, |lane: &Lane| lane.as_str()))
        .bind::<Integer, _>(i32::try_from(worker.concurrency).unwrap_or(i32::MAX))
        .bind::<Bool, _>(locked)
        .execute(connection)
        .await?;
    Ok(())
}

async fn beat(
    connection: &mut Connection,
    (worker, locked): (Uuid, bool),
    progress: &[AttemptProgress],
    (held, since): (&[Uuid], Option<DateTime<Utc>>),
) -> StatementResult<BeatOutcome> {
    let rows: Vec<BeatRow> = sql(BEAT)
        .bind::<SqlUuid, _>(worker)
        .bind::<Array<SqlUuid>, _>(column(progress, |p| p.job_id))
        .bind::<Array<Integer>, _>(column(progress, |p| p.attempt))
        .bind::<Array<Text>, _>(column(progress, |p| p.progress.phase.as_str()))
        .bind::<Array<BigInt>, _>(column(progress, |p| to_i64(p.progress.rows)))
        .bind::<Array<Nullable<BigInt>>, _>(column(progress, |p| p.progress.total_rows.map(to_i64)))
        .bind::<Array<Bool>, _>(column(progress, |p| p.progress.total_is_estimate))
        .bind::<Array<BigInt>, _>(column(progress, |p| to_i64(p.progress.bytes)))
        .bind::<Bool, _>(locked)
        .bind::<Array<SqlUuid>, _>(held)
        .bind::<Nullable<Timestamptz>, _>(since)
        .load(connection)
        .await?;
    let mut found = BeatOutcome::default();
    for row in rows {
        match (row.job_id, row.attempt) {
            (Some(job), Some(attempt)) => found.lost.push((job, attempt)),
            _ => found.unregistered = true,
        }
    }
    Ok(found)
}

/// Whatever the worker claimed after it was taken for dead is lost too: it is told to stop everything. None of it crashed.
async fn lose_and_register(
    connection: &mut Connection,
    worker: &WorkerInfo,
    locked: bool,
    attempts: &[(Uuid, i32)],
) -> StatementResult<Effects> {
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            forgive(connection, attempts).await?;
            let effects = lose(connection, &[worker.id], &[], Lost::Alive).await?;
            register(connection, worker, locked).await?;
            Ok(effects)
        })
        .await
}
