//! The audit log: what waits, and the chains it is linked to.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::SqliteConnection;

use super::SqliteStore;
use super::errors::{StatementResult, unreadable};
use super::sql::{Cells, earlier, sql, to_json};
use super::writer::Transaction;
use model::audit::{AuditChain, AuditEntry, ChainEnd, KeptPerson, NewAuditEntry, Person};
use store::audit::link_all;
use store::{AuditStore, Result};

/// Puts an entry into the queue.
pub(super) fn put(transaction: &mut Transaction<'_>, entry: &NewAuditEntry) -> StatementResult<()> {
    let text = "insert into audit_queue (at, body) values (?1, ?2)";
    sql!(text, transaction.now, to_json(entry)?).run(transaction.connection).map(drop)
}

fn read_chain(cells: &mut Cells) -> StatementResult<AuditChain> {
    let tenant = cells.text()?;
    let removed = ChainEnd { number: cells.count()?, hash: cells.hash()? };
    Ok(AuditChain { tenant, removed, head: ChainEnd { number: cells.count()?, hash: cells.hash()? } })
}

fn chains(connection: &mut SqliteConnection) -> StatementResult<Vec<AuditChain>> {
    let text = "select tenant, removed_number, removed_hash, number, hash from audit_chains order by tenant";
    sql!(text).rows(connection, read_chain)
}

fn chain_of(connection: &mut SqliteConnection, tenant: &str) -> StatementResult<Option<AuditChain>> {
    let text = "select tenant, removed_number, removed_hash, number, hash from audit_chains where tenant = ?1";
    sql!(text, tenant).row(connection, read_chain)
}

fn read_entry(cells: &mut Cells) -> StatementResult<AuditEntry> {
    let mut entry = AuditEntry {
        tenant: cells.text()?,
        number: cells.count()?,
        id: cells.id()?,
        at: cells.time()?,
        act: cells.text()?,
        subject: cells.text()?,
        detail: cells.text()?,
        outcome: cells.text()?,
        count: u32::try_from(cells.integer()?).map_err(unreadable)?,
        who_hash: cells.hash()?,
        about_hash: cells.maybe_hash()?,
        hash: cells.hash()?,
        who: None,
        about: None,
    };
    entry.who = read_person(cells)?;
    entry.about = read_person(cells)?;
    Ok(entry)
}

fn read_person(cells: &mut Cells) -> StatementResult<Option<KeptPerson>> {
    let (salt, text) = (cells.maybe_text()?, cells.maybe_text()?);
    Ok(salt.zip(text).map(|(salt, text)| KeptPerson { salt, text }))
}

fn read_queued(cells: &mut Cells) -> StatementResult<(i64, DateTime<Utc>, NewAuditEntry)> {
    Ok((cells.integer()?, cells.time()?, cells.json()?))
}

fn link(transaction: &mut Transaction<'_>, limit: u32) -> StatementResult<u32> {
    let text = "select position, at, body from audit_queue order by position limit ?1";
    let rows = sql!(text, limit).rows(transaction.connection, read_queued)?;
    let Some((last, ..)) = rows.last() else { return Ok(0) };
    sql!("delete from audit_queue where position <= ?1", *last).run(transaction.connection)?;
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let queued: Vec<(DateTime<Utc>, NewAuditEntry)> = rows.into_iter().map(|(_, at, entry)| (at, entry)).collect();
    let mut ends = HashMap::new();
    for (_, entry) in &queued {
        if !ends.contains_key(&entry.tenant)
            && let Some(chain) = chain_of(transaction.connection, &entry.tenant)?
        {
            ends.insert(chain.tenant, chain.head);
        }
    }
    for entry in link_all(queued, ends) {
        write(transaction, &entry)?;
    }
    Ok(count)
}

