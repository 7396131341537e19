//! Workers: claiming, settling and being alive.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::PostgresStore;
use super::errors::unreadable;
use super::heartbeat::PostgresHeartbeat;
use super::run::StatementResult;
use super::running::running_on_worker;
use super::sql::sql;
use store::{ClaimRequest, Claimed, Heartbeat, Result, Settled, Settlement, WorkerInfo, WorkerStatus, WorkerStore};

const WORKERS: &str = concat!(
    "select w.id, w.host, w.pid, w.lanes, w.concurrency, w.started_at, w.heartbeat_at,
           (select count(*) from ",
    running_on_worker!("j.id"),
    " r) as running
    from workers w order by w.started_at, w.id"
);

/// A heartbeat may have said so already.
const BEGIN: &str = "
    update jobs set phase = 'starting'
    where id = $1 and state = 'processing' and worker_id = $2 and attempt = $3 and phase in ('waiting', 'starting')";

#[derive(QueryableByName)]
struct WorkerRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    host: String,
    #[diesel(sql_type = BigInt)]
    pid: i64,
    #[diesel(sql_type = Array<Text>)]
    lanes: Vec<String>,
    #[diesel(sql_type = Integer)]
    concurrency: i32,
    #[diesel(sql_type = Timestamptz)]
    started_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    heartbeat_at: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    running: i64,
}

impl WorkerRow {
    fn read(self) -> StatementResult<WorkerStatus> {
        let lanes = self.lanes.iter().map(|lane| lane.parse()).collect::<std::result::Result<_, _>>();
        Ok(WorkerStatus {
            info: WorkerInfo {
                id: self.id,
                host: self.host,
                pid: u32::try_from(self.pid).map_err(unreadable)?,
                lanes: lanes.map_err(unreadable)?,
                concurrency: self.concurrency.unsigned_abs(),
            },
            started_at: self.started_at,
            heartbeat_at: self.heartbeat_at,
            running: u32::try_from(self.running).unwrap_or(u32::MAX),
        })
    }
}

#[async_trait]
impl WorkerStore for PostgresStore {
    /// The connection is driven by the runtime this is called in: call it where the heart is to beat.
    async fn register_worker(&self, worker: WorkerInfo) -> Result<Box<dyn Heartbeat>> {
        self.check_open()?;
        let heartbeat = PostgresHeartbeat::start(self.connector.clone(), worker, self.after.clone()).await?;
        Ok(Box::new(heartbeat))
    }

    async fn claim(&self, worker_id: Uuid, requests: Vec<ClaimRequest>) -> Result<Vec<Claimed>> {
        self.claim_batch(worker_id, requests).await
    }

    async fn begin(&self, worker_id: Uuid, job_id: Uuid, attempt: i32) -> Result<bool> {
        self.read(move |connection| {
            async move {
                let begun = sql(BEGIN)
                    .bind::<SqlUuid, _>(job_id)
                    .bind::<SqlUuid, _>(worker_id)
                    .bind::<Integer, _>(attempt)
                    .execute(connection)
                    .await?;
                Ok(begun > 0)
            }
            .boxed()
        })
        .await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>> {
        self.settle_batch(settlements).await
    }

    async fn workers(&self) -> Result<Vec<WorkerStatus>> {
        self.read(|connection| {
            async move {
                let rows: Vec<WorkerRow> = sql(WORKERS).load(connection).await?;
                rows.into_iter().map(WorkerRow::read).collect()
            }
            .boxed()
        })
        .await
    }
}
