// Over 300 lines: one statement, what is bound to it, and what it answers.
//! Submitting: job, event, idempotency row and outbox row of a whole batch, in one statement that is its own transaction.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Binary, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::audit::audit_notes;
use super::connection::Connection;
use super::effects::Effects;
use super::errors::Failure;
use super::first_event::{rung, submitted};
use super::reuse::submit_reusing;
use super::rows::{JobRow, artifacts_column, attributes_of, job_columns, to_json};
use super::run::StatementResult;
use super::sql::sql;
use super::turn_rows::list_turns;
use super::usage::count_submits;
use super::{PostgresStore, column};
use model::job::{Caller, Idempotency, NewJob};
use model::reuse::Sharing;
use store::{Result, Submitted};

/// Keys are taken in their order, so that two batches with the same keys never wait for each other in a circle. Who waits for
/// a key of a transaction that then commits, gets nothing back for it and reads it with [`KNOWN`].
const SUBMIT: &str = concat!(
    "
    with input as (
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                             $9::text[], $10::int[], $11::bigint[], $12::bigint[], $13::text[], $14::uuid[], $15::text[],
                             $16::bytea[], $17::text[], $18::bigint[], $19::text[], $20::text[], $23::text[]) with ordinality
        as i(id, tenant, principal, report, report_version, lane, params, formats, notify, max_attempts, timeout_ms,
             retention_ms, traceparent, outbox_id, key, body_hash, forecast, late_ms, on_refusal, attributes, limit_key,
             place)
    ), keyed as (
        insert into idempotency (tenant, principal, key, body_hash, job_id)
        select tenant, principal, key, body_hash, id from input where key is not null
        order by tenant, principal, key, place
        on conflict do nothing
        returning job_id
    ), accepted as materialized (
        select * from input where key is null or id in (select job_id from keyed)
    ), job as (
        insert into jobs (id, tenant, principal, report, report_version, lane, params, formats, notify, max_attempts,
                          timeout_ms, retention_ms, traceparent, forecast, late_at, on_refusal, attributes,
                          limit_key)
        select id, tenant, principal, report, report_version, lane, params::json, formats::json, notify::json, max_attempts,
               timeout_ms, retention_ms, traceparent, forecast::json, now() + late_ms * interval '1 millisecond', on_refusal,
               attributes::json, limit_key
        from accepted
    ), event as (
        insert into events (job_id, seq, tenant, principal, kind, state, attempt)
        select id, 1, tenant, principal, 'submitted', 'pending', 0 from accepted
    ), rung as (
        insert into outbox (id, kind, subject, queue, traceparent, leased_until)
        select outbox_id, 'run-job', id, lane, traceparent, now() + interval '5 seconds' from accepted
    ), noted as (
        insert into audit_queue (body)
        select n.body from unnest($21::uuid[], $22::text[]) as n(id, body) join accepted a on a.id = n.id
    ), listed as (",
    list_turns!("accepted"),
    "), counted as (",
    count_submits!("accepted"),
    ")
    select id, now() as now from accepted"
);

/// The jobs that were submitted under keys before.
const KNOWN: &str = concat!(
    "select i.place, k.body_hash, ",
    job_columns!(),
    ", ",
    artifacts_column!(),
    " from unnest($1::text[], $2::text[], $3::text[]) with ordinality as i(tenant, principal, key, place)
      join idempotency k on k.tenant = any(array[i.tenant]) and k.principal = any(array[i.principal])
                        and k.key = any(array[i.key])
      join jobs j on j.id = any(array[k.job_id])"
);

#[derive(QueryableByName)]
struct AcceptedRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
}

#[derive(QueryableByName)]
struct KnownRow {
    #[diesel(sql_type = BigInt)]
    place: i64,
    #[diesel(sql_type = Binary)]
    body_hash: Vec<u8>,
    #[diesel(embed)]
    job: JobRow,
}

impl KnownRow {
    /// What a repeat is answered, or a request that only has the same key.
    fn answer(self, given: Option<&Idempotency>) -> StatementResult<Submitted> {
        if given.is_some_and(|given| given.is_of(&self.body_hash)) {
            Ok(Submitted::Replayed(Box::new(self.job.into_job()?.as_submitted())))
        } else {
            Ok(Submitted::KeyReused)
        }
    }
}

