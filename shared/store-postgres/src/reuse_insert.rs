//! Writes jobs that have a leader, or may be one: in one statement, whatever answers them.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;

use super::audit::audit_notes;
use super::column;
use super::connection::Connection;
use super::reusing_job::ReusingJob;
use super::rows::{NowRow, attributes_of, to_json};
use super::run::StatementResult;
use super::sql::sql;
use super::turn_rows::list_turns;

const INSERT: &str = concat!("
    with input as (
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                             $9::text[], $10::int[], $11::bigint[], $12::bigint[], $13::text[], $14::uuid[], $15::bytea[],
                             $16::int[], $17::uuid[], $18::text[], $19::text[], $20::text[], $21::bigint[], $22::uuid[],
                             $23::text[], $24::text[], $26::text[])
        as i(id, tenant, principal, report, report_version, lane, params, formats, notify, max_attempts, timeout_ms,
             retention_ms, traceparent, outbox_id, fingerprint, joined, leader_id, served, link_seeds, forecast, late_ms, made_from,
             on_refusal, attributes, limit_key)
    ), job as (
        insert into jobs (id, tenant, principal, report, report_version, lane, params, formats, notify, max_attempts,
                          timeout_ms, retention_ms, traceparent, fingerprint, joined, leader_id, served, link_seeds, forecast,
                          late_at, made_from, on_refusal, attributes, limit_key)
        select id, tenant, principal, report, report_version, lane, params::json, formats::json, notify::json, max_attempts,
               timeout_ms, retention_ms, traceparent, fingerprint, joined, leader_id, served, link_seeds::json, forecast::json,
               now() + late_ms * interval '1 millisecond', made_from, on_refusal, attributes::json, limit_key
        from input
    ), event as (
        insert into events (job_id, seq, tenant, principal, kind, state, attempt)
        select id, 1, tenant, principal, 'submitted', 'pending', 0 from input
    ), rung as (
        insert into outbox (id, kind, subject, queue, traceparent, leased_until)
        select outbox_id, 'run-job', id, lane, traceparent, now() + interval '5 seconds' from input where leader_id is null
    ), noted as (
        insert into audit_queue (body) select unnest($25::text[])
    ), waiting as (
        select lane, tenant, principal from input where leader_id is null
    ), listed as (", list_turns!("waiting"), "
    )
    select now() as now");

/// Writes the jobs, their events, and doorbells for those that have no leader. Returns database time.
pub(super) async fn insert(connection: &mut Connection, entries: &[ReusingJob<'_>]) -> StatementResult<DateTime<Utc>> {
    let json = |write: fn(&ReusingJob<'_>) -> StatementResult<String>| {
        entries.iter().map(write).collect::<StatementResult<Vec<_>>>()
    };
    let seeds = entries.iter().map(|entry| entry.sharing.leader.map(|_| to_json(&entry.reuse.links)).transpose());
    let seeds = seeds.collect::<StatementResult<Vec<Option<String>>>>()?;
    let forecasts = entries.iter().map(|entry| entry.job.forecast.as_ref().map(to_json).transpose());
    let forecasts = forecasts.collect::<StatementResult<Vec<Option<String>>>>()?;
    let served = |entry: &ReusingJob<'_>| entry.sharing.leader.map(|_| entry.sharing.served.as_str());
    let row: NowRow = sql(INSERT)
        .bind::<Array<SqlUuid>, _>(column(entries, |entry| entry.job.id))
        .bind::<Array<Text>, _>(column(entries, |entry| entry.job.caller.tenant.as_str()))
        .bind::<Array<Text>, _>(column(entries, |entry| entry.job.caller.principal.as_str()))
        .bind::<Array<Text>, _>(column(entries, |entry| entry.job.report.as_str()))
        .bind::<Array<Text>, _>(column(entries, |entry| entry.job.report_version.as_str()))
        .bind::<Array<Text>, _>(column(entries, |entry| entry.job.lane.as_str()))
        .bind::<Array<Text>, _>(json(|entry| to_json(&entry.job.params))?)
        .bind::<Array<Text>, _>(json(|entry| to_json(&entry.job.formats))?)
        .bind::<Array<Text>, _>(json(|entry| to_json(&entry.job.notify))?)
        .bind::<Array<Integer>, _>(column(entries, |entry| entry.job.max_attempts))
        .bind::<Array<BigInt>, _>(column(entries, |entry| entry.job.timeout_ms))
        .bind::<Array<BigInt>, _>(column(entries, |entry| entry.job.retention_ms))
        .bind::<Array<Nullable<Text>>, _>(column(entries, |entry| entry.job.traceparent.as_deref()))
        .bind::<Array<SqlUuid>, _>(column(entries, |entry| entry.outbox_id))
        .bind::<Array<Nullable<Binary>>, _>(column(entries, |entry| entry.own(entry.reuse.fingerprint.as_slice())))
        .bind::<Array<Nullable<Integer>>, _>(column(entries, |entry| entry.sharing.joined))
        .bind::<Array<Nullable<SqlUuid>>, _>(column(entries, |entry| entry.sharing.leader))
        .bind::<Array<Nullable<Text>>, _>(column(entries, served))
        .bind::<Array<Nullable<Text>>, _>(seeds)
        .bind::<Array<Nullable<Text>>, _>(forecasts)
        .bind::<Array<Nullable<BigInt>>, _>(column(entries, |entry| entry.job.late_after_ms()))
        .bind::<Array<Nullable<SqlUuid>>, _>(column(entries, |entry| entry.reuse.made_from))
        .bind::<Array<Nullable<Text>>, _>(column(entries, |entry| entry.job.on_refusal.kept()))
        .bind::<Array<Nullable<Text>>, _>(attributes_of(entries.iter().map(|entry| entry.job))?)
        .bind::<Array<Text>, _>(audit_notes(entries.iter().map(|entry| entry.job))?.1)
        .bind::<Array<Nullable<Text>>, _>(column(entries, |entry| entry.job.limit_key.as_deref()))
        .get_result(connection)
        .await?;
    Ok(row.now)
}
