//! How long runs took, and who is in line.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::errors::unreadable;
use super::floors::TimedLine;
use super::rows::from_json;
use super::run::StatementResult;
use super::running::running_on_worker;
use super::sql::sql;
use super::{PostgresStore, column, rows};
use model::forecast::{FinishedRun, RunKey};
use model::job::{Caller, Lane};
use store::{ForecastStore, QueuePage, QueuePart, QueueStatus, QueuedJob, Result, RunTimes, RunsQuery};

/// Newest first by the index, a report at a time.
const RUNS: &str = "
    select w.place, r.*
    from unnest($1::text[], $2::text[], $3::timestamptz[]) with ordinality as w(tenant, report, after, place)
    cross join lateral (
        select j.id, j.report_version, j.params::text as params, j.formats::text as formats, j.rows_read, j.created_at, j.started_at,
               j.finished_at, j.attempt, j.errors + j.crashes + j.interruptions as lost, j.forecast::text as forecast
        from jobs j
        where j.tenant = w.tenant and j.report = w.report and j.state = 'done' and j.leader_id is null
          and j.made_from is null and j.started_at >= j.created_at
          and j.finished_at > coalesce(w.after, '-infinity')
        order by j.finished_at desc, j.id desc limit $4
    ) r
    order by w.place, r.finished_at, r.id";

/// `$1` the lanes and `$2` their floors.
const LINE: &str = concat!(
    "
    with waiting as (
        select j.* from unnest($1::text[], $2::timestamptz[]) as l(lane, since)
        cross join lateral (
            select id, tenant, principal, report, report_version, lane, params, formats, attempt, rung_at, made_from
            from jobs where state = 'pending' and lane = l.lane and leader_id is null and rung_at >= l.since and rung_at < '9000-01-01'
            order by rung_at limit $3
        ) j
    ), running as (
        select r.* from workers w cross join lateral ",
    running_on_worker!(
        "j.id, j.tenant, j.principal, j.report, j.report_version, j.lane, j.params, j.formats, j.attempt, j.started_at, j.made_from"
    ),
    " r limit $3
    )
    select id, tenant, principal, report, report_version, lane, params::text as params, formats::text as formats, attempt,
           null::timestamptz as started_at, made_from, rung_at as place
    from waiting
    union all
    select id, tenant, principal, report, report_version, lane, params::text, formats::text, attempt, started_at, made_from, null
    from running
    order by lane, place"
);

/// A page of a lane's queue. Where it is full, those that were rung in its last moment are left to the next page, which begins there:
/// what was submitted together was rung in one moment. Unless it holds nothing else.
const PAGE: &str = "
    with page as materialized (
        select rung_at from jobs
        where state = 'pending' and lane = $1 and leader_id is null and rung_at >= $2 and rung_at > coalesce($3::timestamptz, '-infinity')
          and rung_at <= coalesce($4::timestamptz, '9000-01-01')
        order by rung_at limit $5
    ), size as materialized (
        select count(*) as count, min(rung_at) as first, max(rung_at) as last from page
    )
    select count(p.rung_at) as count, max(p.rung_at) as until, (select count from size) >= $5 as full
    from page p cross join size s where s.count < $5 or p.rung_at < s.last or s.first = s.last";

/// A worker that was silent for this long runs nothing new.
const PLACES: &str = "
    select lane, sum(concurrency)::bigint as slots from workers cross join lateral unnest(lanes) as lane
    where heartbeat_at > now() - interval '5 seconds' group by lane";

#[derive(QueryableByName)]
struct RunRow {
    #[diesel(sql_type = BigInt)]
    place: i64,
    #[diesel(sql_type = Text)]
    report_version: String,
    #[diesel(sql_type = Text)]
    params: String,
    #[diesel(sql_type = Text)]
    formats: String,
    #[diesel(sql_type = BigInt)]
    rows_read: i64,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    started_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    finished_at: DateTime<Utc>,
    #[diesel(sql_type = Integer)]
    attempt: i32,
    #[diesel(sql_type = Integer)]
    lost: i32,
    #[diesel(sql_type = Nullable<Text>)]
    forecast: Option<String>,
}

impl RunRow {
    fn read(self) -> StatementResult<FinishedRun> {
        let times = RunTimes {
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            attempt: self.attempt,
            lost: self.lost,
        };
        let (waited_ms, took_ms, total_ms) = times.spans();
        Ok(FinishedRun {
            run_key: RunKey::of(&self.report_version, &self.params, &self.formats),
            rows: self.rows_read.unsigned_abs(),
            waited_ms,
            took_ms,
            total_ms,
            forecast: self.forecast.as_deref().map(from_json).transpose()?,
            finished_at: self.finished_at,
        })
    }
}

