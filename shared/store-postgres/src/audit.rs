//! The audit log: what waits, and the chains it is linked to.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::audit_rows::{ChainLockRow, ChainRow, EndRow, EntryRow, PlaceRow, QueuedRow};
use super::connection::Connection;
use super::errors::{Failure, unreadable};
use super::floors::TimedLine;
use super::rows::{from_json, to_json};
use super::run::StatementResult;
use super::sql::sql;
use super::{PostgresStore, column, millis, to_i64};
use model::audit::{Actor, AuditAct, AuditChain, AuditEntry, ChainEnd, KeptPerson, NewAuditEntry, Person};
use model::job::NewJob;
use store::audit::{link_all, of_job};
use store::{AuditStore, Changed, Result};

const PUT: &str = "insert into audit_queue (body) select unnest($1::text[])";

/// Held while linking, until the end of the transaction ("audit" in ASCII).
const LOCK: &str = "select pg_try_advisory_xact_lock(418414946676) as yes, now() as now";

/// Looked at before anything is locked: mostly nothing waits.
const WAITS: &str = "
    select exists (select from audit_queue where at >= $1) as yes, now() as now";

const TAKE: &str = "
    with oldest as materialized (
        select ctid from audit_queue where at >= $1 order by at, position limit $2 for update
    )
    delete from audit_queue q where q.ctid = any(array(select ctid from oldest))
    returning q.position, q.at, q.body";

const ENDS: &str = "select tenant, removed_number, removed_hash, number, hash from audit_chains where tenant = any($1)";

const CHAINS: &str = "select tenant, removed_number, removed_hash, number, hash from audit_chains order by tenant";

const LINK: &str = "
    insert into audit (tenant, number, id, at, act, subject, detail, outcome, count, who_hash, about_hash, hash)
    select * from unnest($1::text[], $2::bigint[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::int[], $10::bytea[], $11::bytea[], $12::bytea[])";

const KEEP_PERSONS: &str = "
    insert into audit_persons (tenant, number, part, principal, salt, body)
    select * from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])";

const MOVE_ENDS: &str = "
    insert into audit_chains (tenant, number, hash) select * from unnest($1::text[], $2::bigint[], $3::bytea[])
    on conflict (tenant) do update set number = excluded.number, hash = excluded.hash";

const ENTRIES: &str = "
    select a.tenant, a.number, a.id, a.at, a.act, a.subject, a.detail, a.outcome, a.count, a.who_hash, a.about_hash, a.hash,
           w.salt as who_salt, w.body as who_body, b.salt as about_salt, b.body as about_body
    from audit a
    left join lateral (
        select p.salt, p.body from audit_persons p
        where p.tenant = a.tenant and p.number = a.number and p.part = 'who' limit 1
    ) w on true
    left join lateral (
        select p.salt, p.body from audit_persons p
        where p.tenant = a.tenant and p.number = a.number and p.part = 'about' limit 1
    ) b on true
    where a.tenant = $1 and a.number > $2 order by a.number limit $3";

/// Rows are linked in the order in which they became visible, which may be some seconds off that of their times.
const PLACE: &str = "
    select number from audit where tenant = $1 and at >= $2::timestamptz - interval '1 minute' order by at, number limit 1";

/// The rows at the beginning of a chain, up to the first that is to stay.
const REMOVABLE: &str = "
    with part as materialized (
        select number, hash, at < now() - $2 * interval '1 millisecond' as is_old from audit
        where tenant = $1 and number > (select removed_number from audit_chains where tenant = $1)
          and number <= (select removed_number from audit_chains where tenant = $1) + $3
    )
    select number, hash from part
    where is_old and number < coalesce((select min(number) from part where not is_old), 9223372036854775807)
    order by number desc limit 1";

const MOVE_BEGINNING: &str = "update audit_chains set removed_number = $2, removed_hash = $3 where tenant = $1";

const REMOVE: &str = "
    with persons as (delete from audit_persons where tenant = $1 and number <= $2)
    delete from audit where tenant = $1 and number <= $2";

/// Puts entries into the queue, in the transaction that the connection is in.
pub(super) async fn put(connection: &mut Connection, entries: &[NewAuditEntry]) -> StatementResult<()> {
    let bodies = entries.iter().map(to_json).collect::<StatementResult<Vec<_>>>()?;
    if !bodies.is_empty() {
        sql(PUT).bind::<Array<Text>, _>(bodies).execute(connection).await?;
    }
    Ok(())
}