impl PostgresStore {
    pub(super) async fn find_key(&self, caller: &Caller, given: &Idempotency) -> Result<Option<Submitted>> {
        let (caller, given) = (caller.clone(), given.clone());
        self.read(move |connection| {
            async move {
                let known: Vec<KnownRow> = sql(KNOWN)
                    .bind::<Array<Text>, _>(vec![caller.tenant.as_str()])
                    .bind::<Array<Text>, _>(vec![caller.principal.as_str()])
                    .bind::<Array<Text>, _>(vec![given.key.as_str()])
                    .load(connection)
                    .await?;
                known.into_iter().next().map(|row| row.answer(Some(&given))).transpose()
            }
            .boxed()
        })
        .await
    }

    pub(super) async fn submit_batch(&self, jobs: Vec<NewJob>) -> Result<Vec<Submitted>> {
        self.change(|connection| submit_batch(connection, jobs).boxed()).await
    }
}

/// How the jobs of a batch are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SubmitPath {
    /// Each with a run of its own: one statement.
    Plain,
    /// An identical job may answer.
    Reusing,
}

/// Submits jobs with and without a wish to reuse apart: the others do not pay for it.
pub(super) async fn submit_batch(
    connection: &mut Connection,
    jobs: Vec<NewJob>,
) -> StatementResult<(Vec<Submitted>, Effects)> {
    if jobs.iter().all(|job| job.reuse.is_none()) {
        return submit_all(connection, jobs, SubmitPath::Plain).await;
    }
    let reuses: Vec<bool> = jobs.iter().map(|job| job.reuse.is_some()).collect();
    let (reusing, plain): (Vec<NewJob>, Vec<NewJob>) = jobs.into_iter().partition(|job| job.reuse.is_some());
    let (plain, mut effects) = submit_all(connection, plain, SubmitPath::Plain).await?;
    let (reusing, told) = submit_all(connection, reusing, SubmitPath::Reusing).await?;
    effects.append(told);
    let (mut plain, mut reusing) = (plain.into_iter(), reusing.into_iter());
    let outcomes = reuses.into_iter().filter_map(|reuses| if reuses { reusing.next() } else { plain.next() });
    Ok((outcomes.collect(), effects))
}

/// Submits; where a value cannot be written, halves the batch until the bad element stands alone.
async fn submit_all(
    connection: &mut Connection,
    jobs: Vec<NewJob>,
    path: SubmitPath,
) -> StatementResult<(Vec<Submitted>, Effects)> {
    let mut effects = Effects::default();
    let mut outcomes = Vec::with_capacity(jobs.len());
    let mut parts = vec![jobs.as_slice()];
    while let Some(part) = parts.pop() {
        let done = match path {
            SubmitPath::Plain => submit_part(connection, part, &mut effects).await,
            SubmitPath::Reusing => submit_reusing(connection, part, &mut effects).await,
        };
        match done {
            Ok(mut done) => outcomes.append(&mut done),
            Err(Failure::BadData(why)) if part.len() == 1 => outcomes.push(Submitted::Refused(why)),
            Err(Failure::BadData(_)) => {
                let (left, right) = part.split_at(part.len() / 2);
                parts.push(right);
                parts.push(left);
            }
            // What was committed before stays committed; its outbox rows are found when their lease is over.
            Err(failure) => return Err(failure),
        }
    }
    Ok((outcomes, effects))
}

async fn submit_part(
    connection: &mut Connection,
    part: &[NewJob],
    effects: &mut Effects,
) -> StatementResult<Vec<Submitted>> {
    let mut outcomes: Vec<Option<Submitted>> = vec![None; part.len()];
    let mut open: Vec<usize> = (0..part.len()).collect();
    // A key that is forgotten between the two statements is free again: three rounds are two more than ever needed.
    for _ in 0..3 {
        if open.is_empty() {
            break;
        }
        let batch: Vec<&NewJob> = open.iter().filter_map(|index| part.get(*index)).collect();
        let outbox_ids = column(&batch, |_| Uuid::now_v7());
        let accepted = insert(connection, &batch, &outbox_ids).await?;
        let mut rest = Vec::new();
        for ((index, job), outbox_id) in open.into_iter().zip(batch).zip(outbox_ids) {
            if let (Some(now), Some(outcome)) = (accepted.get(&job.id), outcomes.get_mut(index)) {
                *outcome = Some(Submitted::Created(Box::new(job.clone().into_job(*now, Sharing::default()))));
                effects.events.push(submitted(job, *now));
                effects.outbox.push(rung(job, outbox_id));
            } else {
                rest.push(index);
            }
        }
        open = recognise(connection, part, rest, &mut outcomes).await?;
    }
    let unknown = || Submitted::Refused("the job of this Idempotency-Key is no longer kept: use a new key".to_owned());
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unknown)).collect())
}

