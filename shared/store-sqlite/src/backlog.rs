//! How much there is to do.

use std::time::Duration;

use async_trait::async_trait;
use diesel::SqliteConnection;

use super::SqliteStore;
use super::errors::StatementResult;
use super::sql::{self, Cells, earlier, sql};
use model::delivery::{Channel, DeliveryState};
use model::job::Lane;
use store::{BacklogCounts, BacklogStore, LaneBacklog, Result};

fn of_lane(
    connection: &mut SqliteConnection,
    lane: Lane,
    hand_off_after: Duration,
    limit: u32,
) -> StatementResult<LaneBacklog> {
    let now = sql::now(connection)?;
    let text = "select count(*) from (select 1 from jobs where state = 'pending' and lane = ?1 and leader_id is null and set_aside is null limit ?2)";
    let pending = sql!(text, lane.as_str(), limit).number(connection)?.unsigned_abs();
    let text = "select count(*) from (select lane from jobs where state = 'retrying' and next_attempt_at <= ?1 \
                and leader_id is null order by next_attempt_at limit ?2) where lane = ?3";
    let due = sql!(text, now, limit, lane.as_str()).number(connection)?.unsigned_abs();
    let text = "select count(*), coalesce(sum(started_at < ?1), 0) from (select lane, started_at from jobs \
                where state = 'processing' and leader_id is null limit ?2) where lane = ?3";
    let read = |cells: &mut Cells| Ok((cells.count()?, cells.count()?));
    let running = sql!(text, earlier(now, hand_off_after), limit, lane.as_str()).row(connection, read)?;
    let (running, handed_off) = running.unwrap_or_default();
    Ok(LaneBacklog { lane, ready: (pending + due).min(limit.into()), running, handed_off })
}

fn count(connection: &mut SqliteConnection, hand_off_after: Duration, limit: u32) -> StatementResult<BacklogCounts> {
    let lanes = Lane::ALL.into_iter().map(|lane| of_lane(connection, lane, hand_off_after, limit));
    let lanes = lanes.collect::<StatementResult<_>>()?;
    let text = "select count(*) from (select state, next_attempt_at from deliveries \
                where channel = ?1 and state in ('pending', 'sending') order by rung_at limit ?2) \
                where state = 'sending' or next_attempt_at is null or next_attempt_at <= ?3";
    let now = sql::now(connection)?;
    let mut deliveries = 0;
    for channel in Channel::ALL {
        deliveries += sql!(text, channel.as_str(), limit, now).number(connection)?.unsigned_abs();
    }
    Ok(BacklogCounts { lanes, deliveries })
}

#[async_trait]
impl BacklogStore for SqliteStore {
    async fn backlog(&self, hand_off_after: Duration, limit: u32) -> Result<BacklogCounts> {
        self.readers.read(move |connection| count(connection, hand_off_after, limit)).await
    }

    async fn newest_deliveries(&self, limit: u32) -> Result<Vec<(Channel, DeliveryState, Duration)>> {
        let read = move |connection: &mut SqliteConnection| {
            let now = sql::now(connection)?;
            // Ids of deliveries sort by the time they were made at.
            let text = "select channel, state, created_at from deliveries order by id desc limit ?1";
            let read = |cells: &mut Cells| Ok((cells.name::<Channel>()?, cells.name()?, cells.time()?));
            let rows = sql!(text, limit).rows(connection, read)?;
            let aged =
                rows.into_iter().map(|(channel, state, at)| (channel, state, (now - at).to_std().unwrap_or_default()));
            Ok(aged.collect())
        };
        self.readers.read(read).await
    }
}
