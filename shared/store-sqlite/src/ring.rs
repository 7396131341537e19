//! Ringing again: outbox rows for jobs and deliveries whose doorbells may have been lost.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::change::job_doorbell;
use super::errors::StatementResult;
use super::outbox::put;
use super::rows::{job_columns, read_job};
use super::sql::{Cells, Sql, earlier, now, sql};
use super::writer::Transaction;
use super::{SqliteStore, deliveries};
use model::delivery::Channel;
use model::job::Lane;
use store::{Result, RingStore};

// `?1` the lane or channel, `?2` since when it must be silent.
macro_rules! silent {
    () => {
        "state = 'pending' and leader_id is null and lane = ?1 and rung_at < ?2 \
         and not exists (select 1 from outbox o where o.subject = jobs.id)"
    };
}

macro_rules! overdue {
    () => {
        "state = 'retrying' and leader_id is null and lane = ?1 and next_attempt_at < ?2 and rung_at < ?2 \
         and not exists (select 1 from outbox o where o.subject = jobs.id)"
    };
}

// `?3` now.
macro_rules! due {
    () => {
        "channel = ?1 and rung_at < ?2 and ((state = 'pending' and (next_attempt_at is null or next_attempt_at <= ?3)) \
         or (state = 'sending' and leased_until <= ?3)) and state in ('pending', 'sending') \
         and not exists (select 1 from outbox o where o.subject = deliveries.id)"
    };
}

// A retry's message comes out of its delay queue up to a quarter of the time later than the retry is due.
macro_rules! in_queue_since {
    () => {
        "max(rung_at, coalesce(next_attempt_at + (next_attempt_at - rung_at) / 4, 0))"
    };
}

/// Rings the lanes of the jobs a query finds.
fn ring_jobs(transaction: &mut Transaction<'_>, found: Sql<'_>) -> StatementResult<u32> {
    let jobs = found.rows(transaction.connection, read_job)?;
    for job in &jobs {
        sql!("update jobs set rung_at = ?1 where id = ?2", transaction.now, job.id).run(transaction.connection)?;
        put(transaction, job_doorbell(job, None), job.traceparent.as_deref())?;
    }
    Ok(u32::try_from(jobs.len()).unwrap_or(u32::MAX))
}

/// Rings the notifier for the deliveries a query finds.
fn ring_deliveries(transaction: &mut Transaction<'_>, found: Sql<'_>) -> StatementResult<u32> {
    let due: Vec<Uuid> = found.rows(transaction.connection, Cells::id)?;
    for id in &due {
        sql!("update deliveries set rung_at = ?1 where id = ?2", transaction.now, *id).run(transaction.connection)?;
        deliveries::ring(transaction, *id, None)?;
    }
    Ok(u32::try_from(due.len()).unwrap_or(u32::MAX))
}

#[async_trait]
impl RingStore for SqliteStore {
    async fn count_silent(&self, lane: Lane, grace: Duration, limit: u32) -> Result<u64> {
        let text = concat!("select count(*) from (select 1 from jobs where ", silent!(), " order by rung_at limit ?3)");
        self.count(text, lane.as_str(), grace, limit).await
    }

    async fn ring_silent(&self, lane: Lane, grace: Duration, limit: u32) -> Result<u32> {
        let text = concat!("select ", job_columns!(), " from jobs where ", silent!(), " order by rung_at, id limit ?3");
        self.ring_lane(text, lane, grace, limit).await
    }

    async fn count_overdue_retries(&self, lane: Lane, grace: Duration, limit: u32) -> Result<u64> {
        let text = concat!(
            "select count(*) from (select 1 from jobs where ",
            overdue!(),
            " order by next_attempt_at limit ?3)"
        );
        self.count(text, lane.as_str(), grace, limit).await
    }

    async fn ring_overdue_retries(&self, lane: Lane, grace: Duration, limit: u32) -> Result<u32> {
        let text =
            concat!("select ", job_columns!(), " from jobs where ", overdue!(), " order by next_attempt_at limit ?3");
        self.ring_lane(text, lane, grace, limit).await
    }

    async fn count_due_deliveries(&self, channel: Channel, grace: Duration, limit: u32) -> Result<u64> {
        let text =
            concat!("select count(*) from (select 1 from deliveries where ", due!(), " order by rung_at limit ?4)");
        let count = self
            .readers
            .read(move |connection| {
                let now = now(connection)?;
                sql!(text, channel.as_str(), earlier(now, grace), now, limit).number(connection)
            })
            .await?;
        Ok(count.unsigned_abs())
    }

    async fn ring_due_deliveries(&self, channel: Channel, grace: Duration, limit: u32) -> Result<u32> {
        let text = concat!("select id from deliveries where ", due!(), " order by rung_at limit ?4");
        self.ring_channel(text, channel, grace, limit).await
    }

    async fn ring_passed_jobs(&self, lane: Lane, grace: Duration, limit: u32) -> Result<u32> {
        let text = concat!(
            "select ",
            job_columns!(),
            " from jobs where ((",
            silent!(),
            ") or (",
            overdue!(),
            ")) and ",
            in_queue_since!(),
            " < (select max(r.rung_at) from jobs r where r.state = 'processing' and r.leader_id is null and r.lane = ?1) \
             order by rung_at, id limit ?3"
        );
        self.ring_lane(text, lane, grace, limit).await
    }

    async fn ring_passed_deliveries(&self, channel: Channel, grace: Duration, limit: u32) -> Result<u32> {
        let text = concat!(
            "select id from deliveries where ",
            due!(),
            " and ",
            in_queue_since!(),
            " < (select max(s.rung_at) from deliveries s where s.channel = ?1 and s.state = 'sending' and s.leased_until > ?3) \
             order by rung_at limit ?4"
        );
        self.ring_channel(text, channel, grace, limit).await
    }
}

impl SqliteStore {
    async fn count(&self, text: &'static str, queue: &'static str, grace: Duration, limit: u32) -> Result<u64> {
        let count = self
            .readers
            .read(move |connection| {
                let since = earlier(now(connection)?, grace);
                sql!(text, queue, since, limit).number(connection)
            })
            .await?;
        Ok(count.unsigned_abs())
    }

    async fn ring_lane(&self, text: &'static str, lane: Lane, grace: Duration, limit: u32) -> Result<u32> {
        self.writer
            .write(move |transaction| {
                let since = earlier(transaction.now, grace);
                ring_jobs(transaction, sql!(text, lane.as_str(), since, limit))
            })
            .await
    }

    async fn ring_channel(&self, text: &'static str, channel: Channel, grace: Duration, limit: u32) -> Result<u32> {
        self.writer
            .write(move |transaction| {
                let (now, since) = (transaction.now, earlier(transaction.now, grace));
                ring_deliveries(transaction, sql!(text, channel.as_str(), since, now, limit))
            })
            .await
    }
}
