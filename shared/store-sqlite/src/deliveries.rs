//! Deliveries, as the notifier sees them.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::SqliteStore;
use super::errors::StatementResult;
use super::outbox::put;
use super::rows::{delivery_columns, read_delivery};
use super::sql::{Cells, later, sql};
use super::writer::Transaction;
use model::delivery::{Channel, Delivery, DeliveryState};
use model::message::{Message, Queue, Route};
use model::retry_schedule::RetryDelay;
use store::{DeliveryEnding, DeliveryStore, FailedDeliveries, Result};

fn claim(transaction: &mut Transaction<'_>, id: Uuid, lease: Duration) -> StatementResult<Option<Delivery>> {
    let claimed = sql!(
        "update deliveries set state = 'sending', attempt = attempt + 1, leased_until = ?1, next_attempt_at = null \
         where id = ?2 and ((state = 'pending' and (next_attempt_at is null or next_attempt_at <= ?3)) \
         or (state = 'sending' and leased_until <= ?3))",
        later(transaction.now, lease),
        id,
        transaction.now,
    )
    .run(transaction.connection)?;
    if claimed == 0 {
        return Ok(None);
    }
    let text = concat!("select ", delivery_columns!(), " from deliveries where id = ?1");
    sql!(text, id).row(transaction.connection, read_delivery)
}

fn settle(transaction: &mut Transaction<'_>, id: Uuid, attempt: i32, ending: DeliveryEnding) -> StatementResult<bool> {
    let now = transaction.now;
    let settled = match ending {
        DeliveryEnding::Sent => sql!(
            "update deliveries set state = 'sent', sent_at = ?1, leased_until = null, error = null \
             where id = ?2 and attempt = ?3 and state = 'sending'",
            now,
            id,
            attempt,
        ),
        DeliveryEnding::Failed(why) => sql!(
            "update deliveries set state = 'failed', error = ?1, leased_until = null, rung_at = ?4 \
             where id = ?2 and attempt = ?3 and state = 'sending'",
            why,
            id,
            attempt,
            now,
        ),
        DeliveryEnding::Overtaken => {
            sql!("delete from deliveries where id = ?1 and attempt = ?2 and state = 'sending'", id, attempt)
        }
        DeliveryEnding::RetryLater(why, delay) => return put_off(transaction, (id, attempt), why, delay),
    };
    Ok(settled.run(transaction.connection)? == 1)
}

fn put_off(
    transaction: &mut Transaction<'_>,
    (id, attempt): (Uuid, i32),
    why: String,
    delay: RetryDelay,
) -> StatementResult<bool> {
    let changed = sql!(
        "update deliveries set state = 'pending', error = ?1, next_attempt_at = ?2, leased_until = null, rung_at = ?3 \
         where id = ?4 and attempt = ?5 and state = 'sending'",
        why,
        later(transaction.now, delay.due_after),
        transaction.now,
        id,
        attempt,
    )
    .run(transaction.connection)?;
    if changed == 1 {
        ring(transaction, id, Some(delay.queue))?;
    }
    Ok(changed == 1)
}

/// Rings the notifier for a delivery.
pub(super) fn ring(transaction: &mut Transaction<'_>, id: Uuid, delay: Option<Duration>) -> StatementResult<()> {
    let text = "select d.channel, j.traceparent from deliveries d join jobs j on j.id = d.job_id where d.id = ?1";
    let read = |cells: &mut Cells| Ok((cells.name::<Channel>()?, cells.maybe_text()?));
    if let Some((channel, traceparent)) = sql!(text, id).row(transaction.connection, read)? {
        let route = Route { queue: Queue::Notify(channel), delay };
        put(transaction, (route, Message::SendDelivery { delivery_id: id }), traceparent.as_deref())?;
    }
    Ok(())
}

#[async_trait]
impl DeliveryStore for SqliteStore {
    async fn claim_deliveries(&self, ids: Vec<Uuid>, lease: Duration) -> Result<Vec<Option<Delivery>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.writer.write(move |transaction| ids.into_iter().map(|id| claim(transaction, id, lease)).collect()).await
    }

    async fn settle_deliveries(&self, endings: Vec<(Uuid, i32, DeliveryEnding)>) -> Result<Vec<bool>> {
        if endings.is_empty() {
            return Ok(Vec::new());
        }
        self.writer
            .write(move |transaction| {
                endings.into_iter().map(|(id, attempt, ending)| settle(transaction, id, attempt, ending)).collect()
            })
            .await
    }

    async fn delivery_recipient(&self, id: Uuid) -> Result<Option<String>> {
        let text = "select recipient from deliveries where id = ?1";
        self.readers.read(move |connection| sql!(text, id).row(connection, Cells::text)).await
    }

    async fn deliveries_of_job(&self, job_id: Uuid) -> Result<Vec<Delivery>> {
        let text = concat!("select ", delivery_columns!(), " from deliveries where job_id = ?1 order by id");
        self.readers.read(move |connection| sql!(text, job_id).rows(connection, read_delivery)).await
    }

    async fn deliveries(&self, tenant: &str, state: Option<DeliveryState>, limit: u32) -> Result<Vec<Delivery>> {
        let tenant = tenant.to_owned();
        let all = concat!(
            "select ",
            delivery_columns!(),
            " from deliveries where tenant = ?1 and (?2 is null or state = ?2) order by id desc limit ?3"
        );
        // Of those in a state that few are in, by the index that holds no others.
        let unsent = concat!(
            "select ",
            delivery_columns!(),
            " from deliveries where tenant = ?1 and state = ?2 and state <> 'sent' order by id desc limit ?3"
        );
        let text = if state.is_some_and(|state| state != DeliveryState::Sent) { unsent } else { all };
        self.readers
            .read(move |connection| {
                sql!(text, &tenant, state.map(|state| state.as_str()), limit).rows(connection, read_delivery)
            })
            .await
    }

    async fn send_again(&self, tenant: &str, which: FailedDeliveries, limit: u32) -> Result<u32> {
        let tenant = tenant.to_owned();
        self.writer
            .write(move |transaction| {
                let failed = match which {
                    FailedDeliveries::One(id) => {
                        sql!(
                            "select id from deliveries where tenant = ?1 and id = ?2 and state = 'failed'",
                            &tenant,
                            id
                        )
                    }
                    FailedDeliveries::Between { since, until } => sql!(
                        "select id from deliveries where tenant = ?1 and rung_at >= ?2 and rung_at < ?3 and state = 'failed' \
                         order by rung_at limit ?4",
                        &tenant,
                        since,
                        until,
                        limit,
                    ),
                };
                let ids: Vec<Uuid> = failed.rows(transaction.connection, Cells::id)?;
                for id in &ids {
                    let text = "update deliveries set state = 'pending', rung_at = ?1 where id = ?2";
                    sql!(text, transaction.now, *id).run(transaction.connection)?;
                    ring(transaction, *id, None)?;
                }
                Ok(u32::try_from(ids.len()).unwrap_or(u32::MAX))
            })
            .await
    }
}
