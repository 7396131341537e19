// Over 300 lines: the statements of one table and the one implementation of its part of the contract.
//! Schedules: what people asked for, and what of it is due.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Double, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::connection::Connection;
use super::errors::Failure;
use super::floors::TimedLine;
use super::rows::to_json;
use super::run::StatementResult;
use super::schedule_rows::{DueRow, FiringRow, NoticeRow, ScheduleRow, firing_columns, schedule_columns};
use super::sql::sql;
use super::{PostgresStore, column, firings, in_catalogue, millis, notices, schedule_steps};
use model::schedule::{Firing, NextFiring, Notice, Schedule, write_nominal};
use store::{
    AskedFiring, COUNTED_AT_MOST, CatalogueEdition, DueSchedule, EVENTS_WITHIN, EndedFiring, FireOutcome, HoldTimes,
    InForce, NewSchedule, NoticeEnding, Result, ScheduleChange, ScheduleCounts, ScheduleFilter, ScheduleStep,
    ScheduleStore, StepOutcome, silent_notice,
};

const CREATE: &str = concat!(
    "
    with made as (
        insert into schedules (id, tenant, principal, settings, next_nominal, next_due, look_at, alarm_after_ms, alarm_at,
                               catalogue, editions, held_at)
        values ($1, $2, $3, $4::json, $5, $6, case when $6 is not null then greatest($6, now()) end, $7,
                now() + $7 * interval '1 millisecond', $8, $9, case when $8 is not null then now() end)
        on conflict (tenant, catalogue) where catalogue is not null do nothing
        returning *
    )
    select ",
    schedule_columns!(),
    " from made s"
);

const ONE: &str = concat!("select ", schedule_columns!(), " from schedules s where s.tenant = $1 and s.id = $2");

const OF_PRINCIPAL: &str = concat!(
    "select ",
    schedule_columns!(),
    " from schedules s where s.tenant = $1 and s.principal = $2 and s.id > $3 order by s.tenant, s.principal, s.id limit $4"
);

const OF_TENANT: &str = concat!(
    "select ",
    schedule_columns!(),
    " from schedules s where s.tenant = $1 and s.id > $2 order by s.tenant, s.id limit $3"
);

/// Whoever resumes begins with a clean slate.
const CHANGE: &str = concat!(
    "
    with changed as (
        update schedules s set principal = $4, settings = $5::json, paused_why = $6,
            state = case when $6::text is null then 'active' else 'paused' end,
            failures = case when $6::text is null and s.state = 'paused' then 0 else s.failures end,
            next_nominal = $7, next_due = $8, look_at = case when $6::text is null and $8 is not null then greatest($8, now()) end,
            waiting = false, alarm_after_ms = $9,
            alarm_at = case when $6::text is null and not $11 then now() + $9 * interval '1 millisecond' end, silent = false,
            version = s.version + 1, updated_at = now(), editions = coalesce($10, s.editions),
            held_at = case when $10 is null then s.held_at else now() end
        where s.tenant = $1 and s.id = $2 and s.version = $3
        returning *
    )
    select ",
    schedule_columns!(),
    " from changed s"
);

const DELETE: &str = "delete from schedules where tenant = $1 and id = $2";

/// `skip locked` with a limit counts right only in a part that is evaluated once.
const CLAIM: &str = concat!(
    "
    with due as materialized (
        select id from schedules where look_at >= $3 and look_at <= now()
        order by look_at, id limit $1 for update skip locked
    ), claimed as (
        update schedules s set look_at = now() + $2 * interval '1 millisecond' from due where s.id = any(array[due.id])
        returning s.*
    )
    select ",
    schedule_columns!(),
    ", (select j.state from jobs j where j.id = s.last_job_id) as last_job, now() as now,
       case when s.settings->>'latest' is null then '{}'::timestamptz[]
            else array(select f.at from firings f where f.schedule_id = s.id and f.data_version is not null
                       and f.at >= s.next_due - $4 * interval '1 millisecond' order by f.at) end as events
       from claimed s order by s.next_due, s.id"
);

