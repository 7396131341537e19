//! Losing: the jobs of a worker that is gone go back to their lanes, or fail when it was not the first one.

use diesel::sql_types::{Array, Bool, Integer, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use uuid::Uuid;

use super::column;
use super::connection::Connection;
use super::effects::{EffectRow, Effects, with_effects};
use super::rows::{IdRow, to_json};
use super::run::StatementResult;
use super::sql::sql;
use model::problem::{Problem, ProblemKind};
use model::transitions::MAX_CRASHES;

/// Holders of the jobs, other than the caller, whose locks are free.
///
/// A worker whose newest beat is older than the server's start has not had a chance to take its lock again: for it the
/// free lock means nothing, and its heartbeat decides.
const GONE_HOLDERS: &str = "
    with holder as materialized (
        select distinct worker_id from jobs where id = any($1) and state = 'processing' and worker_id <> $2
    ), suspect as materialized (
        select h.worker_id from holder h left join workers w on w.id = h.worker_id
        where w.id is null or w.heartbeat_at > pg_postmaster_start_time()
    )
    select worker_id as id from suspect where waitless_lock_is_free(worker_id)";

/// What these workers are claiming at this moment is theirs before it is taken from them. The caller's own row too, in the one
/// order for all: two that take each other's jobs never wait in a circle.
const HOLD_ROWS: &str = "select id from workers where id = any($1) or id = $2 order by id for update";

/// `$1` the workers, `$2` the limit of crashes, `$3` and `$4` why, for those that go on and those that end here, `$5` jobs whose
/// lane need not be rung because they are claimed in the same transaction, `$6` whether the workers are known to live.
///
/// What a worker holds is what it said it does, and what it claimed since then.
///
/// Only an attempt that had begun crashed with its worker. One that waited to be alone, and one whose worker lives, was interrupted.
const LOSE: &str = with_effects!(
    "with holder as materialized (
        select i.id, w.held, w.held_since from unnest($1::uuid[]) as i(id) left join workers w on w.id = any(array[i.id])
    ), gone as (
        delete from workers where id = any($1)
    ), claimed as materialized (
        select unnest(held) as id from holder
        union
        select c.id from holder h cross join lateral (
            select j.id from jobs j
            where j.state = 'processing' and j.worker_id = any(array[h.id]) and j.started_at >= coalesce(h.held_since, '-infinity')
        ) c
    ), locked as materialized (
        select id, state, worker_id, leader_id, crashes, phase from jobs where id = any(array(select id from claimed))
        order by id for no key update
    ), held as materialized (
        select id, crashes, phase <> 'waiting' and not $6 as crashed from locked
        where state = 'processing' and worker_id = any($1) and leader_id is null
    ), lost as materialized (
        select id, crashed, crashed and crashes + 1 >= $2 as ends from held
    ), changed as (
        update jobs j
        set state = case when lost.ends then 'failed' else 'pending' end, worker_id = null,
            crashes = j.crashes + lost.crashed::int, interruptions = j.interruptions + (not lost.crashed)::int,
            seq = j.seq + (j.withdrawn_at is null)::int, rung_at = now(), finished_at = case when lost.ends then now() end,
            error = case when lost.ends then $4::json when lost.crashed then $3::json else j.error end
        from lost where j.id = any(array[lost.id])
        returning j.id, j.seq, j.tenant, j.principal,
                  case when lost.ends then 'failed' when lost.crashed then 'worker_lost' else 'handed_back' end as kind,
                  j.state, j.attempt, case when lost.ends then $4::json when lost.crashed then $3::json end as event_error,
                  j.next_attempt_at, j.notify, j.lane, j.report, j.traceparent, null::bigint as delay_ms,
                  j.id <> all($5::uuid[]) as ring,
                  coalesce(j.joined > 0, false) as led, j.withdrawn_at is not null as quiet, j.leader_id, null::json as refused
    )"
);

