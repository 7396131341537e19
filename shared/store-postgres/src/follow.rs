//! Following: jobs that joined another one's run, or are answered from its files, take the arrows that it took.
//!
//! A leader changes in a statement of its own, and is followed in the next transaction. What a crash leaves in between is found
//! by the sweeper: where a follower stands can always be told from its leader's row.

use diesel::sql_types::{Array, BigInt, Bool, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::PostgresStore;
use super::column;
use super::connection::Connection;
use super::effects::{EffectRow, Effects, with_effects};
use super::errors::Failure;
use super::rows::IdRow;
use super::run::StatementResult;
use super::sql::{Sql, sql};
use model::reuse::LeaderGap;
use model::transitions::Transition;
use store::Result;

/// A follower takes at most this many arrows to where its leader is: back, on, and to the end.
const MOST_STEPS: usize = 4;

/// Leaders before followers, each in the order of ids.
const LOCK: &str = "select id from jobs where id = any($1) order by id for no key update";

/// One arrow for every follower, as `rule` says: `$2` to `$7` are the gaps there can be and the arrow out of each. `led` are those that
/// are still behind. Who reaches `done` gets the leader's files, with links of its own.
const STEP: &str = with_effects!(
    "with leader as materialized (
        select id, state, attempt, errors, crashes, interruptions, worker_id, phase, rows_read, total_rows, total_is_estimate,
               bytes_written, started_at, next_attempt_at, error, refused
        from jobs where id = any($1)
    ), follower as materialized (
        select id, leader_id, state, attempt, crashes from jobs
        where leader_id = any($1) and state in ",
    store::unfinished_states!(),
    "
        order by id for no key update
    ), rule as materialized (
        select * from unnest($2::text[], $3::text[], $4::bool[], $5::bool[], $6::text[], $7::text[])
        as r(follower, leader, behind, crashed, state, kind)
    ), step as materialized (
        select f.id, f.leader_id, r.state, r.kind
        from follower f join leader l on l.id = f.leader_id
        join rule r on r.follower = f.state and r.leader = l.state and r.behind = (l.attempt > f.attempt)
                   and r.crashed = (l.crashes > f.crashes)
    ), changed as (
        update jobs j
        set state = s.state, seq = j.seq + 1, errors = l.errors, crashes = l.crashes, interruptions = l.interruptions,
            attempt = case when s.state = 'processing' then l.attempt else j.attempt end,
            worker_id = case when s.state = 'processing'
                        then coalesce(l.worker_id, '00000000-0000-0000-0000-000000000000') end,
            phase = l.phase, rows_read = l.rows_read, total_rows = l.total_rows, total_is_estimate = l.total_is_estimate,
            bytes_written = l.bytes_written,
            started_at = case when s.state = 'processing' then greatest(l.started_at, j.created_at) else j.started_at end,
            finished_at = case when s.state in ",
    store::ended_states!(),
    " then now() end,
            next_attempt_at = case when s.state = 'retrying' then coalesce(l.next_attempt_at, now()) end,
            error = case when s.state = 'processing' then j.error else l.error end,
            refused = case when s.state = 'done' then l.refused end
        from step s join leader l on l.id = s.leader_id
        where j.id = any(array[s.id])
        returning j.id, j.seq, j.tenant, j.principal, s.kind, j.state, j.attempt,
                  case when s.kind in ('retrying', 'failed', 'worker_lost') then l.error end as event_error,
                  j.next_attempt_at, j.notify, j.lane, j.report, j.traceparent, null::bigint as delay_ms, false as ring,
                  (j.state, j.attempt) is distinct from (l.state, l.attempt) as led, false as quiet, j.leader_id, j.link_seeds,
                  j.refused
    ), made as materialized (
        select waitless_uuid_v7() as id, c.id as job_id, c.tenant, seed.link_id, decode(seed.link_hash, 'hex') as link_hash,
               a.attempt, a.format, a.object_key, a.filename, a.bytes, a.rows, a.sha256, a.complete, a.snapshot_at, a.expires_at
        from changed c
        cross join lateral json_to_recordset(c.link_seeds) as seed(format text, link_id uuid, link_hash text)
        join artifacts a on a.job_id = any(array[c.leader_id]) and a.format = seed.format
        where c.state = 'done'
    ), artifact as (
        insert into artifacts (id, job_id, attempt, format, object_key, filename, bytes, rows, sha256, complete, snapshot_at,
                               link_id, expires_at)
        select id, job_id, attempt, format, object_key, filename, bytes, rows, sha256, complete, snapshot_at, link_id, expires_at
        from made
    ), link as (
        insert into links (token_hash, artifact_id, tenant, expires_at) select link_hash, id, tenant, expires_at from made
    )"
);

