//! Places under limits: whoever starts a job that has limits holds their rows, and looks then who runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::QueryableByName;
use diesel::sql_types::{Array, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use uuid::Uuid;

use super::claim::taking;
use super::column;
use super::connection::Connection;
use super::effects::Effects;
use super::errors::Failure;
use super::first_event::started;
use super::limits::limits_of;
use super::lines::HOLD_LIMITS;
use super::rows::{IdRow, JobRow, job_columns};
use super::run::StatementResult;
use super::sql::sql;
use model::limits::{GivenPlace, LimitStanding, PlaceRequest};
use model::transitions::ALONE_FROM_CRASHES;
use store::Claimed;

/// Nobody takes the worker for dead and misses what it is just claiming. Before all limits, as everywhere.
const ME: &str = "select id from workers where id = $1 for key share";

const LIMITS: &str = concat!("select id, ", limits_of!("jobs"), " as limits from jobs where id = any($1)");

/// Values of keys have a row from the first job on. Before all other limits, as their names are.
const HOLD_VALUES: &str = "
    insert into run_limits (name) select n from unnest($1::text[]) n order by n on conflict (name) do update set changed_at = now()";

/// Keys whose older jobs wait: in their line, or rung for out of it.
const BEHIND: &str = "
    select j.id from unnest($1::uuid[], $2::text[]) as i(id, value) join jobs j on j.id = any(array[i.id])
    where exists (select from jobs o where o.set_aside = '=/report:' || i.value and o.lane = j.lane and o.tenant = j.tenant
                    and o.created_at < j.created_at)
       or exists (select from run_limits l cross join lateral unnest(l.holders) h(id) join jobs o on o.id = any(array[h.id])
                  where l.name = i.value and o.state || '' = 'pending' and o.set_aside is null and o.created_at < j.created_at)";

const STANDING: &str = "
    select n.name, coalesce(l.most, k.most) as most, array(
               select j.id from unnest(l.holders) h(id) join jobs j on j.id = any(array[h.id])
               where j.state is not distinct from 'processing') as running, array(
               select j.id from unnest(l.holders) h(id) join jobs j on j.id = any(array[h.id])
               where j.state || '' in ('pending', 'retrying') and j.set_aside is null) as rung
    from unnest($1::text[]) n(name)
    left join run_limits l on l.name = n.name
    left join run_limits k on n.name like 'key:%' and k.name = 'key:' || split_part(n.name, ':', 2)";

/// `$1` the worker, `$2` the jobs, `$3` the doorbells that they are started for, where their turn it is, `$4` those that will run alone.
const TAKE_PLACES: &str = concat!(
    "with locked as materialized (
        select id, state, next_attempt_at, crashes, leader_id from jobs where id = any($2) order by id for no key update skip locked
    ), free as materialized (
        select l.id, i.hint from locked l join unnest($2::uuid[], $3::uuid[]) as i(id, hint) on i.id = l.id
        where (l.state = 'pending' or (l.state = 'retrying' and l.next_attempt_at <= now()))
          and (l.crashes < 2 or l.id = any($4)) and l.leader_id is null
    ), changed as (",
    taking!(
        "$1",
        "case when free.hint is null then case when j.state = 'pending' then j.rung_by end else nullif(free.hint, j.id) end",
        "from free where j.id = any(array[free.id])"
    ),
    "), event as (
        insert into events (job_id, seq, tenant, principal, kind, state, attempt)
        select id, seq, tenant, principal, 'started', 'processing', attempt from changed where withdrawn_at is null
    )
    select *, null::text as artifacts from changed"
);

// The text says 2.
const _: () = assert!(ALONE_FROM_CRASHES == 2);

const NOTE_HOLDERS: &str = "
    update run_limits l set holders = i.holders::uuid[], changed_at = now()
    from unnest($1::text[], $2::text[]) as i(name, holders) where l.name = i.name";

