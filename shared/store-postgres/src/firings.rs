//! Firings: one for each nominal time, written with its job in one transaction.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
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
use model::job::{Caller, Job, JobState, NewJob};
use model::schedule::{Firing, FiringOutcome, NewNotice, Schedule, ScheduleState, write_nominal};
use store::{Asked, AskedFiring, EndedFiring, Submitted, Turn, TurnOutcome, after_end};

/// An open firing is looked at a second later, and less and less often then.
const RECORD: &str = "
    insert into firings (id, schedule_id, nominal, due_at, outcome, job_id, detail, look_at)
    select id, schedule_id, nominal, due_at, outcome, job_id, detail, case when job_id is not null then now() + interval '1 second' end
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[], $6::uuid[], $7::text[])
        as f(id, schedule_id, nominal, due_at, outcome, job_id, detail)
    on conflict do nothing
    returning id";

const ADVANCE: &str = "
    update schedules s set next_nominal = t.nominal, next_due = t.due,
        look_at = case when t.pause is not null or t.due is null then null
                       when t.again_ms is not null then now() + t.again_ms * interval '1 millisecond'
                       else greatest(t.due, now()) end,
        waiting = t.waiting, state = case when t.pause is null then s.state else 'paused' end, paused_why = t.pause,
        failures = s.failures + t.failures, last_job_id = coalesce(t.job_id, s.last_job_id),
        alarm_at = case when t.pause is null then s.alarm_at end
    from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bigint[], $5::bool[], $6::text[], $7::int[], $8::uuid[])
        as t(id, nominal, due, again_ms, waiting, pause, failures, job_id)
    where s.id = any(array[t.id])";

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

const ENDED: &str = "
    update schedules s set failures = t.failures, silent = t.silent, last_sent_at = t.sent_at, state = t.state,
        paused_why = t.paused_why, look_at = case when t.state = 'active' then s.look_at end,
        alarm_at = case when t.state <> 'active' then null
                        when t.sent then now() + s.alarm_after_ms * interval '1 millisecond' else s.alarm_at end
    from unnest($1::uuid[], $2::int[], $3::bool[], $4::timestamptz[], $5::text[], $6::text[], $7::bool[])
        as t(id, failures, silent, sent_at, state, paused_why, sent)
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

