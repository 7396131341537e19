//! Steps of schedules that are due, each with its firings, its job and its notices in one transaction.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use uuid::Uuid;

use super::connection::Connection;
use super::effects::Effects;
use super::errors::Failure;
use super::firings::{created, lock};
use super::rows::IdRow;
use super::run::StatementResult;
use super::sql::sql;
use super::submit::submit_batch;
use super::{column, millis, notices};
use model::job::{Caller, Job, NewJob};
use model::schedule::{FiringOutcome, NewNotice, ScheduleState, write_nominal};
use store::{ScheduleStep, StepOutcome};

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

/// Takes all turns in one transaction; where a value of one cannot be written, halves them until it stands alone.
pub(super) async fn take_steps(
    connection: &mut Connection,
    turns: Vec<ScheduleStep>,
) -> StatementResult<(Vec<StepOutcome>, Effects)> {
    let mut effects = Effects::default();
    let mut outcomes = Vec::with_capacity(turns.len());
    let mut parts = vec![turns.as_slice()];
    while let Some(part) = parts.pop() {
        let taken =
            connection.transaction::<_, Failure, _>(async move |connection| take_part(connection, part).await).await;
        match taken {
            Ok((mut done, told)) => {
                outcomes.append(&mut done);
                effects.append(told);
            }
            Err(Failure::BadData(why)) if part.len() == 1 => outcomes.push(StepOutcome::Refused(why)),
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
struct NewFiringRow<'a> {
    id: Uuid,
    schedule_id: Uuid,
    nominal: String,
    due: DateTime<Utc>,
    outcome: FiringOutcome,
    job_id: Option<Uuid>,
    detail: Option<&'a str>,
}

async fn take_part(connection: &mut Connection, part: &[ScheduleStep]) -> StatementResult<(Vec<StepOutcome>, Effects)> {
    let locked = lock(connection, column(part, |turn| turn.schedule_id)).await?;
    let is_still_so = |turn: &ScheduleStep| {
        locked.get(&turn.schedule_id).is_some_and(|schedule| {
            schedule.version == turn.version
                && schedule.state == ScheduleState::Active
                && schedule.next.is_some_and(|next| next.nominal == turn.nominal)
        })
    };
    let mut seen = HashSet::new();
    let taken: Vec<bool> = part.iter().map(|turn| is_still_so(turn) && seen.insert(turn.schedule_id)).collect();
    let turns: Vec<&ScheduleStep> =
        part.iter().zip(&taken).filter(|(_, taken)| **taken).map(|(turn, _)| turn).collect();
    if turns.is_empty() {
        return Ok((vec![StepOutcome::TooLate; part.len()], Effects::default()));
    }
    let written = record(connection, &turns).await?;
    let is_written = |turn: &ScheduleStep| turn.job.as_ref().is_some_and(|job| written.contains(&job.job.id));
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
    let outcome = |(turn, taken): (&ScheduleStep, &bool)| {
        if *taken {
            StepOutcome::Written(turn.job.as_ref().and_then(|firing| jobs.remove(&firing.job.id)))
        } else {
            StepOutcome::TooLate
        }
    };
    Ok((part.iter().zip(&taken).map(outcome).collect(), effects))
}

/// Writes the firings of turns and returns the jobs of those that were not there before.
async fn record(connection: &mut Connection, turns: &[&ScheduleStep]) -> StatementResult<HashSet<Uuid>> {
    let mut rows = Vec::new();
    for turn in turns {
        let schedule_id = turn.schedule_id;
        rows.extend(turn.records.iter().map(|record| NewFiringRow {
            id: Uuid::now_v7(),
            schedule_id,
            nominal: write_nominal(record.nominal),
            due: record.due,
            outcome: record.outcome,
            job_id: None,
            detail: record.detail.as_deref(),
        }));
        rows.extend(turn.job.iter().map(|firing| NewFiringRow {
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
    let inserted: Vec<IdRow> = sql(RECORD)
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
    turns: &[&ScheduleStep],
    jobs: &HashMap<Uuid, Box<Job>>,
) -> StatementResult<()> {
    let job_of = |turn: &ScheduleStep| turn.job.as_ref().map(|firing| firing.job.id).filter(|id| jobs.contains_key(id));
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
