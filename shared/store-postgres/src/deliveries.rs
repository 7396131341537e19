//! Deliveries: claimed under a fencing token of their own, and ended once.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::connection::Connection;
use super::effects::{EffectRow, Effects};
use super::errors::unreadable;
use super::ring::ring;
use super::rows::from_json;
use super::run::StatementResult;
use super::sql::sql;
use super::{PostgresStore, column, millis};
use model::delivery::{Delivery, DeliveryState};
use store::{DeliveryEnding, DeliveryStore, FailedDeliveries, Result};

macro_rules! delivery_columns {
    () => {
        "d.id, d.job_id, d.tenant, d.event, d.seq, d.channel, d.recipient, d.state, d.attempt, d.next_attempt_at, d.error, \
         d.created_at, d.sent_at, d.told::text as told"
    };
}

const CLAIM: &str = concat!(
    "with locked as materialized (
        select id, state, next_attempt_at, leased_until from deliveries where id = any($1) order by id for no key update
    ), due as materialized (
        select id from locked
        where (state = 'pending' and (next_attempt_at is null or next_attempt_at <= now()))
           or (state = 'sending' and leased_until <= now())
    )
    update deliveries d
    set state = 'sending', attempt = d.attempt + 1, next_attempt_at = null,
        leased_until = now() + $2 * interval '1 millisecond'
    from due where d.id = any(array[due.id])
    returning ",
    delivery_columns!()
);

/// Answers `changed` as events would be, and the doorbells, so that [`Effects`] reads both.
const SETTLE: &str = "
    with input as (
        select * from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
        as i(id, attempt, ending, error, delay_ms, due_ms)
    ), locked as materialized (
        select id, state, attempt from deliveries where id = any($1) order by id for no key update
    ), held as materialized (
        select i.* from input i join locked l on l.id = i.id and l.attempt = i.attempt where l.state = 'sending'
    ), gone as (
        delete from deliveries d using held h where d.id = any(array[h.id]) and h.ending = 'overtaken' returning d.id, d.attempt
    ), changed as (
        update deliveries d
        set state = h.ending, leased_until = null, error = h.error,
            next_attempt_at = case when h.ending = 'pending' then now() + h.due_ms * interval '1 millisecond' end,
            sent_at = case when h.ending = 'sent' then now() end, rung_at = now()
        from held h where d.id = any(array[h.id]) and h.ending <> 'overtaken'
        returning d.id, d.job_id, d.channel, d.state, d.attempt, h.delay_ms
    ), rung as (
        insert into outbox (id, kind, subject, queue, delay_ms, traceparent, leased_until)
        select waitless_uuid_v7(), 'send-delivery', c.id, 'notify.' || c.channel, c.delay_ms, j.traceparent,
               now() + interval '5 seconds'
        from changed c join jobs j on j.id = any(array[c.job_id]) where c.state = 'pending'
        returning id, kind, subject, queue, delay_ms, traceparent
    )
    select c.id as subject, coalesce(r.kind, '') as kind, null::bigint as seq, null::text as tenant, null::text as principal,
           null::text as state, c.attempt, null::text as detail, null::timestamptz as next_attempt_at,
           null::timestamptz as at, r.id as outbox_id, r.queue, r.delay_ms, r.traceparent, false as led, false as quiet, null::text as refused,
           null::uuid as leader_id, null::text[] as freed
    from changed c left join rung r on r.subject = c.id
    union all
    select id, '', null, null, null, null, attempt, null, null, null, null, null, null, null, false, false, null, null, null from gone";

const RECIPIENT: &str = "select recipient from deliveries where id = $1";

const OF_JOB: &str = concat!(
    "select ",
    delivery_columns!(),
    " from deliveries d where d.job_id = $1 order by d.seq, d.channel, d.recipient"
);

const OF_TENANT: &str = concat!(
    "select ",
    delivery_columns!(),
    " from deliveries d where d.tenant = $1 and ($2::text is null or d.state = $2)
      order by d.tenant desc, d.id desc limit $3"
);

