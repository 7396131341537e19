//! Firings: one for each nominal time, written with its job in one transaction.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::SqliteConnection;
use uuid::Uuid;

use super::errors::{Failure, StatementResult, unreadable};
use super::schedules::by_id;
use super::sql::{Cells, earlier, later, sql};
use super::submit::submit;
use super::writer::Transaction;
use super::{notices, rows};
use model::job::{Job, JobState, NewJob};
use model::schedule::{Firing, FiringOutcome, Schedule, ScheduleState, read_nominal, write_nominal};
use store::{AskedFiring, EndedFiring, FIRST_LOOK, FireOutcome, ScheduleStep, StepOutcome, Submitted, after_end};

macro_rules! firing_columns {
    () => {
        "id, schedule_id, nominal, data_version, due_at, outcome, job_id, detail, at, ended"
    };
}

fn read_firing(cells: &mut Cells) -> StatementResult<Firing> {
    let (id, schedule_id, nominal) = (cells.id()?, cells.id()?, cells.maybe_text()?);
    let firing = Firing {
        id,
        schedule_id,
        nominal: nominal.map(|text| read_nominal(&text).map_err(unreadable)).transpose()?,
        data_version: cells.maybe_text()?,
        due: cells.time()?,
        outcome: cells.name()?,
        job_id: cells.maybe_id()?,
        detail: cells.maybe_text()?,
        at: cells.time()?,
        ended: None,
    };
    let ended = cells.maybe_text()?.map(|state| state.parse().map_err(unreadable)).transpose()?;
    Ok(Firing { ended, ..firing })
}

/// Takes one turn. What a constraint refuses is undone alone.
pub(super) fn take_step(transaction: &mut Transaction<'_>, turn: &ScheduleStep) -> StatementResult<StepOutcome> {
    match transaction.alone(|transaction| take(transaction, turn)) {
        Err(Failure::Refused(why)) => Ok(StepOutcome::Refused(why)),
        other => other,
    }
}

fn take(transaction: &mut Transaction<'_>, turn: &ScheduleStep) -> StatementResult<StepOutcome> {
    let found = by_id(transaction.connection, turn.schedule_id)?;
    let Some(schedule) = found.filter(|schedule| is_still_so(schedule, turn)) else { return Ok(StepOutcome::TooLate) };
    for record in &turn.records {
        let nominal = write_nominal(record.nominal);
        insert(
            transaction,
            &schedule,
            &NewRow {
                nominal: Some(&nominal),
                key: None,
                data_version: None,
                due: record.due,
                outcome: record.outcome,
                job_id: None,
                detail: record.detail.as_deref(),
            },
        )?;
    }
    let mut job = None;
    if let Some(firing) = turn.job.clone() {
        let nominal = write_nominal(firing.nominal);
        let row = NewRow { nominal: Some(&nominal), ..NewRow::fired(firing.job.id, firing.due) };
        if insert(transaction, &schedule, &row)?.is_some() {
            job = Some(submit_one(transaction, firing.job)?);
        }
    }
    advance(transaction, turn, job.as_deref())?;
    for notice in &turn.notices {
        notices::write(transaction, &schedule, notice)?;
    }
    Ok(StepOutcome::Written(job))
}

fn is_still_so(schedule: &Schedule, turn: &ScheduleStep) -> bool {
    schedule.version == turn.version
        && schedule.state == ScheduleState::Active
        && schedule.next.is_some_and(|next| next.nominal == turn.nominal)
}

fn submit_one(transaction: &mut Transaction<'_>, job: NewJob) -> StatementResult<Box<Job>> {
    match submit(transaction, vec![job])?.pop() {
        Some(Submitted::Created(job) | Submitted::Replayed(job)) => Ok(job),
        Some(Submitted::Refused(why)) => Err(Failure::Refused(why)),
        Some(Submitted::KeyReused) => Err(Failure::Refused("its key came with another job before".to_owned())),
        None => Err(unreadable("a submit has no answer")),
    }
}

/// One row of `firings` about to be written.
struct NewRow<'a> {
    nominal: Option<&'a str>,
    key: Option<&'a str>,
    data_version: Option<&'a str>,
    due: DateTime<Utc>,
    outcome: FiringOutcome,
    job_id: Option<Uuid>,
    detail: Option<&'a str>,
}