/// What the audit log is to say of each of these submits that is made for somebody: ids and entries.
pub(super) fn audit_notes<'j>(batch: impl Iterator<Item = &'j NewJob>) -> StatementResult<(Vec<Uuid>, Vec<String>)> {
    let notes = batch.filter_map(|job| Some((job.id, job.audit_entry()?)));
    let notes = notes.map(|(id, entry)| Ok((id, to_json(&entry)?))).collect::<StatementResult<Vec<_>>>()?;
    Ok(notes.into_iter().unzip())
}

/// Writes down that a job was changed for somebody, where it was.
pub(super) async fn note_change(
    connection: &mut Connection,
    act: AuditAct,
    outcome: &Changed,
    by: Option<&Actor>,
) -> StatementResult<()> {
    match (outcome, by) {
        (Changed::Yes(job), Some(by)) => put(connection, &[of_job(act, job, by)]).await,
        _ => Ok(()),
    }
}

#[async_trait]
impl AuditStore for PostgresStore {
    async fn note(&self, entries: Vec<NewAuditEntry>) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        self.read(move |connection| async move { put(connection, &entries).await }.boxed()).await
    }

    async fn link_audit(&self, limit: u32) -> Result<u32> {
        let floor = self.floors.of(TimedLine::Audit);
        let linked = self.read(move |connection| link(connection, floor, limit).boxed()).await?;
        let Some((count, now)) = linked else { return Ok(0) };
        if count < limit {
            self.floors.raise(TimedLine::Audit, None, now);
        }
        Ok(count)
    }

    async fn audit_chains(&self) -> Result<Vec<AuditChain>> {
        self.read(|connection| {
            async move {
                let rows: Vec<ChainRow> = sql(CHAINS).load(connection).await?;
                rows.into_iter().map(ChainRow::read).collect()
            }
            .boxed()
        })
        .await
    }

    async fn audit_entries(&self, tenant: &str, after: u64, limit: u32) -> Result<Vec<AuditEntry>> {
        let tenant = tenant.to_owned();
        self.read(move |connection| {
            async move {
                let rows: Vec<EntryRow> = sql(ENTRIES)
                    .bind::<Text, _>(tenant)
                    .bind::<BigInt, _>(to_i64(after))
                    .bind::<BigInt, _>(i64::from(limit))
                    .load(connection)
                    .await?;
                rows.into_iter().map(EntryRow::read).collect()
            }
            .boxed()
        })
        .await
    }

    async fn audit_place(&self, tenant: &str, from: DateTime<Utc>) -> Result<u64> {
        let tenant = tenant.to_owned();
        self.read(move |connection| {
            async move {
                let row: Vec<PlaceRow> =
                    sql(PLACE).bind::<Text, _>(tenant.as_str()).bind::<Timestamptz, _>(from).load(connection).await?;
                match row.as_slice().first() {
                    Some(row) => Ok(u64::try_from(row.number - 1).map_err(unreadable)?),
                    None => Ok(u64::MAX >> 1),
                }
            }
            .boxed()
        })
        .await
    }

    async fn forget_audit(&self, age: Duration, limit: u32) -> Result<u64> {
        let mut removed = 0;
        for chain in self.audit_chains().await? {
            removed += self.read(move |connection| forget(connection, chain.tenant, age, limit).boxed()).await?;
        }
        Ok(removed)
    }
}

/// Links what waits. `None`: another process does.
async fn link(
    connection: &mut Connection,
    floor: DateTime<Utc>,
    limit: u32,
) -> StatementResult<Option<(u32, DateTime<Utc>)>> {
    let waits: ChainLockRow = sql(WAITS).bind::<Timestamptz, _>(floor).get_result(connection).await?;
    if !waits.yes {
        return Ok(Some((0, waits.now)));
    }
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let lock: ChainLockRow = sql(LOCK).get_result(connection).await?;
            if !lock.yes {
                return Ok(None);
            }
            let mut rows: Vec<QueuedRow> =
                sql(TAKE).bind::<Timestamptz, _>(floor).bind::<BigInt, _>(i64::from(limit)).load(connection).await?;
            if rows.is_empty() {
                return Ok(Some((0, lock.now)));
            }
            rows.sort_unstable_by_key(|row| (row.at, row.position));
            let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
            let queued = rows.into_iter().map(|row| Ok((row.at, from_json::<NewAuditEntry>(&row.body)?)));
            let queued = queued.collect::<StatementResult<Vec<_>>>()?;
            let tenants: Vec<&str> = column(&queued, |(_, entry)| entry.tenant.as_str());
            let ends: Vec<ChainRow> = sql(ENDS).bind::<Array<Text>, _>(tenants).load(connection).await?;
            let ends = ends.into_iter().map(|row| row.read().map(|chain| (chain.tenant, chain.head)));
            let linked = link_all(queued, ends.collect::<StatementResult<HashMap<_, _>>>()?);
            write(connection, &linked).await?;
            Ok(Some((count, lock.now)))
        })
        .await
}