fn write(transaction: &mut Transaction<'_>, entry: &AuditEntry) -> StatementResult<()> {
    sql!(
        "insert into audit (tenant, number, id, at, act, subject, detail, outcome, count, who_hash, about_hash, hash) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        &entry.tenant,
        entry.number,
        entry.id,
        entry.at,
        &entry.act,
        &entry.subject,
        &entry.detail,
        &entry.outcome,
        entry.count,
        &entry.who_hash,
        entry.about_hash.as_ref(),
        &entry.hash,
    )
    .run(transaction.connection)?;
    for (part, person) in [("who", &entry.who), ("about", &entry.about)] {
        let Some(person) = person else { continue };
        let named: Person = serde_json::from_str(&person.text).map_err(unreadable)?;
        sql!(
            "insert into audit_persons (tenant, number, part, principal, salt, body) values (?1, ?2, ?3, ?4, ?5, ?6)",
            &entry.tenant,
            entry.number,
            part,
            named.principal,
            &person.salt,
            &person.text,
        )
        .run(transaction.connection)?;
    }
    let text = "insert into audit_chains (tenant, number, hash) values (?1, ?2, ?3) \
                on conflict (tenant) do update set number = excluded.number, hash = excluded.hash";
    sql!(text, &entry.tenant, entry.number, &entry.hash).run(transaction.connection).map(drop)
}

/// Removes rows from the beginning of a chain, up to the first that is to stay.
fn forget(transaction: &mut Transaction<'_>, chain: &AuditChain, age: Duration, limit: u32) -> StatementResult<u64> {
    let (tenant, first) = (chain.tenant.as_str(), chain.removed.number);
    let read = |cells: &mut Cells| Ok((cells.count()?, cells.time()?, cells.hash()?));
    let text = "select number, at, hash from audit where tenant = ?1 and number > ?2 order by number limit ?3";
    let rows = sql!(text, tenant, first, limit).rows(transaction.connection, read)?;
    let before = earlier(transaction.now, age);
    let Some((last, _, hash)) = rows.into_iter().take_while(|(_, at, _)| at.timestamp_micros() < before).last() else {
        return Ok(0);
    };
    let text = "update audit_chains set removed_number = ?2, removed_hash = ?3 where tenant = ?1";
    sql!(text, tenant, last, &hash).run(transaction.connection)?;
    let text = "delete from audit_persons where tenant = ?1 and number <= ?2";
    sql!(text, tenant, last).run(transaction.connection)?;
    let text = "delete from audit where tenant = ?1 and number <= ?2";
    Ok(sql!(text, tenant, last).run(transaction.connection)? as u64)
}

#[async_trait]
impl AuditStore for SqliteStore {
    async fn note(&self, entries: Vec<NewAuditEntry>) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        self.writer.write(move |transaction| entries.iter().try_for_each(|entry| put(transaction, entry))).await
    }

    async fn link_audit(&self, limit: u32) -> Result<u32> {
        // Nothing waits, mostly: that is seen without the writer.
        let text = "select count(*) from (select 1 from audit_queue limit 1)";
        if self.readers.read(move |connection| sql!(text).number(connection)).await? == 0 {
            return Ok(0);
        }
        self.writer.write(move |transaction| link(transaction, limit)).await
    }

    async fn audit_chains(&self) -> Result<Vec<AuditChain>> {
        self.readers.read(chains).await
    }

    async fn audit_entries(&self, tenant: &str, after: u64, limit: u32) -> Result<Vec<AuditEntry>> {
        let tenant = tenant.to_owned();
        let text = "select a.tenant, a.number, a.id, a.at, a.act, a.subject, a.detail, a.outcome, a.count, a.who_hash, \
                    a.about_hash, a.hash, w.salt, w.body, b.salt, b.body from audit a \
                    left join audit_persons w on w.tenant = a.tenant and w.number = a.number and w.part = 'who' \
                    left join audit_persons b on b.tenant = a.tenant and b.number = a.number and b.part = 'about' \
                    where a.tenant = ?1 and a.number > ?2 order by a.number limit ?3";
        self.readers.read(move |connection| sql!(text, &tenant, after, limit).rows(connection, read_entry)).await
    }

    async fn audit_place(&self, tenant: &str, from: DateTime<Utc>) -> Result<u64> {
        let (tenant, from) = (tenant.to_owned(), earlier(from, Duration::from_secs(60)));
        let text = "select number from audit where tenant = ?1 and at >= ?2 order by at, number limit 1";
        self.readers
            .read(move |connection| {
                let first = sql!(text, &tenant, from).row(connection, Cells::count)?;
                Ok(first.map_or(u64::MAX >> 1, |first| first - 1))
            })
            .await
    }

    async fn forget_audit(&self, age: Duration, limit: u32) -> Result<u64> {
        let mut removed = 0;
        for chain in self.readers.read(chains).await? {
            removed += self.writer.write(move |transaction| forget(transaction, &chain, age, limit)).await?;
        }
        Ok(removed)
    }
}