impl NewRow<'_> {
    const fn fired(job_id: Uuid, due: DateTime<Utc>) -> Self {
        let job_id = Some(job_id);
        Self { nominal: None, key: None, data_version: None, due, outcome: FiringOutcome::Fired, job_id, detail: None }
    }
}

/// Returns its id, unless it is there already.
fn insert(transaction: &mut Transaction<'_>, schedule: &Schedule, row: &NewRow<'_>) -> StatementResult<Option<Uuid>> {
    let id = Uuid::now_v7();
    let written = sql!(
        "insert into firings (id, schedule_id, nominal, key, data_version, due_at, outcome, job_id, detail, at, look_at) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) on conflict do nothing",
        id,
        schedule.id,
        row.nominal,
        row.key,
        row.data_version,
        row.due,
        row.outcome.as_str(),
        row.job_id,
        row.detail,
        transaction.now,
        row.job_id.map(|_| later(transaction.now, FIRST_LOOK)),
    )
    .run(transaction.connection)?;
    Ok((written == 1).then_some(id))
}

fn advance(transaction: &mut Transaction<'_>, turn: &ScheduleStep, job: Option<&Job>) -> StatementResult<()> {
    let now = transaction.now;
    let look_at = match (turn.pause, turn.next, turn.again) {
        (Some(_), ..) | (_, None, _) => None,
        (None, Some(_), Some(again)) => Some(later(now, again)),
        (None, Some(next), None) => Some(next.due.max(now)),
    };
    sql!(
        "update schedules set next_nominal = ?2, next_due = ?3, look_at = ?4, waiting = ?5, \
         state = case when ?6 is null then state else 'paused' end, paused_why = ?6, failures = failures + ?7, \
         last_job_id = coalesce(?8, last_job_id), alarm_at = case when ?6 is null then alarm_at end where id = ?1",
        turn.schedule_id,
        turn.next.map(|next| write_nominal(next.nominal)),
        turn.next.map(|next| next.due),
        look_at,
        turn.waiting,
        turn.pause.map(|why| why.as_str()),
        turn.failures,
        job.map(|job| job.id),
    )
    .run(transaction.connection)
    .map(drop)
}

pub(super) fn find(
    connection: &mut SqliteConnection,
    schedule_id: Uuid,
    key: Option<&str>,
    data_version: Option<&str>,
) -> StatementResult<Option<Firing>> {
    let by_key = concat!("select ", firing_columns!(), " from firings where schedule_id = ?1 and key = ?2");
    if let Some(key) = key
        && let Some(found) = sql!(by_key, schedule_id, key).row(connection, read_firing)?
    {
        return Ok(Some(found));
    }
    let by_data = concat!("select ", firing_columns!(), " from firings where schedule_id = ?1 and data_version = ?2");
    match data_version {
        Some(version) => sql!(by_data, schedule_id, version).row(connection, read_firing),
        None => Ok(None),
    }
}

pub(super) fn list(connection: &mut SqliteConnection, schedule_id: Uuid, limit: u32) -> StatementResult<Vec<Firing>> {
    let text = concat!("select ", firing_columns!(), " from firings where schedule_id = ?1 order by id desc limit ?2");
    sql!(text, schedule_id, limit).rows(connection, read_firing)
}

/// Fires because somebody asks for it.
pub(super) fn fire(transaction: &mut Transaction<'_>, asked: AskedFiring) -> StatementResult<FireOutcome> {
    match transaction.alone(|transaction| fire_asked(transaction, asked)) {
        Err(Failure::Refused(why)) => Ok(FireOutcome::Refused(why)),
        other => other,
    }
}

fn fire_asked(transaction: &mut Transaction<'_>, asked: AskedFiring) -> StatementResult<FireOutcome> {
    let Some(schedule) = by_id(transaction.connection, asked.schedule_id)? else { return Ok(FireOutcome::NotFound) };
    let (key, data_version) = (asked.key.as_deref(), asked.data_version.as_deref());
    if let Some(known) = find(transaction.connection, schedule.id, key, data_version)? {
        return Ok(FireOutcome::Known(Box::new(known)));
    }
    let row = NewRow { key, data_version, ..NewRow::fired(asked.job.id, transaction.now) };
    let id = insert(transaction, &schedule, &row)?.ok_or_else(|| unreadable("a firing is in the way"))?;
    let job = submit_one(transaction, asked.job)?;
    let text = "update schedules set last_job_id = ?2 where id = ?1";
    sql!(text, schedule.id, job.id).run(transaction.connection)?;
    let text = concat!("select ", firing_columns!(), " from firings where id = ?1");
    let made = sql!(text, id).row(transaction.connection, read_firing)?;
    Ok(FireOutcome::Fired(Box::new(made.ok_or_else(|| unreadable("a firing is gone that was just made"))?)))
}

