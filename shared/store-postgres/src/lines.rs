//! The lines of jobs that wait for a place under a limit: who is next in them is rung for.

use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use futures_util::FutureExt as _;

use super::connection::Connection;
use super::effects::{EffectRow, Effects};
use super::errors::Failure;
use super::ring::ring;
use super::run::StatementResult;
use super::sql::sql;
use super::{PostgresStore, column};
use model::job::Lane;
use model::limits::LINE_PREFIX;
use store::Result;

// The texts say it, and that it is 9 long.
const _: () = assert!(LINE_PREFIX.len() == 9);

/// Jobs that one statement rings for in a line that is none any more, so often at most in a row.
const RELEASED_AT_ONCE: u32 = 20;
const RELEASES: u32 = 50;
/// Lines that one statement looks at.
const LINES_AT_ONCE: usize = 4;

/// Lines where fewer run than may, some of them where there are many: one step of the index a line, however many wait in it.
const WITH_PLACES: &str = "
    with recursive kept as (
        (select set_aside from jobs where set_aside is not null order by set_aside limit 1)
        union all
        select (select j.set_aside from jobs j where j.set_aside is not null and j.set_aside > kept.set_aside order by j.set_aside limit 1)
        from kept where kept.set_aside is not null
    ), line as materialized (
        select substr(set_aside, 10) as name from kept where set_aside like '=/report:%:%'
    )
    select line.name from line
    left join run_limits l on l.name = line.name
    left join run_limits k on line.name like 'key:%' and k.name = 'key:' || split_part(line.name, ':', 2)
    where coalesce(l.most, k.most) is null or coalesce(l.most, k.most) > (
        select count(*) from unnest(l.holders) h(id) join jobs j on j.id = any(array[h.id])
        where j.state is not distinct from 'processing')
    order by random() limit 100";

/// Whoever starts a job under a limit, or puts one in its line, holds its row: what is read after this is how all of them left it.
pub(super) const HOLD_LIMITS: &str = "select name from run_limits where name = any($1) order by name for no key update";

/// `$1` the limits, `$2` the lanes, `$3` how many where there is no limit any more. Those that were rung for and have not been taken yet
/// count in their lane. Of each tenant the oldest are next; those tenants first that have least under way there.
const RING_LINES: &str = ring!(
    "with recursive line as materialized (
        select n.name, '=/report:' || n.name as aside, coalesce(l.most, k.most) as most, coalesce(l.holders, '{}') as holders
        from unnest($1::text[]) n(name)
        left join run_limits l on l.name = n.name
        left join run_limits k on n.name like 'key:%' and k.name = 'key:' || split_part(n.name, ':', 2)
    ), standing as materialized (
        select line.name, j.id, j.state, j.lane, j.tenant from line cross join lateral unnest(line.holders) h(id)
        join jobs j on j.id = any(array[h.id])
        where j.state is not distinct from 'processing'
           or (j.state || '' = 'pending' and j.set_aside is null)
           or (j.state || '' = 'retrying' and j.set_aside is null and j.next_attempt_at <= now())
    ), place as materialized (
        select line.name, line.aside, lanes.lane, coalesce(line.most - (
            select count(*) from standing s where s.name = line.name and (s.state = 'processing' or s.lane = lanes.lane)
        ), $3) as free
        from line cross join unnest($2::text[]) as lanes(lane)
    ), walk as (
        select p.name, p.aside, p.lane, p.free, (
            select j.tenant from jobs j where j.set_aside = p.aside and j.lane = p.lane order by j.tenant limit 1
        ) as tenant
        from place p where p.free > 0
        union all
        select w.name, w.aside, w.lane, w.free, (
            select j.tenant from jobs j
            where j.set_aside = w.aside and j.lane = w.lane and j.tenant > w.tenant order by j.tenant limit 1)
        from walk w where w.tenant is not null
    ), candidate as materialized (
        select w.name, w.lane, w.free, j.id, j.created_at, (
            select count(*) from standing s where s.name = w.name and s.tenant = w.tenant
        ) + row_number() over (partition by w.name, w.lane, w.tenant order by j.created_at, j.id) as rank
        from walk w cross join lateral (
            select id, created_at from jobs
            where set_aside = w.aside and lane = w.lane and tenant = w.tenant order by created_at limit w.free
        ) j
        where w.tenant is not null
    ), chosen as materialized (
        select id, name from (
            select c.*, row_number() over (partition by name, lane order by rank, created_at, id) as place from candidate c
        ) r where place <= free
    ), locked as materialized (
        select j.id, c.name from chosen c join jobs j on j.id = any(array[c.id])
        where j.set_aside = '=/report:' || c.name order by j.id for no key update of j skip locked
    ), due as (
        update jobs j set set_aside = null, rung_at = now() from locked where j.id = any(array[locked.id])
        returning j.id, 'run-job' as kind, j.lane as queue, j.traceparent, locked.name
    ), noted as (
        update run_limits l set changed_at = now(), holders = array(
            select s.id from standing s where s.name = l.name union select d.id from due d where d.name = l.name)
        where l.name = any($1) and exists (select from due d where d.name = l.name)
    )"
);

#[derive(QueryableByName)]
struct LineNameRow {
    #[diesel(sql_type = Text)]
    name: String,
}

impl PostgresStore {
    pub(super) async fn lines_with_places(&self) -> Result<Vec<String>> {
        self.read(|connection| {
            async move {
                let rows: Vec<LineNameRow> = sql(WITH_PLACES).load(connection).await?;
                Ok(column(&rows, |row| row.name.clone()))
            }
            .boxed()
        })
        .await
    }

    /// Rings for whoever is next in the lines of limits that may have a free place now. What cannot be done now is left to the sweeper.
    pub(super) async fn fill_lines(&self, limits: Vec<String>) {
        match self.attempt(move |connection| ring_next(connection, limits).boxed()).await {
            Ok(effects) if effects.is_empty() => {}
            Ok(effects) => self.after.committed(effects.outbox, effects.events),
            Err(error) => tracing::warn!(%error, "who waits for a free place is not rung for yet; the sweeper does it"),
        }
    }

    /// Rings for whoever is next in these lines, some lines after the other.
    pub(super) async fn ring_lines(&self, limits: &[String]) -> Result<u32> {
        let mut all = 0;
        for some in limits.chunks(LINES_AT_ONCE) {
            for _ in 0..RELEASES {
                let rung = self.ring_some_lines(some.to_vec()).await?;
                all += rung;
                if rung < RELEASED_AT_ONCE {
                    break;
                }
            }
        }
        Ok(all)
    }

    async fn ring_some_lines(&self, limits: Vec<String>) -> Result<u32> {
        self.change(move |connection| {
            async move {
                let effects = ring_next(connection, limits).await?;
                Ok((u32::try_from(effects.outbox.len()).unwrap_or(u32::MAX), effects))
            }
            .boxed()
        })
        .await
    }
}

pub(super) async fn ring_next(connection: &mut Connection, mut limits: Vec<String>) -> StatementResult<Effects> {
    limits.sort_unstable();
    limits.dedup();
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            sql(HOLD_LIMITS).bind::<Array<Text>, _>(limits.as_slice()).execute(connection).await?;
            let rows: Vec<EffectRow> = sql(RING_LINES)
                .bind::<Array<Text>, _>(limits)
                .bind::<Array<Text>, _>(Lane::ALL.map(|lane| lane.as_str()).to_vec())
                .bind::<BigInt, _>(i64::from(RELEASED_AT_ONCE))
                .load(connection)
                .await?;
            Effects::read(rows)
        })
        .await
}
