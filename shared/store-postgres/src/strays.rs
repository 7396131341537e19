//! Strays: jobs that a worker holds and does not know of.
//!
//! What a worker may hold is told by two things: its beats, which name what it runs, and the time up to which its claims were
//! looked through for others. Both are kept with its row, so that whoever takes over its jobs, or counts them, need not look
//! through everything that it ever ran.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, Bool, Nullable, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use uuid::Uuid;

use super::connection::Connection;
use super::effects::{EffectRow, Effects, with_effects};
use super::run::StatementResult;
use super::sql::sql;

/// Jobs that the worker holds and does not report: of those it named before (`$3`), and of those it claimed since `$4`. Until they
/// are some seconds old their claim may still be on its way to it, or their end. Answers also up to what time claims were looked
/// at, without job.
const STRAYS: &str = "
    with named as materialized (
        select id, state, worker_id, leader_id, started_at from jobs where id = any($3)
    )
    select id as job_id, started_at < now() - interval '15 seconds' as stray, null::timestamptz as until from named
    where state = 'processing' and worker_id = $1 and leader_id is null
    union all
    select j.id, true, null from jobs j
    where j.state = 'processing' and j.worker_id = $1 and j.leader_id is null and j.id <> all($2) and j.id <> all($3)
      and j.started_at >= coalesce($4::timestamptz, '-infinity') and j.started_at < now() - interval '15 seconds'
    union all
    select null, false, now() - interval '15 seconds'";

/// Nobody runs them, and nobody else may. They were no errors.
const GIVE_BACK: &str = with_effects!(
    "with strays as materialized (
        select id from jobs where id = any($2) and state = 'processing' and worker_id = $1 order by id for no key update
    ), changed as (
        update jobs j
        set state = 'pending', worker_id = null, interruptions = j.interruptions + 1,
            seq = j.seq + (j.withdrawn_at is null)::int, rung_at = now()
        from strays where j.id = any(array[strays.id])
        returning j.id, j.seq, j.tenant, j.principal, 'handed_back' as kind, j.state, j.attempt, null::json as event_error,
                  j.next_attempt_at, j.notify, j.lane, j.report, j.traceparent, null::bigint as delay_ms, true as ring,
                  coalesce(j.joined > 0, false) as led, j.withdrawn_at is not null as quiet, j.leader_id, null::json as refused
    )"
);

#[derive(QueryableByName)]
struct StrayRow {
    #[diesel(sql_type = Nullable<SqlUuid>)]
    job_id: Option<Uuid>,
    #[diesel(sql_type = Bool)]
    stray: bool,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    until: Option<DateTime<Utc>>,
}

/// What the worker is known to hold, from beat to beat.
#[derive(Debug)]
pub(super) struct Holding {
    /// Named by an earlier beat, and not yet seen to have ended.
    named: Vec<Uuid>,
    /// Claims before this were looked through; database time.
    looked: Option<DateTime<Utc>>,
    /// A claim becomes visible at its commit, at most so much later than its time.
    longest_write: Duration,
}

impl Holding {
    /// Nothing yet.
    pub(super) fn new(longest_write: Duration) -> Self {
        Self { named: Vec::new(), looked: None, longest_write }
    }

    /// The time since when the worker may hold claims that are in none of its beats. `None`: since ever.
    pub(super) fn claimed_since(&self) -> Option<DateTime<Utc>> {
        self.looked?.checked_sub_signed(TimeDelta::from_std(self.longest_write).ok()?)
    }

    /// Everything that the worker may hold and that it claimed before that time.
    pub(super) fn with(&self, reported: &[Uuid]) -> Vec<Uuid> {
        let others = self.named.iter().filter(|job| !reported.contains(job));
        others.chain(reported).copied().collect()
    }

    /// Hands back what the worker holds and does not know of: claims whose answer never reached it.
    pub(super) async fn give_back_strays(
        &mut self,
        connection: &mut Connection,
        worker: Uuid,
        reported: &[Uuid],
    ) -> StatementResult<Effects> {
        let others: Vec<Uuid> = self.named.iter().filter(|job| !reported.contains(job)).copied().collect();
        self.named = self.with(reported);
        let rows: Vec<StrayRow> = sql(STRAYS)
            .bind::<SqlUuid, _>(worker)
            .bind::<Array<SqlUuid>, _>(reported)
            .bind::<Array<SqlUuid>, _>(others)
            .bind::<Nullable<Timestamptz>, _>(self.claimed_since())
            .load(connection)
            .await?;
        let until = rows.iter().find_map(|row| row.until);
        let (strays, young): (Vec<StrayRow>, Vec<StrayRow>) =
            rows.into_iter().filter(|row| row.job_id.is_some()).partition(|row| row.stray);
        let strays: Vec<Uuid> = strays.iter().filter_map(|row| row.job_id).collect();
        let effects = if strays.is_empty() {
            Effects::default()
        } else {
            tracing::warn!(%worker, jobs = ?strays, "handing back jobs this worker does not know of");
            give_back(connection, worker, strays).await?
        };
        self.named = reported.iter().copied().chain(young.iter().filter_map(|row| row.job_id)).collect();
        self.looked = until;
        Ok(effects)
    }
}

async fn give_back(connection: &mut Connection, worker: Uuid, strays: Vec<Uuid>) -> StatementResult<Effects> {
    let rows: Vec<EffectRow> =
        sql(GIVE_BACK).bind::<SqlUuid, _>(worker).bind::<Array<SqlUuid>, _>(strays).load(connection).await?;
    Effects::read(rows)
}
