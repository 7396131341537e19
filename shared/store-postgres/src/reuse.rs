//! Submitting jobs that an identical one may answer: from its files, or by the run that is under way. In one transaction, and
//! one after the other for each fingerprint, so that there is one run however many ask at once.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Binary, Integer, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use uuid::Uuid;

use super::connection::Connection;
use super::effects::Effects;
use super::errors::Failure;
use super::first_event::{rung, submitted};
use super::follow::follow;
use super::reuse_insert::insert;
use super::reusing_job::ReusingJob;
use super::rows::{IdRow, JobRow, artifacts_column, job_columns};
use super::run::StatementResult;
use super::sql::sql;
use super::submit::recognise;
use super::usage::count_jobs;
use super::{column, millis};
use model::job::NewJob;
use model::reuse::{Served, Sharing};
use store::Submitted;

/// In the order of the keys, as for every other submit.
const KEYS: &str = "
    insert into idempotency (tenant, principal, key, body_hash, job_id)
    select tenant, principal, key, body_hash, id
    from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::uuid[]) with ordinality
        as i(tenant, principal, key, body_hash, id, place)
    order by tenant, principal, key, place
    on conflict do nothing
    returning job_id as id";

/// Whoever submits what is identical waits here. In the order of the fingerprints; two numbers are another space of locks than
/// the one number of a worker's.
const TAKE_TURNS: &str = "select pg_advisory_xact_lock(high, low) from unnest($1::int[], $2::int[]) as k(high, low)";

const FRESH: &str = "
    select i.place, j.id from unnest($1::bytea[], $2::bigint[], $3::text[]) with ordinality as i(fingerprint, age_ms, tenant, place)
    cross join lateral (
        select d.id from jobs d
        where d.fingerprint = i.fingerprint and d.tenant = i.tenant and d.state = 'done'
          and d.finished_at > now() - i.age_ms * interval '1 millisecond'
          and exists (select from artifacts a where a.job_id = d.id)
          and not exists (select from artifacts a where a.job_id = d.id and (a.expires_at <= now() or a.deleted_at is not null))
        order by d.finished_at desc limit 1
    ) j";

/// Makes the run's end wait for us, or finds that it has ended: who changes the job now sees that it is followed.
const JOIN: &str = concat!(
    "
    with wanted as (
        select * from unnest($1::bytea[], $2::int[]) as w(fingerprint, more)
    ), locked as materialized (
        select id, fingerprint from jobs
        where fingerprint = any($1) and joined is not null and state in ",
    store::unfinished_states!(),
    "
        order by id for no key update
    )
    update jobs j set joined = j.joined + w.more
    from locked l join wanted w on w.fingerprint = l.fingerprint
    where j.id = any(array[l.id])
    returning j.id, j.fingerprint, j.attempt"
);

const ANSWERED: &str =
    concat!("select ", job_columns!(), ", ", artifacts_column!(), " from jobs j where j.id = any($1)");

#[derive(QueryableByName)]
struct FreshRow {
    #[diesel(sql_type = BigInt)]
    place: i64,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

#[derive(QueryableByName)]
struct LeaderRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Binary)]
    fingerprint: Vec<u8>,
    #[diesel(sql_type = Integer)]
    attempt: i32,
}

/// Submits jobs that all have a wish to reuse.
pub(super) async fn submit_reusing(
    connection: &mut Connection,
    part: &[NewJob],
    effects: &mut Effects,
) -> StatementResult<Vec<Submitted>> {
    let (outcomes, told) = connection
        .transaction::<_, Failure, _>(async move |connection| {
            let mut told = Effects::default();
            let outcomes = submit_all(connection, part, &mut told).await?;
            Ok((outcomes, told))
        })
        .await?;
    effects.append(told);
    Ok(outcomes)
}

