//! Previews of running jobs.

use async_trait::async_trait;
use uuid::Uuid;

use super::SqliteStore;
use super::sql::{Cells, sql};
use model::job::Caller;
use store::{NewPreview, PreviewStore, Result};

#[async_trait]
impl PreviewStore for SqliteStore {
    async fn save_preview(&self, preview: NewPreview) -> Result<bool> {
        let text = "insert into previews (job_id, attempt, body, expires_at) \
                    select id, attempt, ?4, ?5 + retention_ms * 1000 from jobs \
                    where id = ?1 and worker_id = ?2 and attempt = ?3 and state = 'processing' \
                    on conflict (job_id) do update \
                    set attempt = excluded.attempt, body = excluded.body, expires_at = excluded.expires_at \
                    where previews.attempt <= excluded.attempt";
        self.writer
            .write(move |transaction| {
                let NewPreview { job_id, worker_id, attempt, body } = &preview;
                let saved =
                    sql!(text, *job_id, *worker_id, *attempt, body, transaction.now).run(transaction.connection)?;
                Ok(saved == 1)
            })
            .await
    }

    async fn preview(&self, caller: &Caller, job_id: Uuid) -> Result<Option<String>> {
        let caller = caller.clone();
        let text = "select p.body from previews p join jobs j on p.job_id = coalesce(j.leader_id, j.id) \
                    where j.id = ?1 and j.tenant = ?2 and j.principal = ?3 and p.attempt = j.attempt";
        self.readers
            .read(move |connection| sql!(text, job_id, &caller.tenant, &caller.principal).row(connection, Cells::text))
            .await
    }

    async fn forget_previews(&self) -> Result<u64> {
        self.writer
            .write(move |transaction| {
                let text = "delete from previews where expires_at <= ?1";
                Ok(sql!(text, transaction.now).run(transaction.connection)? as u64)
            })
            .await
    }
}
