//! What a claim by turn looks at before it decides: hints, tenants, who runs, what is paused, in one statement.

use std::collections::HashSet;

use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::PostgresStore;
use super::rows::from_json;
use super::running::running_on_worker;
use super::sql::sql;
use super::turn_view::TurnView;
use super::turns::is_open;
use store::{Claimed, Result, TurnRequest};

/// Tenants that are looked at, those first that have used least, beyond as many as there are doorbells.
const TENANTS: i64 = 16;
/// Principals of each.
const PRINCIPALS: i64 = 8;

/// All that a decision needs. `$1` the hints, `$2` the lanes, `$3` and `$4` how many tenants and principals of each, `$5` the worker.
const LOOK: &str = concat!(
    "select json_build_object(
        'now', now(),
        'registered', exists (select from workers where id = $5),
        'paused', (select coalesce(json_agg(json_build_object('tenant', nullif(p.tenant, ''), 'kind', p.kind, 'name', p.name)), '[]')
                   from pauses p),
        'versions', (select coalesce(json_object_agg(r.version, r.source), '{}') from report_versions r
                     where r.source in (select p.name from pauses p where p.kind = 'source')),
        'hints', (select coalesce(json_agg(h), '[]') from (
            select j.id, j.state, j.worker_id, j.crashes, j.lane, j.tenant, j.principal, j.report, j.report_version, j.created_at,
                   j.leader_id is not null as follows, j.set_aside is not null as set_aside,
                   greatest(0, extract(epoch from j.next_attempt_at - now()) * 1000)::bigint as due_ms,
                   j.state = 'pending' and 2 > (
                       select count(*) from turns t where t.lane = j.lane and t.tenant = j.tenant
                         and (t.principal = '' or t.principal = j.principal) and not t.idle) as unlisted
            from jobs j where j.id = any($1)) h),
        'tenants', (select coalesce(json_agg(l), '[]') from (
            select t.lane, t.tenant, t.pass, t.weight, (
                select coalesce(json_agg(json_build_array(q.principal, q.pass)), '[]') from (
                    select p.principal, p.pass from turns p
                    where p.lane = t.lane and p.tenant = t.tenant and p.principal <> '' and not p.idle order by p.pass limit $4) q
                ) as principals
            from (
                select u.* from turns u where u.lane = any($2) and u.principal = '' and not u.idle
                  and not exists (select from pauses x where x.kind = 'tenant' and x.name = u.tenant)
                order by u.pass limit $3
            ) t) l),
        'running', (select coalesce(json_agg(q), '[]') from (
            select r.lane, r.tenant, r.principal, count(*) as count,
                   sum(greatest(0, extract(epoch from now() - r.started_at)))::float8 * 1000 as ms
            from workers w cross join lateral ",
    running_on_worker!("j.lane, j.tenant, j.principal, j.started_at"),
    " r where r.lane = any($2) group by r.lane, r.tenant, r.principal) q)
    )::text as text"
);

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = Text)]
    text: String,
}

impl PostgresStore {
    /// Looks at all that a decision about these doorbells needs, as far as they are not answered.
    pub(super) async fn look(
        &self,
        worker_id: Uuid,
        requests: &[TurnRequest],
        outcomes: &[Option<Claimed>],
    ) -> Result<TurnView> {
        let open = || requests.iter().enumerate().filter(|(place, _)| is_open(outcomes, *place)).map(|(_, one)| one);
        let hints: Vec<Uuid> = open().map(|one| one.hint).collect();
        let lanes: HashSet<&'static str> = open().map(|one| one.lane.as_str()).collect();
        let most = TENANTS + i64::try_from(hints.len()).unwrap_or(i64::MAX - TENANTS);
        let statement = sql(LOOK)
            .bind::<Array<SqlUuid>, _>(hints)
            .bind::<Array<Text>, _>(lanes.into_iter().collect::<Vec<_>>())
            .bind::<BigInt, _>(most)
            .bind::<BigInt, _>(PRINCIPALS)
            .bind::<SqlUuid, _>(worker_id);
        self.read(move |connection| {
            async move {
                let row: TextRow = statement.get_result(connection).await?;
                from_json(&row.text)
            }
            .boxed()
        })
        .await
    }
}