async fn submit_all(
    connection: &mut Connection,
    part: &[NewJob],
    told: &mut Effects,
) -> StatementResult<Vec<Submitted>> {
    let mut outcomes: Vec<Option<Submitted>> = vec![None; part.len()];
    let taken = take_keys(connection, part).await?;
    let accepted = |job: &NewJob| job.idempotency.is_none() || taken.contains(&job.id);
    let mut entries: Vec<ReusingJob<'_>> = part
        .iter()
        .filter(|job| accepted(job))
        .filter_map(|job| {
            let reuse = job.reuse.as_ref()?;
            Some(ReusingJob { job, reuse, outbox_id: Uuid::now_v7(), sharing: Sharing::default() })
        })
        .collect();
    let mut answers = write_entries(connection, &mut entries, told).await?;
    for (job, outcome) in part.iter().zip(&mut outcomes) {
        *outcome = answers.remove(&job.id);
    }
    let rest = (0..part.len()).filter(|index| outcomes.get(*index).is_some_and(Option::is_none)).collect();
    recognise(connection, part, rest, &mut outcomes).await?;
    let unknown = || Submitted::Refused("the job of this Idempotency-Key is no longer kept: use a new key".to_owned());
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unknown)).collect())
}

/// Takes the keys that are free. Returns the jobs that have theirs.
async fn take_keys(connection: &mut Connection, part: &[NewJob]) -> StatementResult<Vec<Uuid>> {
    let keyed: Vec<_> = part.iter().filter_map(|job| Some((job, job.idempotency.as_ref()?))).collect();
    if keyed.is_empty() {
        return Ok(Vec::new());
    }
    let taken: Vec<IdRow> = sql(KEYS)
        .bind::<Array<Text>, _>(column(&keyed, |(job, _)| job.caller.tenant.as_str()))
        .bind::<Array<Text>, _>(column(&keyed, |(job, _)| job.caller.principal.as_str()))
        .bind::<Array<Text>, _>(column(&keyed, |(_, given)| given.key.as_str()))
        .bind::<Array<Binary>, _>(column(&keyed, |(_, given)| given.body_hash.as_slice()))
        .bind::<Array<SqlUuid>, _>(column(&keyed, |(job, _)| job.id))
        .load(connection)
        .await?;
    Ok(column(&taken, |row| row.id))
}