/// Completes a statement with a part `leader` that holds the ids of jobs with followers that are not final: one step of an index each,
/// however many followers they have. Its last id may be null. The states are
/// written one by one because so they fit no index but that of followers.
macro_rules! leaders {
    ($($then:expr),+ $(,)?) => {
        concat!(
            "with recursive leader as (
                (select leader_id as id from jobs
                 where leader_id is not null and (state = 'pending' or state = 'processing' or state = 'retrying')
                 order by leader_id limit 1)
                union all
                select (select j.leader_id from jobs j
                        where j.leader_id > leader.id and j.leader_id is not null and (j.state = 'pending' or j.state = 'processing' or j.state = 'retrying')
                        order by j.leader_id limit 1)
                from leader where leader.id is not null
            ) ",
            $($then,)+
        )
    };
}
pub(super) use leaders;

/// Leaders with followers that are not where they are. The one that is furthest behind in each state tells of all.
const BEHIND: &str = leaders!(
    "select l.id from (select id from leader where id is not null limit 10000) k
    cross join lateral (select j.id, j.attempt, j.state from jobs j where j.id = any(array[k.id]) limit 1) l
    cross join lateral unnest(array['pending', 'processing', 'retrying']) as s(state)
    cross join lateral (
        select f.attempt from jobs f
        where f.leader_id = any(array[l.id]) and f.state = s.state and f.leader_id is not null and f.state in ",
    store::unfinished_states!(),
    " order by f.attempt limit 1
    ) f
    where l.attempt > f.attempt or (s.state = 'processing' and l.state <> 'processing')
    group by l.id limit $1"
);

impl PostgresStore {
    /// Brings followers up to leaders that have just changed. What cannot be done now is left to the sweeper.
    pub(super) async fn lead(&self, leaders: Vec<Uuid>) {
        let count = leaders.len();
        let led = self.attempt(move |connection| lead_all(connection, leaders).boxed()).await;
        match led {
            Ok(effects) if effects.is_empty() => {}
            Ok(effects) => self.after.committed(effects.outbox, effects.events),
            Err(error) => tracing::warn!(%error, count, "jobs could not follow their leaders yet; the sweeper goes on"),
        }
    }

    pub(super) async fn lead_behind(&self, limit: u32) -> Result<u32> {
        self.change(move |connection| {
            async move {
                let behind: Vec<IdRow> = sql(BEHIND).bind::<BigInt, _>(i64::from(limit)).load(connection).await?;
                if behind.is_empty() {
                    return Ok((0, Effects::default()));
                }
                let effects = lead_all(connection, column(&behind, |row| row.id)).await?;
                Ok((u32::try_from(effects.events.len()).unwrap_or(u32::MAX), effects))
            }
            .boxed()
        })
        .await
    }
}

pub(super) async fn lead_all(connection: &mut Connection, leaders: Vec<Uuid>) -> StatementResult<Effects> {
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let _locked: Vec<IdRow> = sql(LOCK).bind::<Array<SqlUuid>, _>(leaders.as_slice()).load(connection).await?;
            follow(connection, &leaders).await
        })
        .await
}

/// Takes the followers of these jobs, whose rows are locked or final, to where they are.
pub(super) async fn follow(connection: &mut Connection, leaders: &[Uuid]) -> StatementResult<Effects> {
    let mut effects = Effects::default();
    for _ in 0..MOST_STEPS {
        let rows: Vec<EffectRow> = bind_rule(sql(STEP).bind::<Array<SqlUuid>, _>(leaders)).load(connection).await?;
        let mut step = Effects::read(rows)?;
        let behind = !std::mem::take(&mut step.led).is_empty();
        effects.append(step);
        if !behind {
            break;
        }
    }
    Ok(effects)
}

/// Binds every gap between a follower and its leader that has an arrow out of it, and where that leads.
fn bind_rule(statement: Sql<'_>) -> Sql<'_> {
    let rule: Vec<(LeaderGap, Transition)> = LeaderGap::all().filter_map(|gap| Some((gap, gap.next_step()?))).collect();
    statement
        .bind::<Array<Text>, _>(column(&rule, |(gap, _)| gap.follower.as_str()))
        .bind::<Array<Text>, _>(column(&rule, |(gap, _)| gap.leader.as_str()))
        .bind::<Array<Bool>, _>(column(&rule, |(gap, _)| gap.behind))
        .bind::<Array<Bool>, _>(column(&rule, |(gap, _)| gap.crashed))
        .bind::<Array<Text>, _>(column(&rule, |(_, arrow)| arrow.to().as_str()))
        .bind::<Array<Text>, _>(column(&rule, |(_, arrow)| arrow.event().as_str()))
}
