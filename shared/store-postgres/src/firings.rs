//! Firings: those that somebody asks for, and how the jobs of all of them end. [`super::turns`] writes those of nominal times.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use uuid::Uuid;

use super::connection::Connection;
use super::effects::Effects;
use super::errors::{Failure, unreadable};
use super::run::StatementResult;
use super::schedule_rows::{FiringRow, OpenFiringRow, ScheduleRow, firing_columns, schedule_columns};
use super::sql::sql;
use super::submit::submit_batch;
use super::{column, millis, notices};
use model::job::{Job, JobState};
use model::schedule::{Firing, Schedule, ScheduleState};
use store::{AskedFiring, EndedFiring, FireOutcome, Submitted, after_end};

const FIND: &str = concat!(
    "select * from (
        (select ",
    firing_columns!(),
    " from firings f where f.schedule_id = $1 and f.key = $2 and f.key is not null)
        union all
        (select ",
    firing_columns!(),
    " from firings f where f.schedule_id = $1 and f.data_version = $3 and f.data_version is not null)
    ) f limit 1"
);

const ASK: &str = concat!(
    "
    with made as (
        insert into firings (id, schedule_id, key, data_version, due_at, outcome, job_id, look_at)
        select $1, s.id, $3, $4, now(), 'fired', $5, now() + interval '1 second' from schedules s where s.id = $2
        on conflict do nothing
        returning *
    )
    select ",
    firing_columns!(),
    " from made f"
);

const ASKED: &str = "update schedules set last_job_id = $2 where id = $1";

const OPEN: &str = concat!(
    "
    with due as materialized (
        select id from firings where look_at >= $2 and look_at <= now() order by look_at, id limit $1 for update skip locked
    )
    select ",
    firing_columns!(),
    ", (select case when j.withdrawn_at is null then j.state else 'cancelled' end from jobs j where j.id = f.job_id) as job_state,
       now() as now
    from due join firings f on f.id = any(array[due.id]) order by f.id"
);

/// `$2`: how its job ended; null: it has not, and is looked at again once a quarter of its age has gone by.
const LOOKED: &str = "
    update firings f set ended = t.ended, look_at = case when t.ended is null then
        now() + least(greatest((now() - f.at) / 4, interval '1 second'), interval '1 minute') end
    from unnest($1::uuid[], $2::text[]) as t(id, ended) where f.id = any(array[t.id])";

/// In the order of the ids, as everybody who locks several of them; nobody holds one for longer than it takes to write.
const LOCK: &str =
    concat!("select ", schedule_columns!(), " from schedules s where s.id = any($1) order by s.id for update");

/// Whoever holds a firing never waits for its schedule: it is removed in the other order.
const LOCK_FREE: &str = concat!(
    "select ",
    schedule_columns!(),
    " from schedules s where s.id = any($1) order by s.id for update skip locked"
);

const ENDED: &str = "
    update schedules s set failures = t.failures, silent = t.silent, last_sent_at = t.sent_at, state = t.state,
        paused_why = t.paused_why, look_at = case when t.state = 'active' then s.look_at end,
        alarm_at = case when t.state <> 'active' or t.ended then null
                        when t.sent then now() + s.alarm_after_ms * interval '1 millisecond' else s.alarm_at end
    from unnest($1::uuid[], $2::int[], $3::bool[], $4::timestamptz[], $5::text[], $6::text[], $7::bool[], $8::bool[])
        as t(id, failures, silent, sent_at, state, paused_why, sent, ended)
    where s.id = any(array[t.id])";

const FORGET: &str = "
    with old as materialized (
        select id from firings where at < now() - $1 * interval '1 millisecond' and look_at is null order by at limit $2
    )
    delete from firings f using old where f.id = any(array[old.id])";

const FORGET_NOTICES: &str = "
    with old as materialized (
        select id from schedule_notices where created_at < now() - $1 * interval '1 millisecond' order by created_at limit $2
    )
    delete from schedule_notices n using old where n.id = any(array[old.id])";

/// A job that a constraint refuses takes its transaction with it.
pub(super) fn created(outcome: Submitted) -> StatementResult<Box<Job>> {
    match outcome {
        Submitted::Created(job) | Submitted::Replayed(job) => Ok(job),
        Submitted::KeyReused => Err(Failure::BadData("its key came with another job before".to_owned())),
        Submitted::Refused(why) => Err(Failure::BadData(why)),
    }
}

pub(super) async fn lock(connection: &mut Connection, ids: Vec<Uuid>) -> StatementResult<HashMap<Uuid, Schedule>> {
    lock_with(connection, LOCK, ids).await
}

async fn lock_with(
    connection: &mut Connection,
    statement: &'static str,
    ids: Vec<Uuid>,
) -> StatementResult<HashMap<Uuid, Schedule>> {
    let rows: Vec<ScheduleRow> = sql(statement).bind::<Array<SqlUuid>, _>(ids).load(connection).await?;
    rows.into_iter().map(|row| Ok((row.id, row.read()?))).collect()
}

pub(super) async fn find(
    connection: &mut Connection,
    schedule_id: Uuid,
    key: Option<&str>,
    data_version: Option<&str>,
) -> StatementResult<Option<Firing>> {
    let rows: Vec<FiringRow> = sql(FIND)
        .bind::<SqlUuid, _>(schedule_id)
        .bind::<Nullable<Text>, _>(key)
        .bind::<Nullable<Text>, _>(data_version)
        .load(connection)
        .await?;
    rows.into_iter().next().map(FiringRow::read).transpose()
}

/// Fires because somebody asks for it.
pub(super) async fn fire(connection: &mut Connection, asked: AskedFiring) -> StatementResult<(FireOutcome, Effects)> {
    let fired = connection
        .transaction::<_, Failure, _>(async move |connection| {
            let id = asked.schedule_id;
            if lock(connection, vec![id]).await?.is_empty() {
                return Ok((FireOutcome::NotFound, Effects::default()));
            }
            let made: Vec<FiringRow> = sql(ASK)
                .bind::<SqlUuid, _>(Uuid::now_v7())
                .bind::<SqlUuid, _>(id)
                .bind::<Nullable<Text>, _>(asked.key.as_deref())
                .bind::<Nullable<Text>, _>(asked.data_version.as_deref())
                .bind::<SqlUuid, _>(asked.job.id)
                .load(connection)
                .await?;
            let Some(made) = made.into_iter().next() else {
                let known = find(connection, id, asked.key.as_deref(), asked.data_version.as_deref()).await?;
                let known = known.ok_or_else(|| unreadable("a firing that is in the way is not there"))?;
                return Ok((FireOutcome::Known(Box::new(known)), Effects::default()));
            };
            let (submitted, effects) = submit_batch(connection, vec![asked.job]).await?;
            for outcome in submitted {
                let job = created(outcome)?;
                sql(ASKED).bind::<SqlUuid, _>(id).bind::<SqlUuid, _>(job.id).execute(connection).await?;
            }
            Ok((FireOutcome::Fired(Box::new(made.read()?)), effects))
        })
        .await;
    match fired {
        Err(Failure::BadData(why)) => Ok((FireOutcome::Refused(why), Effects::default())),
        other => other,
    }
}

/// Looks how the jobs of open firings stand.
pub(super) async fn settle(
    connection: &mut Connection,
    floor: DateTime<Utc>,
    limit: u32,
) -> StatementResult<Vec<EndedFiring>> {
    connection.transaction::<_, Failure, _>(async move |connection| settle_part(connection, floor, limit).await).await
}

async fn settle_part(
    connection: &mut Connection,
    floor: DateTime<Utc>,
    limit: u32,
) -> StatementResult<Vec<EndedFiring>> {
    let rows: Vec<OpenFiringRow> =
        sql(OPEN).bind::<BigInt, _>(i64::from(limit)).bind::<Timestamptz, _>(floor).load(connection).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut looked = Vec::with_capacity(rows.len());
    for OpenFiringRow { firing, job_state, now } in rows {
        let state: Option<JobState> = job_state.map(|state| state.parse().map_err(unreadable)).transpose()?;
        // A job whose row is gone tells nothing any more.
        let ended = Some(state.unwrap_or(JobState::Cancelled)).filter(|state| state.is_final());
        looked.push((firing.read()?, ended, now));
    }
    let mut ids: Vec<Uuid> =
        looked.iter().filter(|(_, ended, _)| ended.is_some()).map(|(f, ..)| f.schedule_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut schedules = lock_with(connection, LOCK_FREE, ids).await?;
    // The others are looked at again.
    looked.retain(|(firing, ended, _)| ended.is_none() || schedules.contains_key(&firing.schedule_id));
    sql(LOOKED)
        .bind::<Array<SqlUuid>, _>(column(&looked, |(firing, ..)| firing.id))
        .bind::<Array<Nullable<Text>>, _>(column(&looked, |(_, ended, _)| ended.map(JobState::as_str)))
        .execute(connection)
        .await?;
    let (mut ends, mut told, mut sent) = (Vec::new(), Vec::new(), HashSet::new());
    for (mut firing, ended, now) in looked {
        let (Some(state), Some(schedule)) = (ended, schedules.get_mut(&firing.schedule_id)) else { continue };
        let was_active = schedule.state == ScheduleState::Active;
        let notices = after_end(schedule, &firing, state, now);
        told.extend(notices.into_iter().map(|notice| (schedule.id, schedule.owner.clone(), notice)));
        if state == JobState::Done {
            sent.insert(schedule.id);
        }
        firing.ended = Some(state);
        let paused = was_active && schedule.state == ScheduleState::Paused;
        ends.push(EndedFiring { schedule: schedule.clone(), firing, state, paused });
    }
    let changed: Vec<&Schedule> = schedules.values().collect();
    sql(ENDED)
        .bind::<Array<SqlUuid>, _>(column(&changed, |schedule| schedule.id))
        .bind::<Array<Integer>, _>(column(&changed, |schedule| schedule.failures))
        .bind::<Array<Bool>, _>(column(&changed, |schedule| schedule.silent))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(&changed, |schedule| schedule.last_sent_at))
        .bind::<Array<Text>, _>(column(&changed, |schedule| schedule.state.as_str()))
        .bind::<Array<Nullable<Text>>, _>(column(&changed, |schedule| schedule.paused_why.map(|why| why.as_str())))
        .bind::<Array<Bool>, _>(column(&changed, |schedule| sent.contains(&schedule.id)))
        .bind::<Array<Bool>, _>(column(&changed, |schedule| schedule.ended))
        .execute(connection)
        .await?;
    notices::write(connection, &column(&told, |(id, owner, notice)| (*id, owner, notice))).await?;
    Ok(ends)
}

pub(super) async fn forget(connection: &mut Connection, age: Duration, limit: u32) -> StatementResult<u64> {
    let mut gone = 0;
    for statement in [FORGET, FORGET_NOTICES] {
        let deleted = sql(statement).bind::<BigInt, _>(millis(age)).bind::<BigInt, _>(i64::from(limit));
        gone += deleted.execute(connection).await? as u64;
    }
    Ok(gone)
}