const SILENT: &str = concat!(
    "
    with due as materialized (
        select id from schedules where alarm_at <= now() order by alarm_at limit $1 for update skip locked
    ), found as (
        update schedules s set alarm_at = null, silent = true from due where s.id = any(array[due.id]) returning s.*
    )
    select ",
    schedule_columns!(),
    " from found s"
);

/// Counting stops where nobody would read the number.
const COUNTS: &str = "
    select (select count(*) from (select from schedules where silent limit $1) n) as silent,
           (select count(*) from (select from schedules where state = 'paused' and paused_why <> 'asked' limit $1) n) as stopped,
           (select count(*) from (select from schedule_notices where due_at is not null limit $1) n) as notices,
           (select look_at from schedules where look_at >= $2 order by look_at limit 1) as oldest,
           (select look_at from firings where look_at >= $3 order by look_at limit 1) as oldest_firing,
           coalesce(extract(epoch from now() - (select look_at from schedules where look_at >= $2 order by look_at limit 1)), 0)::float8
               as overdue,
           now() as now";

const FIRINGS: &str = concat!(
    "select ",
    firing_columns!(),
    " from firings f where f.schedule_id = $1 order by f.schedule_id desc, f.id desc limit $2"
);

#[derive(QueryableByName)]
struct CountsRow {
    #[diesel(sql_type = BigInt)]
    silent: i64,
    #[diesel(sql_type = BigInt)]
    stopped: i64,
    #[diesel(sql_type = BigInt)]
    notices: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    oldest: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    oldest_firing: Option<DateTime<Utc>>,
    #[diesel(sql_type = Double)]
    overdue: f64,
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
}

fn nominal_of(next: Option<NextFiring>) -> Option<String> {
    next.map(|next| write_nominal(next.nominal))
}

async fn create(connection: &mut Connection, new: NewSchedule) -> StatementResult<Option<Schedule>> {
    let edition = new.catalogue.as_ref();
    let rows: Vec<ScheduleRow> = sql(CREATE)
        .bind::<SqlUuid, _>(new.id)
        .bind::<Text, _>(new.owner.tenant)
        .bind::<Text, _>(new.owner.principal)
        .bind::<Text, _>(to_json(&new.settings)?)
        .bind::<Nullable<Text>, _>(nominal_of(new.next))
        .bind::<Nullable<Timestamptz>, _>(new.next.map(|next| next.due))
        .bind::<Nullable<BigInt>, _>(new.settings.alarm_after.map(millis))
        .bind::<Nullable<Text>, _>(edition.map(|edition| edition.place.to_string()))
        .bind::<Nullable<Text>, _>(edition.map(|edition| to_json(&edition.editions)).transpose()?)
        .load(connection)
        .await?;
    rows.into_iter().next().map(ScheduleRow::read).transpose()
}

async fn one(connection: &mut Connection, tenant: &str, id: Uuid) -> StatementResult<Option<Schedule>> {
    let rows: Vec<ScheduleRow> = sql(ONE).bind::<Text, _>(tenant).bind::<SqlUuid, _>(id).load(connection).await?;
    rows.into_iter().next().map(ScheduleRow::read).transpose()
}