async fn write(connection: &mut Connection, linked: &[AuditEntry]) -> StatementResult<()> {
    sql(LINK)
        .bind::<Array<Text>, _>(column(linked, |entry| entry.tenant.as_str()))
        .bind::<Array<BigInt>, _>(column(linked, |entry| to_i64(entry.number)))
        .bind::<Array<SqlUuid>, _>(column(linked, |entry| entry.id))
        .bind::<Array<Timestamptz>, _>(column(linked, |entry| entry.at))
        .bind::<Array<Text>, _>(column(linked, |entry| entry.act.as_str()))
        .bind::<Array<Text>, _>(column(linked, |entry| entry.subject.as_str()))
        .bind::<Array<Text>, _>(column(linked, |entry| entry.detail.as_str()))
        .bind::<Array<Text>, _>(column(linked, |entry| entry.outcome.as_str()))
        .bind::<Array<Integer>, _>(column(linked, |entry| i32::try_from(entry.count).unwrap_or(i32::MAX)))
        .bind::<Array<Binary>, _>(column(linked, |entry| entry.who_hash.as_slice()))
        .bind::<Array<Nullable<Binary>>, _>(column(linked, |entry| entry.about_hash.as_ref().map(<[u8; 32]>::as_slice)))
        .bind::<Array<Binary>, _>(column(linked, |entry| entry.hash.as_slice()))
        .execute(connection)
        .await?;
    let persons: Vec<(&AuditEntry, &str, &KeptPerson)> = linked
        .iter()
        .flat_map(|entry| [(entry, "who", entry.who.as_ref()), (entry, "about", entry.about.as_ref())])
        .filter_map(|(entry, part, person)| Some((entry, part, person?)))
        .collect();
    let names = persons.iter().map(|(.., person)| Ok(from_json::<Person>(&person.text)?.principal));
    sql(KEEP_PERSONS)
        .bind::<Array<Text>, _>(column(&persons, |(entry, ..)| entry.tenant.as_str()))
        .bind::<Array<BigInt>, _>(column(&persons, |(entry, ..)| to_i64(entry.number)))
        .bind::<Array<Text>, _>(column(&persons, |(_, part, _)| *part))
        .bind::<Array<Nullable<Text>>, _>(names.collect::<StatementResult<Vec<_>>>()?)
        .bind::<Array<Text>, _>(column(&persons, |(.., person)| person.salt.as_str()))
        .bind::<Array<Text>, _>(column(&persons, |(.., person)| person.text.as_str()))
        .execute(connection)
        .await?;
    let ends: HashMap<&str, ChainEnd> = linked.iter().map(|entry| (entry.tenant.as_str(), entry.end())).collect();
    let ends: Vec<(&str, ChainEnd)> = ends.into_iter().collect();
    sql(MOVE_ENDS)
        .bind::<Array<Text>, _>(column(&ends, |(tenant, _)| *tenant))
        .bind::<Array<BigInt>, _>(column(&ends, |(_, end)| to_i64(end.number)))
        .bind::<Array<Binary>, _>(column(&ends, |(_, end)| end.hash.as_slice()))
        .execute(connection)
        .await?;
    Ok(())
}

async fn forget(connection: &mut Connection, tenant: String, age: Duration, limit: u32) -> StatementResult<u64> {
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let lock: ChainLockRow = sql(LOCK).get_result(connection).await?;
            if !lock.yes {
                return Ok(0);
            }
            let last: Vec<EndRow> = sql(REMOVABLE)
                .bind::<Text, _>(tenant.as_str())
                .bind::<BigInt, _>(millis(age))
                .bind::<BigInt, _>(i64::from(limit))
                .load(connection)
                .await?;
            let Some(last) = last.into_iter().next() else { return Ok(0) };
            sql(MOVE_BEGINNING)
                .bind::<Text, _>(tenant.as_str())
                .bind::<BigInt, _>(last.number)
                .bind::<Binary, _>(last.hash)
                .execute(connection)
                .await?;
            let removed =
                sql(REMOVE).bind::<Text, _>(tenant.as_str()).bind::<BigInt, _>(last.number).execute(connection).await?;
            Ok(removed as u64)
        })
        .await
}