async fn insert(
    connection: &mut Connection,
    batch: &[&NewJob],
    outbox_ids: &[Uuid],
) -> StatementResult<HashMap<Uuid, DateTime<Utc>>> {
    let params = batch.iter().map(|job| to_json(&job.params)).collect::<StatementResult<Vec<_>>>()?;
    let formats = batch.iter().map(|job| to_json(&job.formats)).collect::<StatementResult<Vec<_>>>()?;
    let notify = batch.iter().map(|job| to_json(&job.notify)).collect::<StatementResult<Vec<_>>>()?;
    let forecasts = batch
        .iter()
        .map(|job| job.forecast.as_ref().map(to_json).transpose())
        .collect::<StatementResult<Vec<Option<String>>>>()?;
    let (noted, notes) = audit_notes(batch.iter().copied())?;
    let rows: Vec<AcceptedRow> = sql(SUBMIT)
        .bind::<Array<SqlUuid>, _>(column(batch, |job| job.id))
        .bind::<Array<Text>, _>(column(batch, |job| job.caller.tenant.as_str()))
        .bind::<Array<Text>, _>(column(batch, |job| job.caller.principal.as_str()))
        .bind::<Array<Text>, _>(column(batch, |job| job.report.as_str()))
        .bind::<Array<Text>, _>(column(batch, |job| job.report_version.as_str()))
        .bind::<Array<Text>, _>(column(batch, |job| job.lane.as_str()))
        .bind::<Array<Text>, _>(params)
        .bind::<Array<Text>, _>(formats)
        .bind::<Array<Text>, _>(notify)
        .bind::<Array<Integer>, _>(column(batch, |job| job.max_attempts))
        .bind::<Array<BigInt>, _>(column(batch, |job| job.timeout_ms))
        .bind::<Array<BigInt>, _>(column(batch, |job| job.retention_ms))
        .bind::<Array<Nullable<Text>>, _>(column(batch, |job| job.traceparent.as_deref()))
        .bind::<Array<SqlUuid>, _>(outbox_ids)
        .bind::<Array<Nullable<Text>>, _>(column(batch, |job| job.idempotency.as_ref().map(|i| i.key.as_str())))
        .bind::<Array<Nullable<Binary>>, _>(column(batch, |job| {
            job.idempotency.as_ref().map(|i| i.body_hash.as_slice())
        }))
        .bind::<Array<Nullable<Text>>, _>(forecasts)
        .bind::<Array<Nullable<BigInt>>, _>(column(batch, |job| job.late_after_ms()))
        .bind::<Array<Nullable<Text>>, _>(column(batch, |job| job.on_refusal.kept()))
        .bind::<Array<Nullable<Text>>, _>(attributes_of(batch.iter().copied())?)
        .bind::<Array<SqlUuid>, _>(noted)
        .bind::<Array<Text>, _>(notes)
        .bind::<Array<Nullable<Text>>, _>(column(batch, |job| job.limit_key.as_deref()))
        .load(connection)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.now)).collect())
}

/// Answers for the keys that somebody took before. Returns what is still open.
pub(super) async fn recognise(
    connection: &mut Connection,
    part: &[NewJob],
    rest: Vec<usize>,
    outcomes: &mut [Option<Submitted>],
) -> StatementResult<Vec<usize>> {
    if rest.is_empty() {
        return Ok(rest);
    }
    let batch: Vec<&NewJob> = rest.iter().filter_map(|index| part.get(*index)).collect();
    let known: Vec<KnownRow> = sql(KNOWN)
        .bind::<Array<Text>, _>(column(&batch, |job| job.caller.tenant.as_str()))
        .bind::<Array<Text>, _>(column(&batch, |job| job.caller.principal.as_str()))
        .bind::<Array<Text>, _>(column(&batch, |job| job.idempotency.as_ref().map_or("", |i| i.key.as_str())))
        .load(connection)
        .await?;
    let mut answered = HashSet::new();
    for row in known {
        let place = usize::try_from(row.place - 1).unwrap_or(usize::MAX);
        let (Some(index), Some(job)) = (rest.get(place), batch.get(place)) else { continue };
        let outcome = row.answer(job.idempotency.as_ref())?;
        if let Some(place) = outcomes.get_mut(*index) {
            *place = Some(outcome);
            answered.insert(*index);
        }
    }
    Ok(rest.into_iter().filter(|index| !answered.contains(index)).collect())
}