/// Of those in a state that few are in, by the index that holds no others.
const UNSENT_OF_TENANT: &str = concat!(
    "select ",
    delivery_columns!(),
    " from deliveries d where d.tenant = $1 and d.state = $2 and d.state <> 'sent'
      order by d.tenant desc, d.state desc, d.id desc limit $3"
);

/// A delivery's `rung_at` was set when it failed.
const SEND_AGAIN: &str = ring!(
    "with failed as materialized (
        select id from deliveries d
        where tenant = $1 and state = 'failed' and ($2::uuid is null or id = $2)
          and ($3::timestamptz is null or rung_at >= $3) and ($5::timestamptz is null or rung_at < $5)
        order by rung_at limit $4 for no key update skip locked
    ), due as (
        update deliveries d set state = 'pending', rung_at = now() from failed where d.id = any(array[failed.id])
        returning d.id, 'send-delivery' as kind, 'notify.' || d.channel as queue,
                  (select j.traceparent from jobs j where j.id = d.job_id) as traceparent
    )"
);

#[derive(QueryableByName)]
struct RecipientRow {
    #[diesel(sql_type = Text)]
    recipient: String,
}

#[derive(QueryableByName)]
struct DeliveryRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    job_id: Uuid,
    #[diesel(sql_type = Text)]
    tenant: String,
    #[diesel(sql_type = Text)]
    event: String,
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = Text)]
    channel: String,
    #[diesel(sql_type = Text)]
    recipient: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Integer)]
    attempt: i32,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    next_attempt_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    error: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    sent_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    told: Option<String>,
}

impl DeliveryRow {
    fn read(self) -> StatementResult<Delivery> {
        Ok(Delivery {
            id: self.id,
            job_id: self.job_id,
            tenant: self.tenant,
            event: self.event.parse().map_err(unreadable)?,
            seq: self.seq,
            channel: self.channel.parse().map_err(unreadable)?,
            recipient: self.recipient,
            state: self.state.parse().map_err(unreadable)?,
            attempt: self.attempt,
            next_attempt_at: self.next_attempt_at,
            error: self.error,
            created_at: self.created_at,
            sent_at: self.sent_at,
            late: self.told.as_deref().map(from_json).transpose()?,
        })
    }
}

#[async_trait]
impl DeliveryStore for PostgresStore {
    async fn claim_deliveries(&self, ids: Vec<Uuid>, lease: Duration) -> Result<Vec<Option<Delivery>>> {
        self.read(move |connection| claim(connection, ids, lease).boxed()).await
    }

    async fn settle_deliveries(&self, endings: Vec<(Uuid, i32, DeliveryEnding)>) -> Result<Vec<bool>> {
        self.change(move |connection| settle(connection, endings).boxed()).await
    }

    async fn delivery_recipient(&self, id: Uuid) -> Result<Option<String>> {
        self.read(move |connection| {
            async move {
                let rows: Vec<RecipientRow> = sql(RECIPIENT).bind::<SqlUuid, _>(id).load(connection).await?;
                Ok(rows.into_iter().next().map(|row| row.recipient))
            }
            .boxed()
        })
        .await
    }

    async fn deliveries_of_job(&self, job_id: Uuid) -> Result<Vec<Delivery>> {
        self.read(move |connection| {
            async move {
                let rows: Vec<DeliveryRow> = sql(OF_JOB).bind::<SqlUuid, _>(job_id).load(connection).await?;
                rows.into_iter().map(DeliveryRow::read).collect()
            }
            .boxed()
        })
        .await
    }

    async fn deliveries(&self, tenant: &str, state: Option<DeliveryState>, limit: u32) -> Result<Vec<Delivery>> {
        let tenant = tenant.to_owned();
        self.read(move |connection| {
            async move {
                let few = state.is_some_and(|state| state != DeliveryState::Sent);
                let rows: Vec<DeliveryRow> = sql(if few { UNSENT_OF_TENANT } else { OF_TENANT })
                    .bind::<Text, _>(tenant)
                    .bind::<Nullable<Text>, _>(state.map(DeliveryState::as_str))
                    .bind::<BigInt, _>(i64::from(limit))
                    .load(connection)
                    .await?;
                rows.into_iter().map(DeliveryRow::read).collect()
            }
            .boxed()
        })
        .await
    }

