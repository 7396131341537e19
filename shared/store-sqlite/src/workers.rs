//! Workers: registered, heard of every second, listed.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::SqliteStore;
use super::errors::StatementResult;
use super::lose::{Lost, forgive, take_all_from};
use super::owner::Owner;
use super::sql::{Cells, sql, to_json};
use super::writer::{Transaction, Writer};
use super::{claim, settle};
use store::{
    AttemptProgress, ClaimRequest, Claimed, Heartbeat, Result, Settled, Settlement, WorkerInfo, WorkerStatus,
    WorkerStore,
};

/// The liveness of one worker of this process. Dropping it is the worker's end.
struct SqliteHeartbeat {
    writer: Writer,
    owner: Arc<Owner>,
    worker: WorkerInfo,
}

impl Drop for SqliteHeartbeat {
    fn drop(&mut self) {
        self.owner.leave(self.worker.id);
    }
}

fn register(transaction: &mut Transaction<'_>, worker: &WorkerInfo) -> StatementResult<()> {
    sql!(
        "insert into workers (id, host, pid, lanes, concurrency, started_at, heartbeat_at) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?6) \
         on conflict (id) do update set heartbeat_at = excluded.heartbeat_at",
        worker.id,
        &worker.host,
        worker.pid,
        to_json(&worker.lanes)?,
        worker.concurrency,
        transaction.now,
    )
    .run(transaction.connection)?;
    Ok(())
}

fn beat(
    transaction: &mut Transaction<'_>,
    worker: &WorkerInfo,
    all: &[AttemptProgress],
) -> StatementResult<Vec<(Uuid, i32)>> {
    let renewed = sql!("update workers set heartbeat_at = ?1 where id = ?2", transaction.now, worker.id);
    if renewed.run(transaction.connection)? == 0 {
        // Whoever removed the row took the jobs as well. One that was claimed since is given back too: its worker is about
        // to hear that it has lost everything.
        forgive(transaction, all)?;
        take_all_from(transaction, worker.id, Lost::Alive)?;
        register(transaction, worker)?;
        return Ok(all.iter().map(|one| (one.job_id, one.attempt)).collect());
    }
    let mut lost = Vec::new();
    for one in all {
        let written = sql!(
            "update jobs set phase = ?1, rows_read = ?2, total_rows = ?3, total_is_estimate = ?4, bytes_written = ?5 \
             where id = ?6 and worker_id = ?7 and attempt = ?8 and state = 'processing'",
            one.progress.phase.as_str(),
            one.progress.rows,
            one.progress.total_rows,
            one.progress.total_is_estimate,
            one.progress.bytes,
            one.job_id,
            worker.id,
            one.attempt,
        )
        .run(transaction.connection)?;
        if written == 0 {
            lost.push((one.job_id, one.attempt));
        }
    }
    Ok(lost)
}

#[async_trait]
impl Heartbeat for SqliteHeartbeat {
    async fn beat(&mut self, progress: Vec<AttemptProgress>) -> Result<Vec<(Uuid, i32)>> {
        let worker = self.worker.clone();
        self.writer.write(move |transaction| beat(transaction, &worker, &progress)).await
    }

    async fn cut_off(&mut self) {
        std::future::pending::<()>().await;
    }

    async fn retire(&mut self) -> Result<()> {
        let id = self.worker.id;
        self.writer
            .write(move |transaction| {
                // What could not be handed back is covered by the row, until the sweeper takes both.
                sql!(
                    "delete from workers where id = ?1
                     and not exists (select 1 from jobs where worker_id = ?1 and state = 'processing' and leader_id is null)",
                    id
                )
                .run(transaction.connection)?;
                Ok(())
            })
            .await
    }
}

fn read_status(cells: &mut Cells) -> StatementResult<WorkerStatus> {
    Ok(WorkerStatus {
        info: WorkerInfo {
            id: cells.id()?,
            host: cells.text()?,
            pid: u32::try_from(cells.integer()?).unwrap_or_default(),
            lanes: cells.json()?,
            concurrency: u32::try_from(cells.integer()?).unwrap_or_default(),
        },
        started_at: cells.time()?,
        heartbeat_at: cells.time()?,
        running: u32::try_from(cells.integer()?).unwrap_or(u32::MAX),
    })
}

#[async_trait]
impl WorkerStore for SqliteStore {
    async fn register_worker(&self, worker: WorkerInfo) -> Result<Box<dyn Heartbeat>> {
        self.owner.enter(worker.id)?;
        // From here on, whatever happens, dropping the heartbeat takes the worker out again.
        let (writer, owner) = (self.writer.clone(), Arc::clone(&self.owner));
        let heartbeat = SqliteHeartbeat { writer, owner, worker: worker.clone() };
        self.writer.write(move |transaction| register(transaction, &worker)).await?;
        Ok(Box::new(heartbeat))
    }

    async fn claim(&self, worker_id: Uuid, requests: Vec<ClaimRequest>) -> Result<Vec<Claimed>> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let owner = Arc::clone(&self.owner);
        self.writer.write(move |transaction| claim::claim(transaction, &owner, worker_id, &requests)).await
    }

    async fn begin(&self, worker_id: Uuid, job_id: Uuid, attempt: i32) -> Result<bool> {
        self.writer
            .write(move |transaction| {
                let begun = sql!(
                    "update jobs set phase = 'starting' where id = ?1 and state = 'processing' and worker_id = ?2 \
                     and attempt = ?3 and phase in ('waiting', 'starting')",
                    job_id,
                    worker_id,
                    attempt,
                );
                Ok(begun.run(transaction.connection)? > 0)
            })
            .await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>> {
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        self.writer.write(move |transaction| settle::settle(transaction, &settlements)).await
    }

    async fn workers(&self) -> Result<Vec<WorkerStatus>> {
        self.readers
            .read(|connection| {
                sql!(
                    "select w.id, w.host, w.pid, w.lanes, w.concurrency, w.started_at, w.heartbeat_at, \
                     (select count(*) from jobs j where j.state = 'processing' and j.worker_id = w.id and j.leader_id is null) \
                     from workers w order by w.started_at, w.id"
                )
                .rows(connection, read_status)
            })
            .await
    }
}