/// Crashes that were none: the worker of these attempts was taken for dead and lives. Guarded by the event that recorded the
/// loss. What is final stays as it is.
const FORGIVE: &str = concat!("
    with wronged as materialized (
        select j.id from jobs j
        where j.id = any($1) and j.state in ", store::unfinished_states!(), " and j.crashes > 0
          and exists (select from unnest($1::uuid[], $2::int[]) as i(job_id, attempt)
                      join events e on e.job_id = any(array[i.job_id]) and e.attempt = i.attempt and e.kind = 'worker_lost'
                      where i.job_id = j.id)
        order by id for no key update
    )
    update jobs j set crashes = j.crashes - 1, interruptions = j.interruptions + 1
    from wronged where j.id = any(array[wronged.id])");

/// Workers that are gone: their lock is free, or they have been silent for `$1` milliseconds (of this server's life, because
/// nobody could beat while it was down). One without a row that still holds its lock will register again and say so itself; one that
/// holds no job is forgotten.
const GONE_WORKERS: &str = "
    with silent as materialized (
        select id from workers
        where greatest(heartbeat_at, pg_postmaster_start_time()) < now() - $1 * interval '1 millisecond'
           or (heartbeat_at > pg_postmaster_start_time() and waitless_lock_is_free(id))
        order by id for update
    ), nameless as materialized (
        select g.id, h.since from gone_workers g cross join lateral (
            select min(j.started_at) as since from jobs j
            where j.state = 'processing' and j.worker_id = any(array[g.id]) and j.leader_id is null
        ) h
        where not exists (select from workers w where w.id = g.id)
    ), forgotten as (
        delete from gone_workers g using nameless n where g.id = any(array[n.id]) and n.since is null
    )
    select id from silent
    union all
    select id from nameless
    where since is not null and (since < now() - $1 * interval '1 millisecond' or waitless_lock_is_free(id))";

pub(super) async fn gone_holders(
    connection: &mut Connection,
    jobs: &[Uuid],
    besides: Uuid,
) -> StatementResult<Vec<Uuid>> {
    let rows: Vec<IdRow> =
        sql(GONE_HOLDERS).bind::<Array<SqlUuid>, _>(jobs).bind::<SqlUuid, _>(besides).load(connection).await?;
    let gone = column(&rows, |row| row.id);
    if !gone.is_empty() {
        sql(HOLD_ROWS)
            .bind::<Array<SqlUuid>, _>(gone.as_slice())
            .bind::<SqlUuid, _>(besides)
            .execute(connection)
            .await?;
    }
    Ok(gone)
}

pub(super) async fn gone_workers(connection: &mut Connection, silence_ms: i64) -> StatementResult<Vec<Uuid>> {
    let rows: Vec<IdRow> = sql(GONE_WORKERS).bind::<diesel::sql_types::BigInt, _>(silence_ms).load(connection).await?;
    Ok(column(&rows, |row| row.id))
}

/// What is known of workers whose jobs are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// Their process is gone, or looks so.
    Gone,
    /// They live and say so, after they were taken for gone.
    Alive,
}

/// Takes all jobs from `workers` and removes their rows. The lanes of `claimed_next` are not rung.
pub(super) async fn lose(
    connection: &mut Connection,
    workers: &[Uuid],
    claimed_next: &[Uuid],
    known: Lost,
) -> StatementResult<Effects> {
    let again =
        Problem::new(ProblemKind::WorkersLost, "The worker running this attempt was lost; another one will run it.");
    let ends = Problem::new(
        ProblemKind::WorkersLost,
        format!(
            "{MAX_CRASHES} workers were lost while they ran this report. See their logs; it may need too much memory."
        ),
    );
    let rows: Vec<EffectRow> = sql(LOSE)
        .bind::<Array<SqlUuid>, _>(workers)
        .bind::<Integer, _>(MAX_CRASHES)
        .bind::<Text, _>(to_json(&again)?)
        .bind::<Text, _>(to_json(&ends)?)
        .bind::<Array<SqlUuid>, _>(claimed_next)
        .bind::<Bool, _>(known == Lost::Alive)
        .load(connection)
        .await?;
    Effects::read(rows)
}

/// Makes the crashes of these attempts, whose worker lives, interruptions.
pub(super) async fn forgive(connection: &mut Connection, attempts: &[(Uuid, i32)]) -> StatementResult<()> {
    sql(FORGIVE)
        .bind::<Array<SqlUuid>, _>(column(attempts, |(job, _)| *job))
        .bind::<Array<Integer>, _>(column(attempts, |(_, attempt)| *attempt))
        .execute(connection)
        .await?;
    Ok(())
}
