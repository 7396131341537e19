//! Ringing again: outbox rows for jobs and deliveries whose doorbells may have been lost.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;

use super::effects::{EffectRow, Effects};
use super::floors::TimedLine;
use super::rows::CountRow;
use super::running::running_on_worker;
use super::sql::{Sql, sql};
use super::{PostgresStore, millis};
use model::delivery::Channel;
use model::job::Lane;
use store::{Result, RingStore};

/// Completes a statement whose part `due` holds ids, kinds, queues and traces of what is to be rung now.
macro_rules! ring {
    ($($due:tt)*) => {
        concat!(
            $($due)*,
            ", rung as (
                insert into outbox (id, kind, subject, queue, traceparent, leased_until)
                select waitless_uuid_v7(), kind, id, queue, traceparent, now() + interval '5 seconds' from due
                returning id, kind, subject, queue, traceparent
            )
            select subject, kind, null::bigint as seq, null::text as tenant, null::text as principal, null::text as state,
                   null::int as attempt, null::text as detail, null::timestamptz as next_attempt_at, null::timestamptz as at,
                   id as outbox_id, queue, null::bigint as delay_ms, traceparent, false as led, false as quiet, null::uuid as leader_id,
                   null::text as refused, null::text[] as freed
            from rung"
        )
    };
}
pub(super) use ring;

/// A lost worker that is only paused still looks like a consumer to the broker, which may hand it the doorbell of the very job
/// that was taken from it. Such jobs are rung again soon, until somebody hears it who is awake. `$3` is the floor.
macro_rules! silent {
    () => {
        "state = 'pending' and leader_id is null and lane = $1 and rung_at >= $3
         and rung_at < now() - least($2, 300) * interval '1 millisecond'
         and (crashes > 0 or rung_at < now() - $2 * interval '1 millisecond')
         and not exists (select from outbox o where o.subject = j.id)"
    };
}

macro_rules! overdue {
    ($floor:literal) => {
        concat!(
            "state = 'retrying' and leader_id is null and lane = $1 and next_attempt_at >= ",
            $floor,
            " and next_attempt_at < now() - $2 * interval '1 millisecond'
              and rung_at < now() - $2 * interval '1 millisecond'
              and not exists (select from outbox o where o.subject = j.id)"
        )
    };
}

macro_rules! due {
    () => {
        "channel = $1 and state in ('pending', 'sending') and rung_at >= $3 and rung_at < now() - $2 * interval '1 millisecond'
         and coalesce(next_attempt_at, leased_until, created_at) <= now()
         and not exists (select from outbox o where o.subject = d.id)"
    };
}

/// Completes a statement whose part `late` holds the ids of jobs.
macro_rules! ring_jobs {
    ($($late:tt)*) => {
        ring!(concat!(
            $($late)*,
            ", due as (
                update jobs j set rung_at = now() from late where j.id = any(array[late.id])
                returning j.id, 'run-job' as kind, j.lane as queue, j.traceparent
            )"
        ))
    };
}

/// Completes a statement whose part `late` holds the ids of deliveries.
macro_rules! ring_deliveries {
    ($($late:tt)*) => {
        ring!(concat!(
            $($late)*,
            ", due as (
                update deliveries d set rung_at = now() from late where d.id = any(array[late.id])
                returning d.id, 'send-delivery' as kind, 'notify.' || d.channel as queue,
                          (select j.traceparent from jobs j where j.id = d.job_id) as traceparent
            )"
        ))
    };
}

const SILENT: &str = concat!(
    "select count(*) as count from (select from jobs j where ",
    silent!(),
    " order by rung_at limit $4) counted"
);
const OVERDUE: &str = concat!(
    "select count(*) as count from (select from jobs j where ",
    overdue!("$3"),
    " order by next_attempt_at limit $4) counted"
);
const DUE: &str = concat!(
    "select count(*) as count from (select from deliveries d where ",
    due!(),
    " order by rung_at limit $4) counted"
);
const OLDEST_DELIVERY: &str = "
    select now() as now, (select rung_at from deliveries
                          where channel = $1 and state in ('pending', 'sending') and rung_at >= $2 order by rung_at limit 1) as oldest";

const RING_SILENT: &str = ring_jobs!(concat!(
    "with late as materialized (select id from jobs j where ",
    silent!(),
    " order by rung_at limit $4 for no key update skip locked)"
));

const RING_OVERDUE: &str = ring_jobs!(concat!(
    "with late as materialized (select id from jobs j where ",
    overdue!("$3"),
    " order by next_attempt_at limit $4 for no key update skip locked)"
));

const RING_DUE: &str = ring_deliveries!(concat!(
    "with late as materialized (select id from deliveries d where ",
    due!(),
    " order by rung_at limit $4 for no key update skip locked)"
));

