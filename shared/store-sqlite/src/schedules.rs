//! Schedules: what people asked for, and what of it is due.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::SqliteConnection;
use uuid::Uuid;

use super::errors::{StatementResult, unreadable};
use super::rows::read_caller;
use super::schedule_events::events_of;
use super::sql::{Cells, later, now, sql, to_json};
use super::writer::Transaction;
use super::{SqliteStore, firings, in_catalogue, notices};
use model::schedule::{Firing, NextFiring, Notice, Schedule, read_nominal, write_nominal};
use store::{
    AskedFiring, COUNTED_AT_MOST, CatalogueEdition, DueSchedule, EndedFiring, FireOutcome, HoldTimes, InForce,
    NewSchedule, NoticeEnding, Result, ScheduleChange, ScheduleCounts, ScheduleFilter, ScheduleStep, ScheduleStore,
    StepOutcome, silent_notice,
};

macro_rules! schedule_columns {
    () => {
        "id, tenant, principal, settings, state, paused_why, failures, version, next_nominal, next_due, waiting, \
         last_job_id, last_sent_at, silent, catalogue, editions, created_at, updated_at"
    };
}

fn read_schedule(cells: &mut Cells) -> StatementResult<Schedule> {
    let (id, owner, settings) = (cells.id()?, read_caller(cells)?, cells.json()?);
    let (state, paused_why) = (cells.name()?, cells.maybe_text()?);
    let (failures, version) = (cells.small()?, cells.integer()?);
    let next = match (cells.maybe_text()?, cells.maybe_time()?) {
        (Some(nominal), Some(due)) => Some(NextFiring { nominal: read_nominal(&nominal).map_err(unreadable)?, due }),
        _ => None,
    };
    let schedule = Schedule {
        id,
        owner,
        settings,
        state,
        paused_why: paused_why.map(|why| why.parse().map_err(unreadable)).transpose()?,
        failures,
        version,
        next,
        waiting: cells.flag()?,
        last_job_id: cells.maybe_id()?,
        last_sent_at: cells.maybe_time()?,
        silent: cells.flag()?,
        catalogue: None,
        ended: false,
        created_at: DateTime::default(),
        updated_at: DateTime::default(),
    };
    let edition = in_catalogue::read_edition(cells.maybe_text()?, cells.maybe_text()?)?;
    let ended = edition.as_ref().is_some_and(CatalogueEdition::is_ended);
    let (created_at, updated_at) = (cells.time()?, cells.time()?);
    Ok(Schedule { catalogue: edition.map(|edition| edition.place), ended, created_at, updated_at, ..schedule })
}

/// Reads a schedule, whosever it is.
pub(super) fn by_id(connection: &mut SqliteConnection, id: Uuid) -> StatementResult<Option<Schedule>> {
    sql!(concat!("select ", schedule_columns!(), " from schedules where id = ?1"), id).row(connection, read_schedule)
}

fn one(connection: &mut SqliteConnection, tenant: &str, id: Uuid) -> StatementResult<Option<Schedule>> {
    Ok(by_id(connection, id)?.filter(|schedule| schedule.owner.tenant == tenant))
}

/// Never in the past: nobody looks there any more.
fn look_at(next: Option<NextFiring>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    next.map(|next| next.due.max(now))
}

fn nominal_of(next: Option<NextFiring>) -> Option<String> {
    next.map(|next| write_nominal(next.nominal))
}

fn create(transaction: &mut Transaction<'_>, new: &NewSchedule) -> StatementResult<Option<Schedule>> {
    let now = transaction.now;
    let edition = new.catalogue.as_ref();
    sql!(
        "insert into schedules (id, tenant, principal, settings, next_nominal, next_due, look_at, alarm_after_ms, alarm_at, \
         created_at, updated_at, catalogue, editions, held_at) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12, case when ?11 is not null then ?10 end) \
         on conflict (tenant, catalogue) where catalogue is not null do nothing",
        new.id,
        &new.owner.tenant,
        &new.owner.principal,
        to_json(&new.settings)?,
        nominal_of(new.next),
        new.next.map(|next| next.due),
        look_at(new.next, now),
        new.settings.alarm_after,
        new.settings.alarm_after.map(|after| later(now, after)),
        now,
        edition.map(|edition| edition.place.to_string()),
        edition.map(|edition| to_json(&edition.editions)).transpose()?,
    )
    .run(transaction.connection)?;
    by_id(transaction.connection, new.id)
}

