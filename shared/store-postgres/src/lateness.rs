//! Jobs that take longer than was told: found by a partial index that holds nothing else, told once.

use std::time::Duration;

use async_trait::async_trait;
use diesel::sql_types::{Array, BigInt, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::effects::{EffectRow, Effects};
use super::rows::{IdRow, to_json};
use super::run::StatementResult;
use super::sql::sql;
use super::{PostgresStore, column, millis};
use model::delivery::Lateness;
use store::{LatenessStore, Result};

const LATE: &str = concat!(
    "
    select id from jobs
    where late_at < now() - $1 * interval '1 millisecond' and state in ",
    store::unfinished_states!(),
    "
    order by late_at limit $2"
);

/// Who comes second waits for nobody and finds the mark gone. A job that ends meanwhile is either locked, or not late any more.
const TELL: &str = concat!("
    with input as (
        select * from unnest($1::uuid[], $2::text[]) as i(id, told)
    ), locked as materialized (
        select id from jobs
        where id = any($1) and late_at is not null and state in ", store::unfinished_states!(), "
        order by id for no key update skip locked
    ), changed as (
        update jobs j set late_at = null from locked where j.id = any(array[locked.id])
        returning j.id, j.tenant, j.notify, j.traceparent, j.withdrawn_at
    ), delivery as (
        insert into deliveries (id, job_id, tenant, event, seq, channel, recipient, told)
        select waitless_uuid_v7(), c.id, c.tenant, 'late', 0, n->>'channel', n->>'to', i.told::json
        from changed c join input i on i.id = c.id cross join lateral json_array_elements(c.notify) n
        where c.withdrawn_at is null
        on conflict do nothing
        returning id, job_id, channel
    ), rung as (
        insert into outbox (id, kind, subject, queue, traceparent, leased_until)
        select waitless_uuid_v7(), 'send-delivery', d.id, 'notify.' || d.channel, c.traceparent, now() + interval '5 seconds'
        from delivery d join changed c on c.id = d.job_id
        returning id, kind, subject, queue, traceparent
    )
    select subject, kind, null::bigint as seq, null::text as tenant, null::text as principal, null::text as state,
           null::int as attempt, null::text as detail, null::timestamptz as next_attempt_at, null::timestamptz as at,
           id as outbox_id, queue, null::bigint as delay_ms, traceparent, false as led, false as quiet, null::uuid as leader_id,
           null::text as refused, null::text[] as freed
    from rung");

#[async_trait]
impl LatenessStore for PostgresStore {
    async fn late_jobs(&self, grace: Duration, limit: u32) -> Result<Vec<Uuid>> {
        self.read(move |connection| {
            async move {
                let statement = sql(LATE).bind::<BigInt, _>(millis(grace)).bind::<BigInt, _>(i64::from(limit));
                let rows: Vec<IdRow> = statement.load(connection).await?;
                Ok(column(&rows, |row| row.id))
            }
            .boxed()
        })
        .await
    }

    async fn tell_late(&self, jobs: Vec<(Uuid, Lateness)>) -> Result<u32> {
        if jobs.is_empty() {
            return Ok(0);
        }
        self.change(move |connection| {
            async move {
                let told = jobs.iter().map(|(_, lateness)| to_json(lateness)).collect::<StatementResult<Vec<_>>>()?;
                let rows: Vec<EffectRow> = sql(TELL)
                    .bind::<Array<SqlUuid>, _>(column(&jobs, |(id, _)| *id))
                    .bind::<Array<Text>, _>(told)
                    .load(connection)
                    .await?;
                Ok((u32::try_from(rows.len()).unwrap_or(u32::MAX), Effects::read(rows)?))
            }
            .boxed()
        })
        .await
    }
}