/// A retry's message comes out of its delay queue up to a quarter of the time later than the retry is due.
const RING_PASSED_JOBS: &str = ring_jobs!(concat!(
    "with running as materialized (
        select max(r.rung_at) as rung_at from workers w cross join lateral ",
    running_on_worker!("j.lane, j.rung_at"),
    " r where r.lane = $1
    ), silent as materialized (
        select id from jobs j where ",
    silent!(),
    " and rung_at < (select rung_at from running) order by rung_at limit $4 for no key update skip locked
    ), overdue as materialized (
        select id from jobs j where ",
    overdue!("$5"),
    " and greatest(rung_at, next_attempt_at + (next_attempt_at - rung_at) / 4) < (select rung_at from running)
        order by next_attempt_at limit $4 for no key update skip locked
    ), late as materialized (
        select id from silent union all select id from overdue limit $4
    )"
));

const RING_PASSED_DELIVERIES: &str = ring_deliveries!(concat!(
    "with sending as materialized (
        select max(rung_at) as rung_at from deliveries where channel = $1 and state = 'sending' and rung_at >= $3 and leased_until > now()
    ), late as materialized (
        select id from deliveries d where ",
    due!(),
    " and greatest(rung_at, next_attempt_at + (next_attempt_at - rung_at) / 4) < (select rung_at from sending)
        order by rung_at limit $4 for no key update skip locked
    )"
));

#[async_trait]
impl RingStore for PostgresStore {
    async fn count_silent(&self, lane: Lane, grace: Duration, limit: u32) -> Result<u64> {
        self.count(self.about_jobs(SILENT, TimedLine::Pending(lane), lane, grace, limit)).await
    }

    async fn ring_silent(&self, lane: Lane, grace: Duration, limit: u32) -> Result<u32> {
        self.ring(self.about_jobs(RING_SILENT, TimedLine::Pending(lane), lane, grace, limit)).await
    }

    async fn count_overdue_retries(&self, lane: Lane, grace: Duration, limit: u32) -> Result<u64> {
        self.count(self.about_jobs(OVERDUE, TimedLine::Retrying, lane, grace, limit)).await
    }

    async fn ring_overdue_retries(&self, lane: Lane, grace: Duration, limit: u32) -> Result<u32> {
        self.ring(self.about_jobs(RING_OVERDUE, TimedLine::Retrying, lane, grace, limit)).await
    }

    async fn count_due_deliveries(&self, channel: Channel, grace: Duration, limit: u32) -> Result<u64> {
        let line = TimedLine::Deliveries(channel);
        let oldest =
            sql(OLDEST_DELIVERY).bind::<Text, _>(channel.as_str()).bind::<Timestamptz, _>(self.floors.of(line));
        let found: OldestRow =
            self.read(move |connection| async move { Ok(oldest.get_result(connection).await?) }.boxed()).await?;
        self.floors.raise(line, found.oldest, found.now);
        self.count(self.about(DUE, channel.as_str(), grace, line, limit)).await
    }

    async fn ring_due_deliveries(&self, channel: Channel, grace: Duration, limit: u32) -> Result<u32> {
        self.ring(self.about(RING_DUE, channel.as_str(), grace, TimedLine::Deliveries(channel), limit)).await
    }

    async fn ring_passed_jobs(&self, lane: Lane, grace: Duration, limit: u32) -> Result<u32> {
        let statement = self.about_jobs(RING_PASSED_JOBS, TimedLine::Pending(lane), lane, grace, limit);
        self.ring(statement.bind::<Timestamptz, _>(self.floors.of(TimedLine::Retrying))).await
    }

    async fn ring_passed_deliveries(&self, channel: Channel, grace: Duration, limit: u32) -> Result<u32> {
        self.ring(self.about(RING_PASSED_DELIVERIES, channel.as_str(), grace, TimedLine::Deliveries(channel), limit))
            .await
    }
}

#[derive(QueryableByName)]
struct OldestRow {
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    oldest: Option<DateTime<Utc>>,
}

impl PostgresStore {
    fn about_jobs(&self, text: &'static str, line: TimedLine, lane: Lane, grace: Duration, limit: u32) -> Sql<'static> {
        self.about(text, lane.as_str(), grace, line, limit)
    }

    /// A statement about a lane or channel and at most `limit` of what has been silent for `grace`.
    fn about(
        &self,
        text: &'static str,
        queue: &'static str,
        grace: Duration,
        line: TimedLine,
        limit: u32,
    ) -> Sql<'static> {
        sql(text)
            .bind::<Text, _>(queue)
            .bind::<BigInt, _>(millis(grace))
            .bind::<Timestamptz, _>(self.floors.of(line))
            .bind::<BigInt, _>(i64::from(limit))
    }

    async fn count(&self, statement: Sql<'static>) -> Result<u64> {
        self.read(move |connection| {
            async move {
                let row: CountRow = statement.get_result(connection).await?;
                Ok(row.count.unsigned_abs())
            }
            .boxed()
        })
        .await
    }

    /// Runs a statement that rings, and tells of what it wrote. Returns how many it rang.
    pub(super) async fn ring(&self, statement: Sql<'static>) -> Result<u32> {
        self.change(move |connection| {
            async move {
                let rows: Vec<EffectRow> = statement.load(connection).await?;
                let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
                Ok((count, Effects::read(rows)?))
            }
            .boxed()
        })
        .await
    }
}
