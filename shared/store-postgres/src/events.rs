//! Events of one job, and the feed of all of a caller's.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::PostgresStore;
use super::errors::unreadable;
use super::rows::{from_json, read_refusals};
use super::run::StatementResult;
use super::sql::sql;
use model::event::Event;
use model::job::Caller;
use store::{FeedCursor, Result};

const OF_JOB: &str = "
    select job_id, seq, tenant, principal, kind, state, attempt, error::text as error, next_attempt_at, at,
           position, xid::text::bigint as transaction, refused::text as refused
    from events where job_id = $1 and tenant = $2 and principal = $3 and seq > $4 order by seq limit $5";

/// Only below the oldest transaction that still runs: what commits later sorts behind what was read.
const FEED: &str = "
    select job_id, seq, tenant, principal, kind, state, attempt, error::text as error, next_attempt_at, at,
           position, xid::text::bigint as transaction, refused::text as refused
    from events
    where tenant = $1 and principal = $2 and (xid, position) > ($3::text::xid8, $4)
      and xid < pg_snapshot_xmin(pg_current_snapshot())
    order by xid, position limit $5";

const FEED_END: &str = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as count";

#[derive(QueryableByName)]
struct EventRow {
    #[diesel(sql_type = SqlUuid)]
    job_id: Uuid,
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = Text)]
    tenant: String,
    #[diesel(sql_type = Text)]
    principal: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Integer)]
    attempt: i32,
    #[diesel(sql_type = Nullable<Text>)]
    error: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    next_attempt_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    position: i64,
    #[diesel(sql_type = BigInt)]
    transaction: i64,
    #[diesel(sql_type = Nullable<Text>)]
    refused: Option<String>,
}

impl EventRow {
    fn read(self) -> StatementResult<(FeedCursor, Event)> {
        let event = Event {
            job_id: self.job_id,
            seq: self.seq,
            caller: Caller { tenant: self.tenant, principal: self.principal },
            kind: self.kind.parse().map_err(unreadable)?,
            state: self.state.parse().map_err(unreadable)?,
            attempt: self.attempt,
            error: self.error.as_deref().map(from_json).transpose()?,
            refused: read_refusals(self.refused.as_deref())?,
            next_attempt_at: self.next_attempt_at,
            at: self.at,
            leader: None,
        };
        Ok((FeedCursor { transaction: self.transaction, position: self.position }, event))
    }
}

impl PostgresStore {
    pub(super) async fn read_events_of_job(
        &self,
        caller: &Caller,
        job_id: Uuid,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Event>> {
        let caller = caller.clone();
        self.read(move |connection| {
            async move {
                let rows: Vec<EventRow> = sql(OF_JOB)
                    .bind::<SqlUuid, _>(job_id)
                    .bind::<Text, _>(caller.tenant)
                    .bind::<Text, _>(caller.principal)
                    .bind::<BigInt, _>(after)
                    .bind::<BigInt, _>(i64::from(limit))
                    .load(connection)
                    .await?;
                rows.into_iter().map(|row| row.read().map(|(_, event)| event)).collect()
            }
            .boxed()
        })
        .await
    }

    pub(super) async fn read_feed(
        &self,
        caller: &Caller,
        after: FeedCursor,
        limit: u32,
    ) -> Result<Vec<(FeedCursor, Event)>> {
        let caller = caller.clone();
        self.read(move |connection| {
            async move {
                let rows: Vec<EventRow> = sql(FEED)
                    .bind::<Text, _>(caller.tenant)
                    .bind::<Text, _>(caller.principal)
                    .bind::<Text, _>(after.transaction.max(0).to_string())
                    .bind::<BigInt, _>(after.position)
                    .bind::<BigInt, _>(i64::from(limit))
                    .load(connection)
                    .await?;
                rows.into_iter().map(EventRow::read).collect()
            }
            .boxed()
        })
        .await
    }

    pub(super) async fn read_feed_end(&self) -> Result<FeedCursor> {
        self.read(|connection| {
            async move {
                let end: super::rows::CountRow = sql(FEED_END).get_result(connection).await?;
                Ok(FeedCursor { transaction: end.count, position: 0 })
            }
            .boxed()
        })
        .await
    }
}