/// What is due again waits as what is pending does.
const PUT_IN_LINE: &str = "
    with waiting as materialized (
        select j.id, i.line from unnest($1::uuid[], $2::text[]) as i(id, line) join jobs j on j.id = any(array[i.id])
        where (j.state || '' = 'pending' or (j.state || '' = 'retrying' and j.next_attempt_at <= now())) and j.leader_id is null
        order by j.id for no key update of j skip locked
    )
    update jobs j set set_aside = '=/report:' || w.line, rung_at = '9999-01-01' from waiting w where j.id = any(array[w.id])";

/// A job that is to be started where its limits allow it.
#[derive(Debug, Clone, Copy)]
pub(super) struct WantedPlace {
    pub(super) job_id: Uuid,
    /// The doorbell that it is started for, where its turn it is; none where it is asked for by name.
    pub(super) rung_by: Option<Uuid>,
    /// The worker will run it alone.
    pub(super) alone: bool,
}

#[derive(QueryableByName)]
struct LimitsRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Array<Text>)]
    limits: Vec<String>,
}

#[derive(QueryableByName)]
struct StandingRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Nullable<Integer>)]
    most: Option<i32>,
    #[diesel(sql_type = Array<SqlUuid>)]
    running: Vec<Uuid>,
    #[diesel(sql_type = Array<SqlUuid>)]
    rung: Vec<Uuid>,
}

/// Starts jobs that have limits, as far as these have places, and sets the others aside. One answer a job; what somebody else is at is
/// [`Claimed::Held`].
pub(super) async fn give_places(
    connection: &mut Connection,
    worker_id: Uuid,
    wanted: &[WantedPlace],
) -> StatementResult<(HashMap<Uuid, Claimed>, Effects)> {
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let me: Vec<IdRow> = sql(ME).bind::<SqlUuid, _>(worker_id).load(connection).await?;
            if me.is_empty() {
                let all = wanted.iter().map(|one| (one.job_id, Claimed::Unregistered));
                return Ok((all.collect(), Effects::default()));
            }
            let requests = hold_limits(connection, wanted).await?;
            let names: BTreeSet<String> = requests.iter().flat_map(|request| request.limits.iter().cloned()).collect();
            let (mut limits, rung) = standing(connection, &names).await?;
            let places = model::limits::give_places(&requests, &mut limits);
            let free = |one: &&WantedPlace| {
                requests.iter().zip(&places).any(|(of, place)| of.job_id == one.job_id && *place == GivenPlace::Free)
            };
            let free: Vec<WantedPlace> = wanted.iter().filter(free).copied().collect();
            let (mut answers, mut effects) = take(connection, worker_id, &free).await?;
            note_holders(connection, &requests, &answers, (limits, rung)).await?;
            let lines = requests.iter().zip(places).filter_map(|(request, place)| match place {
                GivenPlace::Free => None,
                GivenPlace::Line(line) => Some((request, line)),
            });
            let lines: Vec<(&PlaceRequest, String)> = lines.collect();
            if !lines.is_empty() {
                sql(PUT_IN_LINE)
                    .bind::<Array<SqlUuid>, _>(column(&lines, |(request, _)| request.job_id))
                    .bind::<Array<Text>, _>(column(&lines, |(_, line)| line.as_str()))
                    .execute(connection)
                    .await?;
            }
            for (request, _) in lines {
                // It was rung for out of one line, and stands in another: who is behind it in the first is next there.
                effects.freed.extend(request.limits.iter().cloned());
                answers.insert(request.job_id, Claimed::Limited);
            }
            Ok((answers, effects))
        })
        .await
}

