//! Pauses, and the jobs that were set aside for them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text, Timestamptz};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use futures_util::FutureExt as _;

use super::PostgresStore;
use super::connection::Connection;
use super::effects::{EffectRow, Effects};
use super::errors::{Failure, unreadable};
use super::ring::ring;
use super::run::StatementResult;
use super::sql::{Sql, sql};
use model::pause::PauseTarget;
use store::{Pause, PauseStore, Result};

const PAUSE: &str = "
    insert into pauses (tenant, kind, name, paused_by) values ($1, $2, $3, $4) on conflict do nothing";
const RESUME: &str = "delete from pauses where tenant = $1 and kind = $2 and name = $3";
const PAUSES: &str = "select tenant, kind, name, paused_by, since from pauses order by kind, name, tenant";

/// One step of the index for each thing that jobs were set aside for, however many these are.
const RELEASE: &str = ring!(
    "with recursive kept as (
        (select set_aside from jobs where set_aside is not null and state || '' = 'pending' order by set_aside limit 1)
        union all
        select (select j.set_aside from jobs j
                where j.set_aside is not null and j.state || '' = 'pending' and j.set_aside > kept.set_aside order by j.set_aside limit 1)
        from kept where kept.set_aside is not null
    ), over as materialized (
        select set_aside from kept where set_aside is not null and set_aside not like '=/report:%:%'
          and not exists (select from pauses p where p.tenant || '/' || p.kind || ':' || p.name = kept.set_aside)
    ), free as materialized (
        select j.id from over cross join lateral (
            select id from jobs
            where set_aside is not null and state || '' = 'pending' and set_aside >= over.set_aside and set_aside <= over.set_aside
            order by set_aside limit $1 for no key update skip locked
        ) j limit $1
    ), due as (
        update jobs j set set_aside = null, rung_at = now() from free where j.id = any(array[free.id])
        returning j.id, 'run-job' as kind, j.lane as queue, j.traceparent
    )"
);
const NOTE_SOURCE: &str = "update report_versions set source = $2 where version = $1 and source is distinct from $2";

#[derive(QueryableByName)]
struct PauseRow {
    #[diesel(sql_type = Text)]
    tenant: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    paused_by: String,
    #[diesel(sql_type = Timestamptz)]
    since: DateTime<Utc>,
}

impl PauseRow {
    fn read(self) -> StatementResult<Pause> {
        let tenant = Some(self.tenant).filter(|tenant| !tenant.is_empty());
        let target = PauseTarget { tenant, kind: self.kind.parse().map_err(unreadable)?, name: self.name };
        Ok(Pause { target, by: self.paused_by, since: self.since })
    }
}

fn bind_target(statement: Sql<'static>, target: &PauseTarget) -> Sql<'static> {
    statement
        .bind::<Text, _>(target.tenant.clone().unwrap_or_default())
        .bind::<Text, _>(target.kind.as_str())
        .bind::<Text, _>(target.name.clone())
}

async fn resume(
    connection: &mut Connection,
    target: PauseTarget,
    limit: u32,
) -> StatementResult<(Option<u32>, Effects)> {
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            if bind_target(sql(RESUME), &target).execute(connection).await? == 0 {
                return Ok((None, Effects::default()));
            }
            let rung: Vec<EffectRow> = sql(RELEASE).bind::<BigInt, _>(i64::from(limit)).load(connection).await?;
            Ok((Some(u32::try_from(rung.len()).unwrap_or(u32::MAX)), Effects::read(rung)?))
        })
        .await
}

#[async_trait]
impl PauseStore for PostgresStore {
    async fn pause(&self, target: &PauseTarget, by: &str) -> Result<bool> {
        let statement = bind_target(sql(PAUSE), target).bind::<Text, _>(by.to_owned());
        self.read(move |connection| async move { Ok(statement.execute(connection).await? > 0) }.boxed()).await
    }

    async fn resume(&self, target: &PauseTarget, limit: u32) -> Result<Option<u32>> {
        let target = target.clone();
        self.change(move |connection| resume(connection, target, limit).boxed()).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        self.read(|connection| {
            async move {
                let rows: Vec<PauseRow> = sql(PAUSES).load(connection).await?;
                rows.into_iter().map(PauseRow::read).collect()
            }
            .boxed()
        })
        .await
    }

    async fn release(&self, limit: u32) -> Result<u32> {
        self.ring(sql(RELEASE).bind::<BigInt, _>(i64::from(limit))).await
    }

    async fn note_source(&self, version: &str, source: &str) -> Result<()> {
        let (version, source) = (version.to_owned(), source.to_owned());
        self.read(move |connection| {
            async move {
                sql(NOTE_SOURCE).bind::<Text, _>(version).bind::<Text, _>(source).execute(connection).await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }
}