#[derive(QueryableByName)]
struct InsertedRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// Takes all turns in one transaction; where a value of one cannot be written, halves them until it stands alone.
pub(super) async fn take_turns(
    connection: &mut Connection,
    turns: Vec<Turn>,
) -> StatementResult<(Vec<TurnOutcome>, Effects)> {
    let mut effects = Effects::default();
    let mut outcomes = Vec::with_capacity(turns.len());
    let mut parts = vec![turns.as_slice()];
    while let Some(part) = parts.pop() {
        let taken = connection
            .transaction::<_, Failure, _>(async move |connection| take_part(connection, part).await)
            .await;
        match taken {
            Ok((mut done, told)) => {
                outcomes.append(&mut done);
                effects.append(told);
            }
            Err(Failure::BadData(why)) if part.len() == 1 => outcomes.push(TurnOutcome::Refused(why)),
            Err(Failure::BadData(_)) => {
                let (left, right) = part.split_at(part.len() / 2);
                parts.push(right);
                parts.push(left);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok((outcomes, effects))
}

/// One row of `firings` about to be written.
struct NewRow<'a> {
    id: Uuid,
    schedule_id: Uuid,
    nominal: String,
    due: DateTime<Utc>,
    outcome: FiringOutcome,
    job_id: Option<Uuid>,
    detail: Option<&'a str>,
}

async fn take_part(connection: &mut Connection, part: &[Turn]) -> StatementResult<(Vec<TurnOutcome>, Effects)> {
    let locked = lock(connection, column(part, |turn| turn.schedule_id)).await?;
    let is_still_so = |turn: &Turn| {
        locked.get(&turn.schedule_id).is_some_and(|schedule| {
            schedule.version == turn.version
                && schedule.state == ScheduleState::Active
                && schedule.next.is_some_and(|next| next.nominal == turn.nominal)
        })
    };
    let mut seen = HashSet::new();
    let taken: Vec<bool> = part.iter().map(|turn| is_still_so(turn) && seen.insert(turn.schedule_id)).collect();
    let turns: Vec<&Turn> = part.iter().zip(&taken).filter(|(_, taken)| **taken).map(|(turn, _)| turn).collect();
    if turns.is_empty() {
        return Ok((vec![TurnOutcome::TooLate; part.len()], Effects::default()));
    }
    let written = record(connection, &turns).await?;
    let is_written = |turn: &Turn| turn.job.as_ref().is_some_and(|job| written.contains(&job.job.id));
    let jobs: Vec<NewJob> = turns
        .iter()
        .filter(|turn| is_written(turn))
        .filter_map(|turn| turn.job.as_ref().map(|firing| firing.job.clone()))
        .collect();
    let (submitted, effects) = submit_batch(connection, jobs).await?;
    let mut jobs: HashMap<Uuid, Box<Job>> = HashMap::new();
    for outcome in submitted {
        let job = created(outcome)?;
        jobs.insert(job.id, job);
    }
    advance(connection, &turns, &jobs).await?;
    let notices: Vec<(Uuid, &Caller, &NewNotice)> = turns
        .iter()
        .filter_map(|turn| Some((turn, &locked.get(&turn.schedule_id)?.owner)))
        .flat_map(|(turn, owner)| turn.notices.iter().map(move |notice| (turn.schedule_id, owner, notice)))
        .collect();
    notices::write(connection, &notices).await?;
    let outcome = |(turn, taken): (&Turn, &bool)| {
        if *taken {
            TurnOutcome::Written(turn.job.as_ref().and_then(|firing| jobs.remove(&firing.job.id)))
        } else {
            TurnOutcome::TooLate
        }
    };
    Ok((part.iter().zip(&taken).map(outcome).collect(), effects))
}

/// A job that a constraint refuses takes its transaction with it.
fn created(outcome: Submitted) -> StatementResult<Box<Job>> {
    match outcome {
        Submitted::Created(job) | Submitted::Replayed(job) => Ok(job),
        Submitted::KeyReused => Err(Failure::BadData("its key came with another job before".to_owned())),
        Submitted::Refused(why) => Err(Failure::BadData(why)),
    }
}

async fn lock(connection: &mut Connection, ids: Vec<Uuid>) -> StatementResult<HashMap<Uuid, Schedule>> {
    let rows: Vec<ScheduleRow> = sql(LOCK).bind::<Array<SqlUuid>, _>(ids).load(connection).await?;
    rows.into_iter().map(|row| Ok((row.id, row.read()?))).collect()
}

/// Writes the firings of turns and returns the jobs of those that were not there before.
async fn record(connection: &mut Connection, turns: &[&Turn]) -> StatementResult<HashSet<Uuid>> {
    let mut rows = Vec::new();
    for turn in turns {
        let schedule_id = turn.schedule_id;
        rows.extend(turn.records.iter().map(|record| NewRow {
            id: Uuid::now_v7(),
            schedule_id,
            nominal: write_nominal(record.nominal),
            due: record.due,
            outcome: record.outcome,
            job_id: None,
            detail: record.detail.as_deref(),
        }));
        rows.extend(turn.job.iter().map(|firing| NewRow {
            id: Uuid::now_v7(),
            schedule_id,
            nominal: write_nominal(firing.nominal),
            due: firing.due,
            outcome: FiringOutcome::Fired,
            job_id: Some(firing.job.id),
            detail: None,
        }));
    }
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let inserted: Vec<InsertedRow> = sql(RECORD)
        .bind::<Array<SqlUuid>, _>(column(&rows, |row| row.id))
        .bind::<Array<SqlUuid>, _>(column(&rows, |row| row.schedule_id))
        .bind::<Array<Text>, _>(column(&rows, |row| row.nominal.as_str()))
        .bind::<Array<Timestamptz>, _>(column(&rows, |row| row.due))
        .bind::<Array<Text>, _>(column(&rows, |row| row.outcome.as_str()))
        .bind::<Array<Nullable<SqlUuid>>, _>(column(&rows, |row| row.job_id))
        .bind::<Array<Nullable<Text>>, _>(column(&rows, |row| row.detail))
        .load(connection)
        .await?;
    let inserted: HashSet<Uuid> = inserted.into_iter().map(|row| row.id).collect();
    Ok(rows.iter().filter(|row| inserted.contains(&row.id)).filter_map(|row| row.job_id).collect())
}

async fn advance(
    connection: &mut Connection,
    turns: &[&Turn],
    jobs: &HashMap<Uuid, Box<Job>>,
) -> StatementResult<()> {
    let job_of = |turn: &Turn| turn.job.as_ref().map(|firing| firing.job.id).filter(|id| jobs.contains_key(id));
    sql(ADVANCE)
        .bind::<Array<SqlUuid>, _>(column(turns, |turn| turn.schedule_id))
        .bind::<Array<Nullable<Text>>, _>(column(turns, |turn| turn.next.map(|next| write_nominal(next.nominal))))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(turns, |turn| turn.next.map(|next| next.due)))
        .bind::<Array<Nullable<BigInt>>, _>(column(turns, |turn| turn.again.map(millis)))
        .bind::<Array<Bool>, _>(column(turns, |turn| turn.waiting))
        .bind::<Array<Nullable<Text>>, _>(column(turns, |turn| turn.pause.map(|why| why.as_str())))
        .bind::<Array<Integer>, _>(column(turns, |turn| turn.failures))
        .bind::<Array<Nullable<SqlUuid>>, _>(column(turns, |turn| job_of(turn)))
        .execute(connection)
        .await?;
    Ok(())
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
pub(super) async fn fire(connection: &mut Connection, asked: AskedFiring) -> StatementResult<(Asked, Effects)> {
    let fired = connection
        .transaction::<_, Failure, _>(async move |connection| {
            let id = asked.schedule_id;
            if lock(connection, vec![id]).await?.is_empty() {
                return Ok((Asked::NotFound, Effects::default()));
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
                return Ok((Asked::Known(Box::new(known)), Effects::default()));
            };
            let (submitted, effects) = submit_batch(connection, vec![asked.job]).await?;
            for outcome in submitted {
                let job = created(outcome)?;
                sql(ASKED).bind::<SqlUuid, _>(id).bind::<SqlUuid, _>(job.id).execute(connection).await?;
            }
            Ok((Asked::Fired(Box::new(made.read()?)), effects))
        })
        .await;
    match fired {
        Err(Failure::BadData(why)) => Ok((Asked::Refused(why), Effects::default())),
        other => other,
    }
}

/// Looks how the jobs of open firings stand.
pub(super) async fn settle(
    connection: &mut Connection,
    floor: DateTime<Utc>,
    limit: u32,
) -> StatementResult<Vec<EndedFiring>> {
    connection
        .transaction::<_, Failure, _>(async move |connection| settle_part(connection, floor, limit).await)
        .await
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
    sql(LOOKED)
        .bind::<Array<SqlUuid>, _>(column(&looked, |(firing, ..)| firing.id))
        .bind::<Array<Nullable<Text>>, _>(column(&looked, |(_, ended, _)| ended.map(JobState::as_str)))
        .execute(connection)
        .await?;
    let mut ids: Vec<Uuid> = looked.iter().filter(|(_, ended, _)| ended.is_some()).map(|(f, ..)| f.schedule_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut schedules = lock(connection, ids).await?;
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
