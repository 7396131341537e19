//! Lists of jobs, newest first: by walking along where every job is wanted, and by the index of states and reports where few are.

use diesel::sql_types::{Array, BigInt, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use uuid::Uuid;

use super::connection::Connection;
use super::jobs::with_progress;
use super::rows::{JobRow, artifacts_column, job_columns};
use super::run::StatementResult;
use super::sql::sql;
use diesel::QueryableByName;
use model::job::{Job, JobState};
use store::JobFilter;

/// A caller's own, whatever they are.
const OWN: &str = concat!(
    "select ",
    job_columns!(),
    ", ",
    artifacts_column!(),
    " from jobs j where j.tenant = $1 and j.principal = $2 and j.id < coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
      order by j.tenant desc, j.principal desc, j.id desc limit $4"
);

/// Of a caller's own the newest are looked through for what is wanted: mostly it is among them.
const NEAR: &str = "
    with near as materialized (
        select j.id, case when j.withdrawn_at is null then j.state else 'cancelled' end as state, j.report from jobs j
        where j.tenant = $1 and j.principal = $2 and j.id < coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        order by j.tenant desc, j.principal desc, j.id desc limit $7
    ), wanted as (
        select id from near where ($4::text is null or state = $4) and ($5::text is null or report = $5)
        order by id desc limit $6
    )
    select array(select id from wanted) as ids, (select count(*) from near) < $7 as all_seen";

/// The same for a whole tenant's: among the newest jobs of all tenants.
const NEAR_IN_TENANT: &str = "
    with near as materialized (
        select j.id, j.tenant, case when j.withdrawn_at is null then j.state else 'cancelled' end as state, j.report from jobs j
        where j.id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff') order by j.id desc limit $6
    ), wanted as (
        select id from near where tenant = $1 and ($3::text is null or state = $3) and ($4::text is null or report = $4)
        order by id desc limit $5
    )
    select array(select id from wanted) as ids, (select count(*) from near) < $6 as all_seen";

/// The newest of each state and report that is wanted, and of these the newest. `$2` are the states, `$3` the report, `$4` the principal,
/// `$5` where the page before ended. Reports are found one step of the index each. The principal is compared so that no other index
/// is tempting.
const BY_GROUP: &str = "
    with recursive wanted as (
        select s.state, r.report from unnest($2::text[]) as s(state) cross join lateral (
            select coalesce($3, (select j.report from jobs j where j.tenant = $1 and j.state = s.state
                                 order by j.tenant, j.state, j.report limit 1)) as report
        ) r where r.report is not null
        union all
        select w.state, r.report from wanted w cross join lateral (
            select j.report from jobs j where j.tenant = $1 and j.state = w.state and j.report > w.report
            order by j.tenant, j.state, j.report limit 1
        ) r where $3::text is null
    ), page as materialized (
        select p.id from (
            select n.id from wanted w cross join lateral (
                select j.id from jobs j
                where j.tenant = $1 and j.state = w.state and j.report = w.report and j.withdrawn_at is null
                  and j.id < coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                  and ($4::text is null or j.principal is not distinct from $4::text)
                order by j.tenant desc, j.state desc, j.report desc, j.id desc limit $6
            ) n
            union all
            select n.id from (
                select j.id from jobs j
                where j.tenant = $1 and j.withdrawn_at is not null and 'cancelled' = any($2)
                  and j.id < coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                  and ($3::text is null or j.report is not distinct from $3)
                  and ($4::text is null or j.principal is not distinct from $4::text)
                order by j.tenant desc, j.id desc limit $6
            ) n
        ) p order by p.id desc limit $6
    )
    select array(select id from page) as ids, true as all_seen";

const JOBS: &str = concat!(
    "select ",
    job_columns!(),
    ", ",
    artifacts_column!(),
    " from jobs j where j.id = any($1) order by j.id desc"
);

/// So many of the newest jobs are looked through.
const LOOKED_THROUGH: i64 = 2_000;

#[derive(QueryableByName)]
struct FoundJobs {
    #[diesel(sql_type = Array<SqlUuid>)]
    ids: Vec<Uuid>,
    #[diesel(sql_type = diesel::sql_types::Bool)]
    all_seen: bool,
}

pub(super) async fn list(connection: &mut Connection, filter: JobFilter) -> StatementResult<Vec<Job>> {
    let rows: Vec<JobRow> = if !filter.whole_tenant && filter.state.is_none() && filter.report.is_none() {
        sql(OWN)
            .bind::<Text, _>(filter.caller.tenant.as_str())
            .bind::<Text, _>(filter.caller.principal.as_str())
            .bind::<Nullable<SqlUuid>, _>(filter.before)
            .bind::<BigInt, _>(i64::from(filter.limit))
            .load(connection)
            .await?
    } else {
        let ids = find(connection, &filter).await?;
        sql(JOBS).bind::<Array<SqlUuid>, _>(ids).load(connection).await?
    };
    let jobs = rows.into_iter().map(|row| Ok(row.into_job()?.as_seen())).collect::<StatementResult<Vec<Job>>>()?;
    with_progress(connection, jobs).await
}

async fn find(connection: &mut Connection, filter: &JobFilter) -> StatementResult<Vec<Uuid>> {
    let (state, limit) = (filter.state.map(JobState::as_str), i64::from(filter.limit));
    let near = if filter.whole_tenant {
        sql(NEAR_IN_TENANT).bind::<Text, _>(filter.caller.tenant.as_str())
    } else {
        sql(NEAR).bind::<Text, _>(filter.caller.tenant.as_str()).bind::<Text, _>(filter.caller.principal.as_str())
    };
    let near: FoundJobs = near
        .bind::<Nullable<SqlUuid>, _>(filter.before)
        .bind::<Nullable<Text>, _>(state)
        .bind::<Nullable<Text>, _>(filter.report.as_deref())
        .bind::<BigInt, _>(limit)
        .bind::<BigInt, _>(LOOKED_THROUGH)
        .get_result(connection)
        .await?;
    if near.all_seen || near.ids.len() >= filter.limit as usize {
        return Ok(near.ids);
    }
    let states = state.map_or_else(|| JobState::ALL.iter().map(|state| state.as_str()).collect(), |state| vec![state]);
    let principal = (!filter.whole_tenant).then_some(filter.caller.principal.as_str());
    let found: FoundJobs = sql(BY_GROUP)
        .bind::<Text, _>(filter.caller.tenant.as_str())
        .bind::<Array<Text>, _>(states)
        .bind::<Nullable<Text>, _>(filter.report.as_deref())
        .bind::<Nullable<Text>, _>(principal)
        .bind::<Nullable<SqlUuid>, _>(filter.before)
        .bind::<BigInt, _>(limit)
        .get_result(connection)
        .await?;
    Ok(found.ids)
}