async fn change(connection: &mut Connection, change: ScheduleChange) -> StatementResult<Option<Schedule>> {
    let edition = change.catalogue.as_ref();
    let rows: Vec<ScheduleRow> = sql(CHANGE)
        .bind::<Text, _>(change.owner.tenant)
        .bind::<SqlUuid, _>(change.id)
        .bind::<BigInt, _>(change.version)
        .bind::<Text, _>(change.owner.principal)
        .bind::<Text, _>(to_json(&change.settings)?)
        .bind::<Nullable<Text>, _>(change.paused_why.map(|why| why.as_str()))
        .bind::<Nullable<Text>, _>(nominal_of(change.next))
        .bind::<Nullable<Timestamptz>, _>(change.next.map(|next| next.due))
        .bind::<Nullable<BigInt>, _>(change.settings.alarm_after.map(millis))
        .bind::<Nullable<Text>, _>(edition.map(|edition| to_json(&edition.editions)).transpose()?)
        .bind::<Bool, _>(edition.is_some_and(CatalogueEdition::is_ended))
        .load(connection)
        .await?;
    rows.into_iter().next().map(ScheduleRow::read).transpose()
}

async fn list(connection: &mut Connection, filter: ScheduleFilter) -> StatementResult<Vec<Schedule>> {
    let (after, limit) = (filter.after.unwrap_or_default(), i64::from(filter.limit));
    let statement = match &filter.principal {
        Some(principal) => {
            sql(OF_PRINCIPAL).bind::<Text, _>(filter.tenant.as_str()).bind::<Text, _>(principal.as_str())
        }
        None => sql(OF_TENANT).bind::<Text, _>(filter.tenant.as_str()),
    };
    let rows: Vec<ScheduleRow> = statement.bind::<SqlUuid, _>(after).bind::<BigInt, _>(limit).load(connection).await?;
    rows.into_iter().map(ScheduleRow::read).collect()
}

async fn raise_silent(connection: &mut Connection, limit: u32) -> StatementResult<Vec<Schedule>> {
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let rows: Vec<ScheduleRow> = sql(SILENT).bind::<BigInt, _>(i64::from(limit)).load(connection).await?;
            let found = rows.into_iter().map(ScheduleRow::read).collect::<StatementResult<Vec<Schedule>>>()?;
            let told: Vec<_> = found.iter().map(|schedule| (schedule, silent_notice(schedule))).collect();
            notices::write(connection, &column(&told, |(schedule, notice)| (schedule.id, &schedule.owner, notice)))
                .await?;
            Ok(found)
        })
        .await
}

#[async_trait]
impl ScheduleStore for PostgresStore {
    async fn create_schedule(&self, schedule: NewSchedule) -> Result<Option<Schedule>> {
        self.read(move |connection| create(connection, schedule).boxed()).await
    }

    async fn schedules_in_force(&self, times: HoldTimes) -> Result<Vec<InForce>> {
        self.read(move |connection| in_catalogue::list(connection, times).boxed()).await
    }

    async fn hold_schedules(&self, ids: &[Uuid]) -> Result<()> {
        let ids = ids.to_owned();
        self.read(move |connection| in_catalogue::hold(connection, ids).boxed()).await
    }

    async fn schedule(&self, tenant: &str, id: Uuid) -> Result<Option<Schedule>> {
        let tenant = tenant.to_owned();
        self.read(move |connection| async move { one(connection, &tenant, id).await }.boxed()).await
    }

    async fn schedules(&self, filter: ScheduleFilter) -> Result<Vec<Schedule>> {
        self.read(move |connection| list(connection, filter).boxed()).await
    }

    async fn change_schedule(&self, change: ScheduleChange) -> Result<Option<Schedule>> {
        self.read(move |connection| self::change(connection, change).boxed()).await
    }

    async fn delete_schedule(&self, tenant: &str, id: Uuid) -> Result<bool> {
        let tenant = tenant.to_owned();
        self.read(move |connection| {
            async move {
                let gone = sql(DELETE).bind::<Text, _>(tenant).bind::<SqlUuid, _>(id).execute(connection).await?;
                Ok(gone > 0)
            }
            .boxed()
        })
        .await
    }

