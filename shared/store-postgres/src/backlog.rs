//! How much there is to do. Every part stops at its limit: with a million jobs waiting it costs what it costs with that many.

use std::time::Duration;

use async_trait::async_trait;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;

use super::errors::unreadable;
use super::run::StatementResult;
use super::sql::sql;
use super::{PostgresStore, millis};
use model::delivery::{Channel, DeliveryState};
use model::job::Lane;
use store::{BacklogCounts, BacklogStore, LaneBacklog, Result};

/// By the partial indexes of jobs that wait, that are put off, that run, and of deliveries that are not final.
const BACKLOG: &str = "
    select 'ready' as what, l.lane, (select count(*) from (
        select from jobs where state = 'pending' and lane = l.lane and leader_id is null and rung_at < '9000-01-01' limit $2
    ) j) as count, 0::bigint as long
    from unnest($1::text[]) as l(lane)
    union all
    select 'ready', lane, count(*), 0 from (
        select lane from jobs where state = 'retrying' and next_attempt_at <= now() and leader_id is null
        order by next_attempt_at limit $2
    ) j group by lane
    union all
    select 'running', lane, count(*), count(*) filter (where started_at < now() - $3 * interval '1 millisecond') from (
        select lane, started_at from jobs where state = 'processing' and leader_id is null limit $2
    ) j group by lane
    union all
    select 'deliveries', '', count(*) filter (where state = 'sending' or coalesce(next_attempt_at, now()) <= now()), 0 from (
        select d.state, d.next_attempt_at from unnest($4::text[]) as c(channel)
        cross join lateral (
            select state, next_attempt_at from deliveries
            where channel = c.channel and state in ('pending', 'sending') order by rung_at limit $2
        ) d
    ) d";

/// Ids of deliveries sort by the time they were made at.
const NEWEST_DELIVERIES: &str = "
    select channel, state, greatest(extract(epoch from clock_timestamp() - created_at) * 1000, 0)::bigint as age
    from deliveries order by id desc limit $1";

#[derive(QueryableByName)]
struct DeliveryAgeRow {
    #[diesel(sql_type = Text)]
    channel: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = BigInt)]
    age: i64,
}

#[derive(QueryableByName)]
struct BacklogPartRow {
    #[diesel(sql_type = Text)]
    what: String,
    #[diesel(sql_type = Text)]
    lane: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = BigInt)]
    long: i64,
}

#[async_trait]
impl BacklogStore for PostgresStore {
    async fn backlog(&self, hand_off_after: Duration, limit: u32) -> Result<BacklogCounts> {
        self.read(move |connection| {
            async move {
                let lanes: Vec<&str> = Lane::ALL.iter().map(|lane| lane.as_str()).collect();
                let channels: Vec<&str> = Channel::ALL.iter().map(|channel| channel.as_str()).collect();
                let rows: Vec<BacklogPartRow> = sql(BACKLOG)
                    .bind::<Array<Text>, _>(lanes)
                    .bind::<BigInt, _>(i64::from(limit))
                    .bind::<BigInt, _>(millis(hand_off_after))
                    .bind::<Array<Text>, _>(channels)
                    .load(connection)
                    .await?;
                sum(&rows, limit.into())
            }
            .boxed()
        })
        .await
    }

    async fn newest_deliveries(&self, limit: u32) -> Result<Vec<(Channel, DeliveryState, Duration)>> {
        self.read(move |connection| {
            async move {
                let rows: Vec<DeliveryAgeRow> =
                    sql(NEWEST_DELIVERIES).bind::<BigInt, _>(i64::from(limit)).load(connection).await?;
                let read = |row: DeliveryAgeRow| {
                    let (channel, state) =
                        (row.channel.parse().map_err(unreadable)?, row.state.parse().map_err(unreadable)?);
                    Ok((channel, state, Duration::from_millis(row.age.unsigned_abs())))
                };
                rows.into_iter().map(read).collect()
            }
            .boxed()
        })
        .await
    }
}

fn sum(rows: &[BacklogPartRow], limit: u64) -> StatementResult<BacklogCounts> {
    let none = |lane| LaneBacklog { lane, ready: 0, running: 0, handed_off: 0 };
    let mut backlog = BacklogCounts { lanes: Lane::ALL.into_iter().map(none).collect(), deliveries: 0 };
    for row in rows {
        let (count, long) = (row.count.unsigned_abs(), row.long.unsigned_abs());
        if row.what == "deliveries" {
            backlog.deliveries = count.min(limit);
            continue;
        }
        let lane: Lane = row.lane.parse().map_err(unreadable)?;
        let Some(lane) = backlog.lanes.iter_mut().find(|one| one.lane == lane) else { continue };
        if row.what == "ready" {
            lane.ready = (lane.ready + count).min(limit);
        } else {
            (lane.running, lane.handed_off) = (count, long);
        }
    }
    Ok(backlog)
}