/// Looks how the jobs of open firings stand.
pub(super) fn settle(transaction: &mut Transaction<'_>, limit: u32) -> StatementResult<Vec<EndedFiring>> {
    let now = transaction.now;
    let text = concat!(
        "select ",
        firing_columns!(),
        " from firings where look_at is not null and look_at <= ?1 order by look_at, id limit ?2"
    );
    let open = sql!(text, now, limit).rows(transaction.connection, read_firing)?;
    let mut schedules: BTreeMap<Uuid, Schedule> = BTreeMap::new();
    let (mut ends, mut sent) = (Vec::new(), HashSet::new());
    for mut firing in open {
        // A job whose row is gone tells nothing any more.
        let job = firing.job_id.map(|id| rows::whole_job(transaction.connection, id)).transpose()?.flatten();
        let state = job.map_or(JobState::Cancelled, |job| job.as_seen().state);
        if !state.is_final() {
            let age = (now - firing.at).to_std().unwrap_or_default();
            let pause = (age / 4).clamp(FIRST_LOOK, Duration::from_secs(60));
            let text = "update firings set look_at = ?2 where id = ?1";
            sql!(text, firing.id, later(now, pause)).run(transaction.connection)?;
            continue;
        }
        let text = "update firings set look_at = null, ended = ?2 where id = ?1";
        sql!(text, firing.id, state.as_str()).run(transaction.connection)?;
        if !schedules.contains_key(&firing.schedule_id)
            && let Some(schedule) = by_id(transaction.connection, firing.schedule_id)?
        {
            schedules.insert(schedule.id, schedule);
        }
        let Some(schedule) = schedules.get_mut(&firing.schedule_id) else { continue };
        let was_active = schedule.state == ScheduleState::Active;
        for notice in after_end(schedule, &firing, state, now) {
            notices::write(transaction, schedule, &notice)?;
        }
        if state == JobState::Done {
            sent.insert(schedule.id);
        }
        firing.ended = Some(state);
        let paused = was_active && schedule.state == ScheduleState::Paused;
        ends.push(EndedFiring { schedule: schedule.clone(), firing, state, paused });
    }
    for schedule in schedules.values() {
        keep_end(transaction, schedule, sent.contains(&schedule.id))?;
    }
    Ok(ends)
}

fn keep_end(transaction: &mut Transaction<'_>, schedule: &Schedule, sent: bool) -> StatementResult<()> {
    let alarm_at = schedule.settings.alarm_after.filter(|_| !schedule.ended).map(|after| later(transaction.now, after));
    sql!(
        "update schedules set failures = ?2, silent = ?3, last_sent_at = ?4, state = ?5, paused_why = ?6, \
         look_at = case when ?5 = 'active' then look_at end, \
         alarm_at = case when ?5 <> 'active' then null when ?7 then ?8 else alarm_at end where id = ?1",
        schedule.id,
        schedule.failures,
        schedule.silent,
        schedule.last_sent_at,
        schedule.state.as_str(),
        schedule.paused_why.map(|why| why.as_str()),
        sent,
        alarm_at,
    )
    .run(transaction.connection)
    .map(drop)
}

pub(super) fn forget(transaction: &mut Transaction<'_>, age: Duration, limit: u32) -> StatementResult<u64> {
    let before = earlier(transaction.now, age);
    let firings = "delete from firings where id in \
                   (select id from firings where at < ?1 and look_at is null order by at limit ?2)";
    let notices = "delete from schedule_notices where id in \
                   (select id from schedule_notices where created_at < ?1 order by created_at limit ?2)";
    let mut gone = 0;
    for text in [firings, notices] {
        gone += sql!(text, before, limit).run(transaction.connection)? as u64;
    }
    Ok(gone)
}
