//! The outbox: rows leave it only when the broker has confirmed them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Double, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::PostgresStore;
use super::floors::TimedLine;
use super::rows::read_message;
use super::sql::sql;
use model::message::OutboxMessage;
use store::{COUNTED_AT_MOST, OutboxStore, Result};

/// `skip locked` with a limit counts right only in a part that is evaluated once.
const LEASE: &str = "
    with due as materialized (
        select id from outbox where leased_until >= $2 and leased_until <= now()
        order by leased_until, created_at, id limit $1 for update skip locked
    ), leased as (
        update outbox o set leased_until = now() + interval '5 seconds' from due where o.id = any(array[due.id])
        returning o.id, o.kind, o.subject, o.queue, o.delay_ms, o.detail::text as detail, o.traceparent, o.created_at
    )
    select id, kind, subject, queue, delay_ms, detail, traceparent from leased order by created_at, id";

const DELETE: &str = "delete from outbox where id = any($1)";

/// Due at once, in the old order among themselves. Never back in time: nobody looks there any more.
const RELEASE: &str = "update outbox set leased_until = now() where id = any($1)";

/// Counting stops where nobody would read the number.
const BACKLOG: &str = "
    select count(*) as rows, coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as age, min(leased_until) as oldest,
           now() as now
    from (select created_at, leased_until from outbox where leased_until >= $1 order by leased_until limit $2) o";

#[derive(QueryableByName)]
struct OutboxRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = SqlUuid)]
    subject: Uuid,
    #[diesel(sql_type = Text)]
    queue: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    delay_ms: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    detail: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    traceparent: Option<String>,
}

#[derive(QueryableByName)]
struct BacklogRow {
    #[diesel(sql_type = BigInt)]
    rows: i64,
    #[diesel(sql_type = Double)]
    age: f64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    oldest: Option<DateTime<Utc>>,
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
}

#[async_trait]
impl OutboxStore for PostgresStore {
    async fn lease_outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>> {
        let statement =
            sql(LEASE).bind::<BigInt, _>(i64::from(limit)).bind::<Timestamptz, _>(self.floors.of(TimedLine::Outbox));
        let rows: Vec<OutboxRow> =
            self.read(move |connection| async move { Ok(statement.load(connection).await?) }.boxed()).await?;
        Ok(rows.into_iter().filter_map(OutboxRow::message).collect())
    }

    async fn delete_outbox(&self, ids: Vec<Uuid>) -> Result<()> {
        self.on_rows(DELETE, ids).await
    }

    async fn release_outbox(&self, ids: Vec<Uuid>) -> Result<()> {
        self.on_rows(RELEASE, ids).await
    }

    async fn outbox_backlog(&self) -> Result<(u64, f64)> {
        let statement = sql(BACKLOG)
            .bind::<Timestamptz, _>(self.floors.of(TimedLine::Outbox))
            .bind::<BigInt, _>(i64::from(COUNTED_AT_MOST));
        let row: BacklogRow =
            self.read(|connection| async move { Ok(statement.get_result(connection).await?) }.boxed()).await?;
        self.floors.raise(TimedLine::Outbox, row.oldest, row.now);
        Ok((row.rows.unsigned_abs(), row.age))
    }
}

impl PostgresStore {
    /// Runs a statement on the rows of these ids.
    pub(super) async fn on_rows(&self, text: &'static str, ids: Vec<Uuid>) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        self.read(move |connection| {
            async move {
                sql(text).bind::<Array<SqlUuid>, _>(ids).execute(connection).await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }
}

impl OutboxRow {
    /// A row that a newer version wrote is left for its relay.
    fn message(self) -> Option<OutboxMessage> {
        let read = read_message(&self.kind, self.subject, (&self.queue, self.delay_ms), self.detail.as_deref());
        match read {
            Ok((route, message)) => Some(OutboxMessage { id: self.id, route, message, traceparent: self.traceparent }),
            Err(failure) => {
                tracing::warn!(outbox = %self.id, ?failure, "an outbox row cannot be read");
                None
            }
        }
    }
}
