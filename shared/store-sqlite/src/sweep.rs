//! What the sweeper repairs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use diesel::SqliteConnection;
use uuid::Uuid;

use super::errors::StatementResult;
use super::rows::{artifact_columns, read_artifact};
use super::sql::{Cells, earlier, now, sql};
use super::{SqliteStore, lose};
use model::artifact::{Artifact, attempt_of_key};
use model::job::{JobState, Lane};
use store::{COUNTED_AT_MOST, Result, SweepStore};

/// Tells whether an artifact row names the key, or a running attempt may be about to.
fn is_needed(connection: &mut SqliteConnection, key: &str) -> StatementResult<bool> {
    if sql!("select count(*) from artifacts where object_key = ?1", key).number(connection)? > 0 {
        return Ok(true);
    }
    let Some((job, attempt)) = attempt_of_key(key) else { return Ok(false) };
    let text = "select count(*) from jobs where id = ?1 and attempt = ?2 and state = 'processing'";
    Ok(sql!(text, job, attempt).number(connection)? > 0)
}

#[async_trait]
impl SweepStore for SqliteStore {
    async fn release_lost_jobs(&self, silence: Duration) -> Result<Vec<Uuid>> {
        let owner = Arc::clone(&self.owner);
        self.writer.write(move |transaction| lose::release_lost(transaction, &owner, silence)).await
    }

    async fn expired_artifacts(&self, limit: u32) -> Result<Vec<Artifact>> {
        let text = concat!(
            "select ",
            artifact_columns!(),
            " from artifacts a where a.deleted_at is null and a.expires_at <= ?1 order by a.expires_at limit ?2"
        );
        self.readers
            .read(move |connection| {
                let now = now(connection)?;
                sql!(text, now, limit).rows(connection, read_artifact)
            })
            .await
    }

    async fn mark_deleted(&self, artifacts: Vec<Uuid>) -> Result<()> {
        if artifacts.is_empty() {
            return Ok(());
        }
        self.writer
            .write(move |transaction| {
                for id in artifacts {
                    let text = "update artifacts set deleted_at = ?1 where id = ?2 and deleted_at is null";
                    sql!(text, transaction.now, id).run(transaction.connection)?;
                }
                Ok(())
            })
            .await
    }

    async fn unreferenced_keys(&self, keys: Vec<String>) -> Result<Vec<String>> {
        self.readers
            .read(move |connection| {
                let mut unreferenced = Vec::new();
                for key in keys {
                    if !is_needed(connection, &key)? {
                        unreferenced.push(key);
                    }
                }
                Ok(unreferenced)
            })
            .await
    }

    async fn lead_followers(&self, _limit: u32) -> Result<u32> {
        // A leader and its followers change in one transaction.
        Ok(0)
    }

    async fn forget_idempotency(&self, age: Duration) -> Result<u64> {
        self.writer
            .write(move |transaction| {
                let before = earlier(transaction.now, age);
                let forgotten =
                    sql!("delete from idempotency where created_at < ?1", before).run(transaction.connection)?;
                Ok(forgotten as u64)
            })
            .await
    }

    async fn uncovered_jobs(&self) -> Result<Vec<Uuid>> {
        // A retry has a due time, as a constraint holds, and the sweeper rings what is pending.
        let text = concat!(
            "select id from jobs where state = 'processing' and leader_id is null \
                    and not exists (select 1 from workers w where w.id = jobs.worker_id) \
                    and not exists (select 1 from outbox o where o.subject = jobs.id) \
                    union all select f.id from jobs f where f.state in ",
            store::unfinished_states!(),
            " and f.leader_id is not null \
                    and not exists (select 1 from jobs l where l.id = f.leader_id and l.state in ",
            store::unfinished_states!(),
            ")"
        );
        self.readers.read(move |connection| sql!(text).rows(connection, Cells::id)).await
    }

    async fn job_counts(&self) -> Result<Vec<(Lane, JobState, u64)>> {
        let pending = "select count(*) from (select 1 from jobs where state = 'pending' and lane = ?1 and leader_id is null \
                       order by rung_at limit ?2)";
        let others = "select lane, 'processing' as state, count(*) from jobs where state = 'processing' and leader_id is null \
                      group by lane union all select lane, 'retrying', count(*) from \
                      (select lane from jobs where state = 'retrying' and leader_id is null order by next_attempt_at limit ?1) \
                      group by lane";
        let read = |cells: &mut Cells| Ok((cells.name()?, cells.name()?, cells.count()?));
        self.readers
            .read(move |connection| {
                let mut counts: Vec<(Lane, JobState, u64)> = sql!(others, COUNTED_AT_MOST).rows(connection, read)?;
                for lane in Lane::ALL {
                    let waiting = sql!(pending, lane.as_str(), COUNTED_AT_MOST).number(connection)?;
                    counts.push((lane, JobState::Pending, waiting.unsigned_abs()));
                }
                counts.retain(|(.., count)| *count > 0);
                Ok(counts)
            })
            .await
    }
}