    async fn send_again(&self, tenant: &str, which: FailedDeliveries, limit: u32) -> Result<u32> {
        let (one, since, until) = match which {
            FailedDeliveries::One(id) => (Some(id), None, None),
            FailedDeliveries::Between { since, until } => (None, Some(since), Some(until)),
        };
        let statement = sql(SEND_AGAIN)
            .bind::<Text, _>(tenant.to_owned())
            .bind::<Nullable<SqlUuid>, _>(one)
            .bind::<Nullable<Timestamptz>, _>(since)
            .bind::<BigInt, _>(i64::from(limit))
            .bind::<Nullable<Timestamptz>, _>(until);
        self.ring(statement).await
    }
}

async fn claim(connection: &mut Connection, ids: Vec<Uuid>, lease: Duration) -> StatementResult<Vec<Option<Delivery>>> {
    let rows: Vec<DeliveryRow> =
        sql(CLAIM).bind::<Array<SqlUuid>, _>(ids.as_slice()).bind::<BigInt, _>(millis(lease)).load(connection).await?;
    let mut claimed = rows
        .into_iter()
        .map(|row| row.read().map(|d| (d.id, d)))
        .collect::<StatementResult<HashMap<Uuid, Delivery>>>()?;
    Ok(ids.iter().map(|id| claimed.remove(id)).collect())
}

async fn settle(
    connection: &mut Connection,
    endings: Vec<(Uuid, i32, DeliveryEnding)>,
) -> StatementResult<(Vec<bool>, Effects)> {
    let delay = |ending: &DeliveryEnding| match ending {
        DeliveryEnding::RetryLater(_, delay) => Some(*delay),
        DeliveryEnding::Sent | DeliveryEnding::Failed(_) | DeliveryEnding::Overtaken => None,
    };
    let rows: Vec<EffectRow> = sql(SETTLE)
        .bind::<Array<SqlUuid>, _>(column(&endings, |(id, ..)| *id))
        .bind::<Array<Integer>, _>(column(&endings, |(_, attempt, _)| *attempt))
        .bind::<Array<Text>, _>(column(&endings, |(.., ending)| asked_state(ending)))
        .bind::<Array<Nullable<Text>>, _>(column(&endings, |(.., ending)| said(ending)))
        .bind::<Array<Nullable<BigInt>>, _>(column(&endings, |(.., e)| delay(e).map(|d| millis(d.queue))))
        .bind::<Array<Nullable<BigInt>>, _>(column(&endings, |(.., e)| delay(e).map(|d| millis(d.due_after))))
        .load(connection)
        .await?;
    let mut ended: HashSet<(Uuid, Option<i32>)> = rows.iter().map(|row| (row.subject(), row.attempt())).collect();
    let effects = Effects::read(rows.into_iter().filter(EffectRow::is_outbox).collect())?;
    Ok((endings.iter().map(|(id, attempt, _)| ended.remove(&(*id, Some(*attempt)))).collect(), effects))
}

const fn asked_state(ending: &DeliveryEnding) -> &'static str {
    match ending {
        DeliveryEnding::Sent => DeliveryState::Sent.as_str(),
        DeliveryEnding::RetryLater(..) => DeliveryState::Pending.as_str(),
        DeliveryEnding::Failed(_) => DeliveryState::Failed.as_str(),
        DeliveryEnding::Overtaken => "overtaken",
    }
}

/// What a mail server says may hold anything; a NUL would spoil the whole batch.
fn said(ending: &DeliveryEnding) -> Option<String> {
    match ending {
        DeliveryEnding::Sent | DeliveryEnding::Overtaken => None,
        DeliveryEnding::RetryLater(why, _) | DeliveryEnding::Failed(why) => Some(why.replace('\0', "\u{fffd}")),
    }
}