/// Holds the limits of these jobs and says which they are, and who is behind an older one of its key.
async fn hold_limits(connection: &mut Connection, wanted: &[WantedPlace]) -> StatementResult<Vec<PlaceRequest>> {
    let ids = column(wanted, |one| one.job_id);
    let rows: Vec<LimitsRow> = sql(LIMITS).bind::<Array<SqlUuid>, _>(ids.as_slice()).load(connection).await?;
    let is_value = |name: &&String| name.starts_with("key:");
    let names: BTreeSet<&String> = rows.iter().flat_map(|row| &row.limits).collect();
    let (values, others): (Vec<&String>, Vec<&String>) = names.into_iter().partition(is_value);
    if !values.is_empty() {
        sql(HOLD_VALUES).bind::<Array<Text>, _>(values).execute(connection).await?;
    }
    sql(HOLD_LIMITS).bind::<Array<Text>, _>(others).execute(connection).await?;
    let keyed: Vec<(Uuid, String)> =
        rows.iter().filter_map(|row| Some((row.id, row.limits.iter().find(is_value)?.clone()))).collect();
    let behind: Vec<IdRow> = if keyed.is_empty() {
        Vec::new()
    } else {
        sql(BEHIND)
            .bind::<Array<SqlUuid>, _>(column(&keyed, |(id, _)| *id))
            .bind::<Array<Text>, _>(column(&keyed, |(_, value)| value.as_str()))
            .load(connection)
            .await?
    };
    let behind: BTreeSet<Uuid> = behind.into_iter().map(|row| row.id).collect();
    let value_of = |id| keyed.iter().find(|(of, _)| *of == id).map(|(_, value)| value.clone());
    let request = |id: Uuid| {
        let limits = rows.iter().find(|row| row.id == id)?.limits.clone();
        Some(PlaceRequest { job_id: id, limits, behind: value_of(id).filter(|_| behind.contains(&id)) })
    };
    Ok(ids.into_iter().filter_map(request).collect())
}

type StandingLimits = (BTreeMap<String, LimitStanding>, BTreeMap<String, Vec<Uuid>>);

/// Reads how limits stand whose rows are held: who runs, and who was rung for.
async fn standing(connection: &mut Connection, names: &BTreeSet<String>) -> StatementResult<StandingLimits> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows: Vec<StandingRow> = sql(STANDING).bind::<Array<Text>, _>(names).load(connection).await?;
    let mut limits = BTreeMap::new();
    let mut rung = BTreeMap::new();
    for row in rows {
        let most = row.most.map(i32::unsigned_abs);
        limits.insert(row.name.clone(), LimitStanding { most, running: row.running.into_iter().collect() });
        rung.insert(row.name, row.rung);
    }
    Ok((limits, rung))
}

async fn take(
    connection: &mut Connection,
    worker_id: Uuid,
    free: &[WantedPlace],
) -> StatementResult<(HashMap<Uuid, Claimed>, Effects)> {
    let mut effects = Effects::default();
    let mut answers = HashMap::new();
    if free.is_empty() {
        return Ok((answers, effects));
    }
    let alone: Vec<Uuid> = free.iter().filter(|one| one.alone).map(|one| one.job_id).collect();
    let rows: Vec<JobRow> = sql(TAKE_PLACES)
        .bind::<SqlUuid, _>(worker_id)
        .bind::<Array<SqlUuid>, _>(column(free, |one| one.job_id))
        .bind::<Array<Nullable<SqlUuid>>, _>(column(free, |one| one.rung_by))
        .bind::<Array<SqlUuid>, _>(alone)
        .load(connection)
        .await?;
    for row in rows {
        let job = row.into_job()?;
        if job.sharing.withdrawn_at.is_none() {
            effects.events.push(started(&job));
        }
        if job.sharing.is_followed() {
            effects.led.push(job.id);
        }
        answers.insert(job.id, Claimed::Yes(Box::new(job)));
    }
    Ok((answers, effects))
}

async fn note_holders(
    connection: &mut Connection,
    requests: &[PlaceRequest],
    answers: &HashMap<Uuid, Claimed>,
    (limits, rung): StandingLimits,
) -> StatementResult<()> {
    let taken: BTreeSet<Uuid> = answers.keys().copied().collect();
    let changed: BTreeSet<&String> =
        requests.iter().filter(|request| taken.contains(&request.job_id)).flat_map(|request| &request.limits).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let holders = |name: &String| {
        let running = limits.get(name).into_iter().flat_map(|limit| &limit.running);
        let all: BTreeSet<String> = running.chain(rung.get(name).into_iter().flatten()).map(Uuid::to_string).collect();
        format!("{{{}}}", all.into_iter().collect::<Vec<_>>().join(","))
    };
    let changed: Vec<&String> = changed.into_iter().collect();
    sql(NOTE_HOLDERS)
        .bind::<Array<Text>, _>(changed.iter().map(|name| name.as_str()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(changed.iter().map(|name| holders(name)).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}
