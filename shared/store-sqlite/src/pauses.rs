//! KnownPauses, and the jobs that were set aside for them.

use std::collections::HashMap;

use async_trait::async_trait;
use diesel::SqliteConnection;
use uuid::Uuid;

use super::SqliteStore;
use super::change::job_doorbell;
use super::errors::StatementResult;
use super::outbox::put;
use super::rows::{job_columns, read_job};
use super::sql::{Cells, sql};
use super::writer::Transaction;
use model::job::{Job, Lane};
use model::pause::{PauseKind, PauseTarget};
use store::{Pause, PauseStore, Result};

/// The beginning of the year 9999, in microseconds: nobody is rung then.
pub(super) const NEVER_RUNG: i64 = 253_370_764_800_000_000;

/// What is paused.
#[derive(Debug)]
pub(super) struct KnownPauses {
    targets: Vec<PauseTarget>,
    /// Report versions whose source is paused, and that.
    versions: HashMap<String, String>,
}

impl KnownPauses {
    pub(super) fn read(connection: &mut SqliteConnection) -> StatementResult<Self> {
        let targets =
            sql!("select tenant, kind, name from pauses order by kind, name").rows(connection, read_target)?;
        let mut versions = Vec::new();
        if targets.iter().any(|target| target.kind == PauseKind::Source) {
            let text = "select version, source from report_versions \
                        where source in (select name from pauses where kind = 'source')";
            versions = sql!(text).rows(connection, |cells: &mut Cells| Ok((cells.text()?, cells.text()?)))?;
        }
        Ok(Self { targets, versions: versions.into_iter().collect() })
    }

    /// Tells whether none of a tenant's jobs in a lane may run.
    pub(super) fn stop(&self, tenant: &str, lane: Lane) -> bool {
        self.targets.iter().any(|target| target.stops(tenant, lane))
    }

    /// Returns the pause that keeps a job waiting.
    pub(super) fn of(&self, job: &Job) -> Option<PauseTarget> {
        let source = self.versions.get(&job.report_version).map(String::as_str);
        PauseTarget::find(&self.targets, &job.caller.tenant, (job.lane, &job.report), source).cloned()
    }
}

fn read_target(cells: &mut Cells) -> StatementResult<PauseTarget> {
    let tenant = Some(cells.text()?).filter(|tenant| !tenant.is_empty());
    Ok(PauseTarget { tenant, kind: cells.name()?, name: cells.text()? })
}

/// Lets a job wait until its pause has ended: nobody looks at it until then.
pub(super) fn set_aside(transaction: &mut Transaction<'_>, id: Uuid, target: &PauseTarget) -> StatementResult<()> {
    let text = "update jobs set set_aside = ?1, rung_at = ?2 where id = ?3 and state = 'pending'";
    sql!(text, target.to_string(), NEVER_RUNG, id).run(transaction.connection)?;
    Ok(())
}

fn read_pause(cells: &mut Cells) -> StatementResult<Pause> {
    Ok(Pause { target: read_target(cells)?, by: cells.text()?, since: cells.time()? })
}

/// Rings for jobs that were set aside for what is no longer paused.
fn release(transaction: &mut Transaction<'_>, limit: u32) -> StatementResult<u32> {
    let text = concat!(
        "select ",
        job_columns!(),
        " from jobs where state = 'pending' and set_aside is not null and set_aside not like '=/report:%:%' and set_aside in (\
         select set_aside from jobs where state = 'pending' and set_aside is not null group by set_aside \
         having set_aside not in (select tenant || '/' || kind || ':' || name from pauses)) limit ?1"
    );
    let free = sql!(text, limit).rows(transaction.connection, read_job)?;
    for job in &free {
        let text = "update jobs set set_aside = null, rung_at = ?1 where id = ?2";
        sql!(text, transaction.now, job.id).run(transaction.connection)?;
        put(transaction, job_doorbell(job, None), job.traceparent.as_deref())?;
    }
    Ok(u32::try_from(free.len()).unwrap_or(u32::MAX))
}

#[async_trait]
impl PauseStore for SqliteStore {
    async fn pause(&self, target: &PauseTarget, by: &str) -> Result<bool> {
        let (target, by) = (target.clone(), by.to_owned());
        self.writer
            .write(move |transaction| {
                let text = "insert into pauses (tenant, kind, name, paused_by, since) values (?1, ?2, ?3, ?4, ?5) \
                            on conflict do nothing";
                let tenant = target.tenant.as_deref().unwrap_or_default();
                let paused = sql!(text, tenant, target.kind.as_str(), &target.name, &by, transaction.now);
                Ok(paused.run(transaction.connection)? > 0)
            })
            .await
    }

    async fn resume(&self, target: &PauseTarget, limit: u32) -> Result<Option<u32>> {
        let target = target.clone();
        self.writer
            .write(move |transaction| {
                let text = "delete from pauses where tenant = ?1 and kind = ?2 and name = ?3";
                let tenant = target.tenant.as_deref().unwrap_or_default();
                let resumed = sql!(text, tenant, target.kind.as_str(), &target.name);
                if resumed.run(transaction.connection)? == 0 {
                    return Ok(None);
                }
                release(transaction, limit).map(Some)
            })
            .await
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        let text = "select tenant, kind, name, paused_by, since from pauses order by kind, name, tenant";
        self.readers.read(move |connection| sql!(text).rows(connection, read_pause)).await
    }

    async fn release(&self, limit: u32) -> Result<u32> {
        self.writer.write(move |transaction| release(transaction, limit)).await
    }

    async fn note_source(&self, version: &str, source: &str) -> Result<()> {
        let (version, source) = (version.to_owned(), source.to_owned());
        self.writer
            .write(move |transaction| {
                let text = "update report_versions set source = ?2 where version = ?1 and source is not ?2";
                sql!(text, &version, &source).run(transaction.connection)?;
                Ok(())
            })
            .await
    }
}