#[derive(QueryableByName)]
struct LineRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    tenant: String,
    #[diesel(sql_type = Text)]
    principal: String,
    #[diesel(sql_type = Text)]
    report: String,
    #[diesel(sql_type = Text)]
    report_version: String,
    #[diesel(sql_type = Text)]
    lane: String,
    #[diesel(sql_type = Text)]
    params: String,
    #[diesel(sql_type = Text)]
    formats: String,
    #[diesel(sql_type = Integer)]
    attempt: i32,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    started_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    made_from: Option<Uuid>,
}

impl LineRow {
    fn read(self) -> StatementResult<QueuedJob> {
        Ok(QueuedJob {
            id: self.id,
            run_key: RunKey::of(&self.report_version, &self.params, &self.formats),
            caller: Caller { tenant: self.tenant, principal: self.principal },
            report: self.report,
            lane: self.lane.parse().map_err(unreadable)?,
            attempt: self.attempt,
            started_at: self.started_at,
            made_from: self.made_from,
        })
    }
}

#[derive(QueryableByName)]
struct PageRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    until: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    full: bool,
}

#[derive(QueryableByName)]
struct SlotsRow {
    #[diesel(sql_type = Text)]
    lane: String,
    #[diesel(sql_type = BigInt)]
    slots: i64,
}

impl SlotsRow {
    fn read(self) -> StatementResult<(Lane, u64)> {
        Ok((self.lane.parse().map_err(unreadable)?, self.slots.unsigned_abs()))
    }
}

#[async_trait]
impl ForecastStore for PostgresStore {
    async fn finished_runs(&self, of: Vec<RunsQuery>, limit: u32) -> Result<Vec<Vec<FinishedRun>>> {
        self.read(move |connection| {
            async move {
                let mut runs: Vec<Vec<FinishedRun>> = of.iter().map(|_| Vec::new()).collect();
                let found: Vec<RunRow> = sql(RUNS)
                    .bind::<Array<Text>, _>(column(&of, |of| of.tenant.as_str()))
                    .bind::<Array<Text>, _>(column(&of, |of| of.report.as_str()))
                    .bind::<Array<Nullable<Timestamptz>>, _>(column(&of, |of| of.after))
                    .bind::<BigInt, _>(i64::from(limit))
                    .load(connection)
                    .await?;
                for row in found {
                    let place = usize::try_from(row.place - 1).unwrap_or(usize::MAX);
                    if let Some(runs) = runs.get_mut(place) {
                        runs.push(row.read()?);
                    }
                }
                Ok(runs)
            }
            .boxed()
        })
        .await
    }

    async fn queue_status(&self, limit: u32) -> Result<QueueStatus> {
        let line = sql(LINE)
            .bind::<Array<Text>, _>(Lane::ALL.map(|lane| lane.as_str()).to_vec())
            .bind::<Array<Timestamptz>, _>(Lane::ALL.map(|lane| self.floors.of(TimedLine::Pending(lane))).to_vec())
            .bind::<BigInt, _>(i64::from(limit));
        self.read(move |connection| {
            async move {
                let found: Vec<LineRow> = line.load(connection).await?;
                let all = found.into_iter().map(LineRow::read).collect::<StatementResult<Vec<_>>>()?;
                let (running, waiting): (Vec<_>, Vec<_>) = all.into_iter().partition(|job| job.started_at.is_some());
                let rows: Vec<SlotsRow> = sql(PLACES).load(connection).await?;
                let slots = rows.into_iter().map(SlotsRow::read).collect::<StatementResult<Vec<_>>>()?;
                let slots = slots.into_iter().map(|(lane, n)| (lane, u32::try_from(n).unwrap_or(u32::MAX)));
                Ok(QueueStatus { now: rows::now(connection).await?, waiting, running, slots: slots.collect() })
            }
            .boxed()
        })
        .await
    }

    async fn count_waiting(&self, lane: Lane, part: QueuePart, limit: u32) -> Result<QueuePage> {
        let statement = sql(PAGE)
            .bind::<Text, _>(lane.as_str())
            .bind::<Timestamptz, _>(self.floors.of(TimedLine::Pending(lane)))
            .bind::<Nullable<Timestamptz>, _>(part.after)
            .bind::<Nullable<Timestamptz>, _>(part.until)
            .bind::<BigInt, _>(i64::from(limit));
        let row: PageRow =
            self.read(move |connection| async move { Ok(statement.get_result(connection).await?) }.boxed()).await?;
        Ok(QueuePage { count: row.count.unsigned_abs(), until: row.until, full: row.full })
    }
}
