//! The outbox: messages on their way out.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::SqliteStore;
use super::errors::{StatementResult, unreadable};
use super::sql::{Cells, later, sql, to_json};
use super::writer::Transaction;
use model::message::{Message, OutboxMessage, Queue, Route};
use store::{COUNTED_AT_MOST, OUTBOX_LEASE, OutboxStore, Result};

/// Writes a row, leased to this process, to be told after the commit.
pub(super) fn put(
    transaction: &mut Transaction<'_>,
    (route, message): (Route, Message),
    traceparent: Option<&str>,
) -> StatementResult<()> {
    let subject = match &message {
        Message::RunJob { job_id } | Message::DeadJob { job_id, .. } => *job_id,
        Message::SendDelivery { delivery_id } => *delivery_id,
    };
    let row = OutboxMessage { id: Uuid::now_v7(), route, message, traceparent: traceparent.map(str::to_owned) };
    sql!(
        "insert into outbox (id, subject, queue, delay_ms, message, traceparent, created_at, leased_until) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        row.id,
        subject,
        route.queue.routing_key(),
        route.delay,
        to_json(&row.message)?,
        traceparent,
        transaction.now,
        later(transaction.now, OUTBOX_LEASE),
    )
    .run(transaction.connection)?;
    transaction.outbox.push(row);
    Ok(())
}

fn read_row(cells: &mut Cells) -> StatementResult<OutboxMessage> {
    let id = cells.id()?;
    let key = cells.text()?;
    let queue = Queue::from_routing_key(&key).ok_or_else(|| unreadable(format!("unknown queue `{key}`")))?;
    let delay = cells.maybe_integer()?.map(|delay| Duration::from_millis(delay.unsigned_abs()));
    Ok(OutboxMessage { id, route: Route { queue, delay }, message: cells.json()?, traceparent: cells.maybe_text()? })
}

fn lease(transaction: &mut Transaction<'_>, limit: u32) -> StatementResult<Vec<OutboxMessage>> {
    let rows = sql!(
        "select id, queue, delay_ms, message, traceparent from outbox where leased_until <= ?1 order by position limit ?2",
        transaction.now,
        limit,
    )
    .rows(transaction.connection, read_row)?;
    let until = later(transaction.now, OUTBOX_LEASE);
    for row in &rows {
        sql!("update outbox set leased_until = ?1 where id = ?2", until, row.id).run(transaction.connection)?;
    }
    Ok(rows)
}

#[async_trait]
impl OutboxStore for SqliteStore {
    async fn lease_outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>> {
        self.writer.write(move |transaction| lease(transaction, limit)).await
    }

    async fn delete_outbox(&self, ids: Vec<Uuid>) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        self.writer
            .write(move |transaction| {
                for id in ids {
                    sql!("delete from outbox where id = ?1", id).run(transaction.connection)?;
                }
                Ok(())
            })
            .await
    }

    async fn release_outbox(&self, ids: Vec<Uuid>) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        self.writer
            .write(move |transaction| {
                for id in ids {
                    sql!("update outbox set leased_until = 0 where id = ?1", id).run(transaction.connection)?;
                }
                Ok(())
            })
            .await
    }

    async fn outbox_backlog(&self) -> Result<(u64, f64)> {
        self.readers
            .read(|connection| {
                let now = super::sql::now(connection)?;
                let text = "select count(*), coalesce((select created_at from outbox order by position limit 1), ?1) \
                            from (select 1 from outbox limit ?2)";
                let read = |cells: &mut Cells| Ok((cells.count()?, cells.time()?));
                let found = sql!(text, now, COUNTED_AT_MOST).row(connection, read)?;
                let (rows, oldest) = found.ok_or_else(|| unreadable("a count has no row"))?;
                Ok((rows, (now - oldest).as_seconds_f64().max(0.0)))
            })
            .await
    }
}
