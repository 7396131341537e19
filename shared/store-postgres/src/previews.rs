//! Previews of running jobs.

use async_trait::async_trait;
use diesel::QueryableByName;
use diesel::sql_types::{Integer, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::PostgresStore;
use super::sql::sql;
use model::job::Caller;
use store::{NewPreview, PreviewStore, Result};

const SAVE: &str = "
    insert into previews (job_id, attempt, body, expires_at)
    select id, attempt, $4, now() + retention_ms * interval '1 millisecond' from jobs
    where id = $1 and worker_id = $2 and attempt = $3 and state = 'processing'
    on conflict (job_id) do update
    set attempt = excluded.attempt, body = excluded.body, expires_at = excluded.expires_at
    where previews.attempt <= excluded.attempt";

const READ: &str = "
    select p.body from previews p join jobs j on p.job_id = coalesce(j.leader_id, j.id)
    where j.id = $1 and j.tenant = $2 and j.principal = $3 and p.attempt = j.attempt and p.expires_at > now()";

const FORGET: &str = "
    with old as materialized (
        select ctid from previews where expires_at <= now() order by expires_at limit 10000 for update skip locked
    )
    delete from previews p using old where p.ctid = old.ctid";

#[derive(QueryableByName)]
struct BodyRow {
    #[diesel(sql_type = Text)]
    body: String,
}

#[async_trait]
impl PreviewStore for PostgresStore {
    async fn save_preview(&self, preview: NewPreview) -> Result<bool> {
        self.read(move |connection| {
            async move {
                let saved = sql(SAVE)
                    .bind::<SqlUuid, _>(preview.job_id)
                    .bind::<SqlUuid, _>(preview.worker_id)
                    .bind::<Integer, _>(preview.attempt)
                    .bind::<Text, _>(preview.body)
                    .execute(connection)
                    .await?;
                Ok(saved == 1)
            }
            .boxed()
        })
        .await
    }

    async fn preview(&self, caller: &Caller, job_id: Uuid) -> Result<Option<String>> {
        let caller = caller.clone();
        self.read(move |connection| {
            async move {
                let rows: Vec<BodyRow> = sql(READ)
                    .bind::<SqlUuid, _>(job_id)
                    .bind::<Text, _>(caller.tenant)
                    .bind::<Text, _>(caller.principal)
                    .load(connection)
                    .await?;
                Ok(rows.into_iter().next().map(|row| row.body))
            }
            .boxed()
        })
        .await
    }

    async fn forget_previews(&self) -> Result<u64> {
        self.read(|connection| async move { Ok(sql(FORGET).execute(connection).await? as u64) }.boxed()).await
    }
}