fn change(transaction: &mut Transaction<'_>, change: &ScheduleChange) -> StatementResult<Option<Schedule>> {
    let (now, active, edition) = (transaction.now, change.paused_why.is_none(), change.catalogue.as_ref());
    let alarms = active && !edition.is_some_and(CatalogueEdition::is_ended);
    let changed = sql!(
        "update schedules set principal = ?4, settings = ?5, paused_why = ?6, state = ?7, \
         failures = case when ?6 is null and state = 'paused' then 0 else failures end, next_nominal = ?8, next_due = ?9, \
         look_at = ?10, waiting = 0, alarm_after_ms = ?11, alarm_at = ?12, silent = 0, version = version + 1, updated_at = ?13, \
         editions = coalesce(?14, editions), held_at = case when ?14 is null then held_at else ?13 end \
         where tenant = ?1 and id = ?2 and version = ?3",
        &change.owner.tenant,
        change.id,
        change.version,
        &change.owner.principal,
        to_json(&change.settings)?,
        change.paused_why.map(|why| why.as_str()),
        if active { "active" } else { "paused" },
        nominal_of(change.next),
        change.next.map(|next| next.due),
        look_at(change.next, now).filter(|_| active),
        change.settings.alarm_after,
        change.settings.alarm_after.filter(|_| alarms).map(|after| later(now, after)),
        now,
        edition.map(|edition| to_json(&edition.editions)).transpose()?,
    )
    .run(transaction.connection)?;
    if changed == 0 { Ok(None) } else { by_id(transaction.connection, change.id) }
}

fn list(connection: &mut SqliteConnection, filter: &ScheduleFilter) -> StatementResult<Vec<Schedule>> {
    let after = filter.after.unwrap_or_default();
    let found = match &filter.principal {
        Some(principal) => sql!(
            concat!(
                "select ",
                schedule_columns!(),
                " from schedules where tenant = ?1 and principal = ?2 and id > ?3 order by id limit ?4"
            ),
            &filter.tenant,
            principal,
            after,
            filter.limit,
        ),
        None => sql!(
            concat!(
                "select ",
                schedule_columns!(),
                " from schedules where tenant = ?1 and id > ?2 order by id limit ?3"
            ),
            &filter.tenant,
            after,
            filter.limit,
        ),
    };
    found.rows(connection, read_schedule)
}

fn claim(transaction: &mut Transaction<'_>, limit: u32, lease: Duration) -> StatementResult<Vec<DueSchedule>> {
    let now = transaction.now;
    let text = concat!(
        "select ",
        schedule_columns!(),
        " from schedules where look_at is not null and look_at <= ?1 order by look_at, id limit ?2"
    );
    let due = sql!(text, now, limit).rows(transaction.connection, read_schedule)?;
    let mut claimed = Vec::with_capacity(due.len());
    for schedule in due {
        let text = "update schedules set look_at = ?2 where id = ?1";
        sql!(text, schedule.id, later(now, lease)).run(transaction.connection)?;
        let last_job = match schedule.last_job_id {
            Some(id) => sql!("select state from jobs where id = ?1", id).row(transaction.connection, Cells::name)?,
            None => None,
        };
        claimed.push(DueSchedule { events: events_of(transaction.connection, &schedule)?, schedule, last_job, now });
    }
    claimed.sort_by_key(|due| (due.schedule.next.map(|next| next.due), due.schedule.id));
    Ok(claimed)
}

fn raise_silent(transaction: &mut Transaction<'_>, limit: u32) -> StatementResult<Vec<Schedule>> {
    let text = concat!(
        "select ",
        schedule_columns!(),
        " from schedules where alarm_at is not null and alarm_at <= ?1 order by alarm_at limit ?2"
    );
    let mut found = sql!(text, transaction.now, limit).rows(transaction.connection, read_schedule)?;
    for schedule in &mut found {
        schedule.silent = true;
        let text = "update schedules set alarm_at = null, silent = 1 where id = ?1";
        sql!(text, schedule.id).run(transaction.connection)?;
        notices::write(transaction, schedule, &silent_notice(schedule))?;
    }
    Ok(found)
}