/// Finds what answers each job, writes them all, and takes those that follow another job to where it is.
async fn write_entries(
    connection: &mut Connection,
    entries: &mut [ReusingJob<'_>],
    told: &mut Effects,
) -> StatementResult<HashMap<Uuid, Submitted>> {
    if entries.is_empty() {
        return Ok(HashMap::new());
    }
    take_turns(connection, entries).await?;
    let mut ahead = find_fresh(connection, entries).await?;
    let joined = join(connection, entries).await?;
    ahead.extend(joined);
    // A run that was under way a moment ago is over, where it could not be joined.
    ahead.extend(find_fresh(connection, entries).await?);
    lead_the_rest(entries);
    let now = insert(connection, entries).await?;
    for ReusingJob { job, outbox_id, sharing, .. } in &*entries {
        let mut event = submitted(job, now);
        event.leader = sharing.follows();
        told.events.push(event);
        if sharing.leader.is_none() {
            told.outbox.push(rung(job, *outbox_id));
        }
    }
    if !ahead.is_empty() {
        told.append(follow(connection, &ahead).await?);
    }
    // Last, after every lock on jobs.
    count_jobs(connection, &column(entries, |entry| entry.job)).await?;
    answer(connection, entries, now).await
}

async fn take_turns(connection: &mut Connection, entries: &[ReusingJob<'_>]) -> StatementResult<()> {
    let mut keys: Vec<(i32, i32)> =
        entries.iter().filter(|entry| entry.is_open()).map(|entry| entry.reuse.turn()).collect();
    keys.sort_unstable();
    keys.dedup();
    if !keys.is_empty() {
        sql(TAKE_TURNS)
            .bind::<Array<Integer>, _>(column(&keys, |key| key.0))
            .bind::<Array<Integer>, _>(column(&keys, |key| key.1))
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Answers from the files of identical jobs, where there are fresh ones. Returns those jobs.
async fn find_fresh(connection: &mut Connection, entries: &mut [ReusingJob<'_>]) -> StatementResult<Vec<Uuid>> {
    let mut open: Vec<&mut ReusingJob<'_>> = entries.iter_mut().filter(|entry| entry.is_open()).collect();
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let found: Vec<FreshRow> = sql(FRESH)
        .bind::<Array<Binary>, _>(column(&open, |entry| entry.reuse.fingerprint.as_slice()))
        .bind::<Array<BigInt>, _>(column(&open, |entry| millis(entry.reuse.max_age)))
        .bind::<Array<Text>, _>(column(&open, |entry| entry.job.caller.tenant.as_str()))
        .load(connection)
        .await?;
    for row in &found {
        if let Some(entry) = usize::try_from(row.place - 1).ok().and_then(|place| open.get_mut(place)) {
            entry.sharing = Sharing { served: Served::Warm, leader: Some(row.id), ..Sharing::default() };
        }
    }
    Ok(column(&found, |row| row.id))
}

/// Joins runs that are under way. Returns those whose first attempt has begun.
async fn join(connection: &mut Connection, entries: &mut [ReusingJob<'_>]) -> StatementResult<Vec<Uuid>> {
    let mut wanted: BTreeMap<&[u8], i32> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.is_open()) {
        *wanted.entry(entry.reuse.fingerprint.as_slice()).or_default() += 1;
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let leaders: Vec<LeaderRow> = sql(JOIN)
        .bind::<Array<Binary>, _>(wanted.keys().copied().collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(wanted.values().copied().collect::<Vec<_>>())
        .load(connection)
        .await?;
    for entry in entries.iter_mut().filter(|entry| entry.is_open()) {
        if let Some(leader) = leaders.iter().find(|leader| leader.fingerprint == entry.reuse.fingerprint) {
            entry.sharing = Sharing { served: Served::Joined, leader: Some(leader.id), ..Sharing::default() };
        }
    }
    Ok(leaders.iter().filter(|leader| leader.attempt > 0).map(|leader| leader.id).collect())
}

/// Of identical jobs that nothing answers yet the first one leads the others.
fn lead_the_rest(entries: &mut [ReusingJob<'_>]) {
    let mut leaders: HashMap<[u8; 32], (Uuid, i32)> = HashMap::new();
    for entry in entries.iter_mut().filter(|entry| entry.is_open()) {
        match leaders.get_mut(&entry.reuse.fingerprint) {
            Some((leader, joined)) => {
                *joined += 1;
                entry.sharing = Sharing { served: Served::Joined, leader: Some(*leader), ..Sharing::default() };
            }
            None => drop(leaders.insert(entry.reuse.fingerprint, (entry.job.id, 0))),
        }
    }
    for entry in entries.iter_mut().filter(|entry| entry.is_open()) {
        let of = leaders.get(&entry.reuse.fingerprint).filter(|(leader, _)| *leader == entry.job.id);
        entry.sharing.joined = of.map(|(_, joined)| *joined);
    }
}

/// Answers each job as it was submitted. Those that are done already are read, for their files.
async fn answer(
    connection: &mut Connection,
    entries: &[ReusingJob<'_>],
    now: DateTime<Utc>,
) -> StatementResult<HashMap<Uuid, Submitted>> {
    let warm = |entry: &&ReusingJob<'_>| entry.sharing.served == Served::Warm;
    let done: Vec<Uuid> = entries.iter().filter(warm).map(|entry| entry.job.id).collect();
    let rows: Vec<JobRow> = if done.is_empty() {
        Vec::new()
    } else {
        sql(ANSWERED).bind::<Array<SqlUuid>, _>(done).load(connection).await?
    };
    let mut answers = HashMap::with_capacity(entries.len());
    for row in rows {
        let job = row.into_job()?;
        answers.insert(job.id, Submitted::Created(Box::new(job)));
    }
    for ReusingJob { job, sharing, reuse, .. } in entries.iter().filter(|entry| !warm(entry)) {
        let sharing = Sharing { made_from: reuse.made_from, ..*sharing };
        let made = (*job).clone().into_job(now, sharing);
        answers.insert(job.id, Submitted::Created(Box::new(made)));
    }
    Ok(answers)
}