    async fn claim_due_schedules(&self, limit: u32, lease: Duration) -> Result<Vec<DueSchedule>> {
        let floor = self.floors.of(TimedLine::Schedules);
        self.read(move |connection| {
            async move {
                let rows: Vec<DueRow> = sql(CLAIM)
                    .bind::<BigInt, _>(i64::from(limit))
                    .bind::<BigInt, _>(millis(lease))
                    .bind::<Timestamptz, _>(floor)
                    .bind::<BigInt, _>(millis(EVENTS_WITHIN))
                    .load(connection)
                    .await?;
                rows.into_iter().map(DueRow::read).collect()
            }
            .boxed()
        })
        .await
    }

    async fn take_steps(&self, turns: Vec<ScheduleStep>) -> Result<Vec<StepOutcome>> {
        if turns.is_empty() {
            return Ok(Vec::new());
        }
        self.change(move |connection| schedule_steps::take_steps(connection, turns).boxed()).await
    }

    async fn find_firing(&self, id: Uuid, key: Option<&str>, data_version: Option<&str>) -> Result<Option<Firing>> {
        let (key, data_version) = (key.map(str::to_owned), data_version.map(str::to_owned));
        self.read(move |connection| {
            async move { firings::find(connection, id, key.as_deref(), data_version.as_deref()).await }.boxed()
        })
        .await
    }

    async fn fire(&self, asked: AskedFiring) -> Result<FireOutcome> {
        self.change(move |connection| firings::fire(connection, asked).boxed()).await
    }

    async fn firings(&self, schedule_id: Uuid, limit: u32) -> Result<Vec<Firing>> {
        self.read(move |connection| {
            async move {
                let rows: Vec<FiringRow> = sql(FIRINGS)
                    .bind::<SqlUuid, _>(schedule_id)
                    .bind::<BigInt, _>(i64::from(limit))
                    .load(connection)
                    .await?;
                rows.into_iter().map(FiringRow::read).collect()
            }
            .boxed()
        })
        .await
    }

    async fn settle_firings(&self, limit: u32) -> Result<Vec<EndedFiring>> {
        let floor = self.floors.of(TimedLine::Firings);
        self.read(move |connection| firings::settle(connection, floor, limit).boxed()).await
    }

    async fn raise_silent(&self, limit: u32) -> Result<Vec<Schedule>> {
        self.read(move |connection| raise_silent(connection, limit).boxed()).await
    }

    async fn schedule_counts(&self) -> Result<ScheduleCounts> {
        let (schedules, firings) = (self.floors.of(TimedLine::Schedules), self.floors.of(TimedLine::Firings));
        let row: CountsRow = self
            .read(move |connection| {
                async move {
                    let statement = sql(COUNTS)
                        .bind::<BigInt, _>(i64::from(COUNTED_AT_MOST))
                        .bind::<Timestamptz, _>(schedules)
                        .bind::<Timestamptz, _>(firings);
                    Ok(statement.get_result(connection).await?)
                }
                .boxed()
            })
            .await?;
        self.floors.raise(TimedLine::Schedules, row.oldest, row.now);
        self.floors.raise(TimedLine::Firings, row.oldest_firing, row.now);
        Ok(ScheduleCounts {
            silent: row.silent.unsigned_abs(),
            stopped: row.stopped.unsigned_abs(),
            overdue: row.overdue.max(0.0),
            notices: row.notices.unsigned_abs(),
        })
    }

    async fn forget_firings(&self, age: Duration, limit: u32) -> Result<u64> {
        self.read(move |connection| firings::forget(connection, age, limit).boxed()).await
    }

    async fn claim_notices(&self, limit: u32, lease: Duration) -> Result<Vec<Notice>> {
        self.read(move |connection| {
            async move {
                let rows: Vec<NoticeRow> = notices::claim(connection, limit, lease).await?;
                rows.into_iter().map(NoticeRow::read).collect()
            }
            .boxed()
        })
        .await
    }

    async fn settle_notice(&self, id: Uuid, attempt: i32, ending: NoticeEnding) -> Result<bool> {
        self.read(move |connection| notices::settle(connection, id, attempt, ending).boxed()).await
    }
}