fn counts(connection: &mut SqliteConnection) -> StatementResult<ScheduleCounts> {
    let mut count = |text: &'static str| -> StatementResult<u64> {
        Ok(sql!(text, COUNTED_AT_MOST).number(connection)?.unsigned_abs())
    };
    let silent = count("select count(*) from (select 1 from schedules where silent limit ?1)")?;
    let stopped = count(
        "select count(*) from (select 1 from schedules where state = 'paused' and paused_why <> 'asked' limit ?1)",
    )?;
    let notices = count("select count(*) from (select 1 from schedule_notices where due_at is not null limit ?1)")?;
    let text = "select look_at from schedules where look_at is not null order by look_at limit 1";
    let oldest = sql!(text).row(connection, Cells::time)?;
    let overdue = match oldest {
        Some(oldest) => (now(connection)? - oldest).num_milliseconds().max(0) as f64 / 1000.0,
        None => 0.0,
    };
    Ok(ScheduleCounts { silent, stopped, overdue, notices })
}

#[async_trait]
impl ScheduleStore for SqliteStore {
    async fn create_schedule(&self, schedule: NewSchedule) -> Result<Option<Schedule>> {
        self.writer.write(move |transaction| create(transaction, &schedule)).await
    }

    async fn schedules_in_force(&self, times: HoldTimes) -> Result<Vec<InForce>> {
        self.readers.read(move |connection| in_catalogue::list(connection, times)).await
    }

    async fn hold_schedules(&self, ids: &[Uuid]) -> Result<()> {
        let ids = ids.to_owned();
        self.writer.write(move |transaction| in_catalogue::hold(transaction, &ids)).await
    }

    async fn schedule(&self, tenant: &str, id: Uuid) -> Result<Option<Schedule>> {
        let tenant = tenant.to_owned();
        self.readers.read(move |connection| one(connection, &tenant, id)).await
    }

    async fn schedules(&self, filter: ScheduleFilter) -> Result<Vec<Schedule>> {
        self.readers.read(move |connection| list(connection, &filter)).await
    }

    async fn change_schedule(&self, change: ScheduleChange) -> Result<Option<Schedule>> {
        self.writer.write(move |transaction| self::change(transaction, &change)).await
    }

    async fn delete_schedule(&self, tenant: &str, id: Uuid) -> Result<bool> {
        let tenant = tenant.to_owned();
        let text = "delete from schedules where tenant = ?1 and id = ?2";
        self.writer.write(move |transaction| Ok(sql!(text, &tenant, id).run(transaction.connection)? > 0)).await
    }

    async fn claim_due_schedules(&self, limit: u32, lease: Duration) -> Result<Vec<DueSchedule>> {
        self.writer.write(move |transaction| claim(transaction, limit, lease)).await
    }

    async fn take_steps(&self, turns: Vec<ScheduleStep>) -> Result<Vec<StepOutcome>> {
        let take = move |transaction: &mut Transaction<'_>| {
            turns.iter().map(|turn| firings::take_step(transaction, turn)).collect()
        };
        self.writer.write(take).await
    }

    async fn find_firing(&self, id: Uuid, key: Option<&str>, data_version: Option<&str>) -> Result<Option<Firing>> {
        let (key, data_version) = (key.map(str::to_owned), data_version.map(str::to_owned));
        self.readers
            .read(move |connection| firings::find(connection, id, key.as_deref(), data_version.as_deref()))
            .await
    }

    async fn fire(&self, asked: AskedFiring) -> Result<FireOutcome> {
        self.writer.write(move |transaction| firings::fire(transaction, asked)).await
    }

    async fn firings(&self, schedule_id: Uuid, limit: u32) -> Result<Vec<Firing>> {
        self.readers.read(move |connection| firings::list(connection, schedule_id, limit)).await
    }

    async fn settle_firings(&self, limit: u32) -> Result<Vec<EndedFiring>> {
        self.writer.write(move |transaction| firings::settle(transaction, limit)).await
    }

    async fn raise_silent(&self, limit: u32) -> Result<Vec<Schedule>> {
        self.writer.write(move |transaction| raise_silent(transaction, limit)).await
    }

    async fn schedule_counts(&self) -> Result<ScheduleCounts> {
        self.readers.read(counts).await
    }

    async fn forget_firings(&self, age: Duration, limit: u32) -> Result<u64> {
        self.writer.write(move |transaction| firings::forget(transaction, age, limit)).await
    }

    async fn claim_notices(&self, limit: u32, lease: Duration) -> Result<Vec<Notice>> {
        self.writer.write(move |transaction| notices::claim(transaction, limit, lease)).await
    }

    async fn settle_notice(&self, id: Uuid, attempt: i32, ending: NoticeEnding) -> Result<bool> {
        self.writer.write(move |transaction| notices::settle(transaction, id, attempt, &ending)).await
    }
}
