//! The rows of turns: who may have jobs that wait, and what each has used.

use diesel::sql_types::{Array, Double, Text};
use diesel_async::RunQueryDsl as _;

use super::column;
use super::connection::Connection;
use super::run::StatementResult;
use super::sql::{Sql, sql};
use super::turn_memory::{DueTurns, TurnKey};

/// A part that lists in turns whoever has a job in `$source`, with the columns `lane, tenant, principal`. Who comes, or comes back, is no
/// further than who has used the least of those who are there, or the most of those who were; and no more than a minute behind.
/// In one order, so that nobody waits in a circle; who is listed already is only looked up.
macro_rules! list_turns {
    ($source:literal) => {
        concat!(
            "insert into turns (lane, tenant, principal, pass)
             select g.lane, g.tenant, g.principal, coalesce(
                 case when g.principal = ''
                      then (select min(t.pass) from turns t where t.lane = g.lane and t.principal = '' and not t.idle)
                      else (select min(t.pass) from turns t
                            where t.lane = g.lane and t.tenant = g.tenant and t.principal <> '' and not t.idle) end,
                 case when g.principal = '' then (select max(t.pass) from turns t where t.lane = g.lane and t.principal = '')
                      else (select max(t.pass) from turns t where t.lane = g.lane and t.tenant = g.tenant and t.principal <> '') end,
                 0)
             from (select distinct i.lane, i.tenant, v.principal
                   from ",
            $source,
            " i cross join lateral (values (''), (i.principal)) v(principal)) g
             where not exists (select from turns t
                               where t.lane = g.lane and t.tenant = g.tenant and t.principal = g.principal and not t.idle)
             order by g.lane, g.tenant, g.principal
             on conflict (lane, tenant, principal) do update
             set idle = false, changed_at = now(), pass = least(greatest(turns.pass, excluded.pass), excluded.pass + 60000)
             where turns.idle"
        )
    };
}
pub(super) use list_turns;

const LIST: &str = concat!(
    "with waiting as (
        select * from unnest($1::text[], $2::text[], $3::text[]) as w(lane, tenant, principal)
    ) ",
    list_turns!("waiting")
);

/// Locked in one order.
const WRITE_USED: &str = "
    with used as (
        select * from unnest($1::text[], $2::text[], $3::text[], $4::float8[]) as u(lane, tenant, principal, ms)
    ), locked as materialized (
        select t.lane, t.tenant, t.principal, u.ms from used u
        join turns t on t.lane = u.lane and t.tenant = u.tenant and t.principal = u.principal
        order by t.lane, t.tenant, t.principal for no key update of t
    )
    update turns t set pass = t.pass + l.ms / t.weight, changed_at = now()
    from locked l where t.lane = l.lane and t.tenant = l.tenant and t.principal = l.principal";

const WRITE_WEIGHTS: &str = "
    update turns t set weight = w.weight
    from unnest($1::text[], $2::text[], $3::text[], $4::float8[]) as w(lane, tenant, principal, weight)
    where t.lane = w.lane and t.tenant = w.tenant and t.principal = w.principal and t.weight <> w.weight";

/// A submit that is under way sees them listed and lists nobody; its doorbell names a job, and whoever takes that lists them again.
/// Where somebody else is at a row it stays as it is for now.
const MARK_IDLE: &str = "
    with empty as materialized (
        select t.lane, t.tenant, t.principal from unnest($1::text[], $2::text[], $3::text[]) as e(lane, tenant, principal)
        join turns t on t.lane = e.lane and t.tenant = e.tenant and t.principal = e.principal
        where not t.idle and not exists (
            select from jobs j where j.lane = e.lane and j.tenant = e.tenant and j.principal = e.principal
              and j.state = 'pending' and j.leader_id is null and j.crashes < 2 and j.set_aside is null)
        for no key update of t skip locked
    )
    update turns t set idle = true, changed_at = now()
    from empty e where t.lane = e.lane and t.tenant = e.tenant and t.principal = e.principal";

const MARK_TENANTS_IDLE: &str = "
    with empty as materialized (
        select t.lane, t.tenant from (select distinct * from unnest($1::text[], $2::text[]) as u(lane, tenant)) e
        join turns t on t.lane = e.lane and t.tenant = e.tenant and t.principal = ''
        where not t.idle and not exists (
            select from turns p where p.lane = e.lane and p.tenant = e.tenant and p.principal <> '' and not p.idle)
        for no key update of t skip locked
    )
    update turns t set idle = true, changed_at = now()
    from empty e where t.lane = e.lane and t.tenant = e.tenant and t.principal = ''";

/// Who had nothing for an hour is a newcomer.
const FORGET: &str = "
    delete from turns t using (
        select lane, tenant, principal from turns where idle and changed_at < now() - interval '1 hour'
        order by changed_at limit 100 for update skip locked
    ) f where t.lane = f.lane and t.tenant = f.tenant and t.principal = f.principal";

fn bind_keys<'a>(statement: Sql<'a>, keys: &[&'a TurnKey]) -> Sql<'a> {
    statement
        .bind::<Array<Text>, _>(column(keys, |key| key.lane.as_str()))
        .bind::<Array<Text>, _>(column(keys, |key| key.tenant.as_str()))
        .bind::<Array<Text>, _>(column(keys, |key| key.principal.as_str()))
}

/// Lists whoever has a job that waits and is not listed.
pub(super) async fn list(connection: &mut Connection, missing: &[TurnKey]) -> StatementResult<()> {
    if !missing.is_empty() {
        bind_keys(sql(LIST), &missing.iter().collect::<Vec<_>>()).execute(connection).await?;
    }
    Ok(())
}

/// Writes what has come together since the last time.
pub(super) async fn write(connection: &mut Connection, due: &DueTurns) -> StatementResult<()> {
    for (text, changes) in [(WRITE_WEIGHTS, &due.weights), (WRITE_USED, &due.used)] {
        if !changes.is_empty() {
            let keys: Vec<&TurnKey> = changes.iter().map(|(key, _)| key).collect();
            let statement = bind_keys(sql(text), &keys);
            statement.bind::<Array<Double>, _>(column(changes, |(_, value)| *value)).execute(connection).await?;
        }
    }
    if !due.empty.is_empty() {
        let keys: Vec<&TurnKey> = due.empty.iter().collect();
        bind_keys(sql(MARK_IDLE), &keys).execute(connection).await?;
        sql(MARK_TENANTS_IDLE)
            .bind::<Array<Text>, _>(column(&keys, |key| key.lane.as_str()))
            .bind::<Array<Text>, _>(column(&keys, |key| key.tenant.as_str()))
            .execute(connection)
            .await?;
    }
    sql(FORGET).execute(connection).await?;
    Ok(())
}
