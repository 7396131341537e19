//! Removing jobs and principals for good.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::SqliteStore;
use super::errors::{Failure, StatementResult};
use super::sql::{Cells, earlier, now, sql};
use super::writer::Transaction;
use model::job::Caller;
use store::{RemovalStore, Removed, Result};

/// The smallest id that is made at this time or later.
fn id_at(time: DateTime<Utc>) -> Uuid {
    let millis = u128::from(u64::try_from(time.timestamp_millis()).unwrap_or_default());
    Uuid::from_u128(millis << 80)
}

fn remove(transaction: &mut Transaction<'_>, jobs: &[Uuid]) -> StatementResult<Removed> {
    let removable = concat!(
        "select count(*) from jobs j where j.id = ?1 and j.state in ('done', 'failed', 'cancelled') \
         and not exists (select 1 from jobs f where f.leader_id = j.id and f.state in ",
        store::unfinished_states!(),
        ") and not exists (select 1 from artifacts a where a.job_id = j.id and a.deleted_at is null)"
    );
    let mut removed = Removed::default();
    for id in jobs {
        if sql!(removable, *id).number(transaction.connection)? == 0 {
            continue;
        }
        let mut run = |text: &'static str| Ok::<u64, Failure>(sql!(text, *id).run(transaction.connection)? as u64);
        removed.clicks += run("delete from clicks where token_hash in (select l.token_hash from links l \
                               join artifacts a on a.id = l.artifact_id where a.job_id = ?1)")?;
        let text = "insert into gone_links (token_hash, gone_at) select l.token_hash, ?2 from links l \
                    join artifacts a on a.id = l.artifact_id where a.job_id = ?1 on conflict do nothing";
        sql!(text, *id, transaction.now).run(transaction.connection)?;
        let mut run = |text: &'static str| Ok::<u64, Failure>(sql!(text, *id).run(transaction.connection)? as u64);
        run("delete from links where artifact_id in (select id from artifacts where job_id = ?1)")?;
        removed.files += run("delete from artifacts where job_id = ?1")?;
        removed.deliveries += run("delete from deliveries where job_id = ?1")?;
        run("delete from previews where job_id = ?1")?;
        run("delete from events where job_id = ?1")?;
        run("delete from outbox where subject = ?1")?;
        removed.jobs += run("delete from jobs where id = ?1")?;
    }
    Ok(removed)
}

fn release(transaction: &mut Transaction<'_>, jobs: &[Uuid]) -> StatementResult<Vec<String>> {
    let mut keys: Vec<String> = Vec::new();
    for id in jobs {
        let text = "update artifacts set deleted_at = coalesce(deleted_at, ?2) where job_id = ?1";
        sql!(text, *id, transaction.now).run(transaction.connection)?;
        let text = "select object_key from artifacts where job_id = ?1";
        keys.extend(sql!(text, *id).rows(transaction.connection, Cells::text)?);
    }
    let mut free = Vec::new();
    for key in keys {
        let text = "select count(*) from artifacts where object_key = ?1 and deleted_at is null";
        if sql!(text, &key).number(transaction.connection)? == 0 {
            free.push(key);
        }
    }
    Ok(free)
}

#[async_trait]
impl RemovalStore for SqliteStore {
    async fn outdated_jobs(&self, age: Duration, after: Uuid, limit: u32) -> Result<Vec<Uuid>> {
        let text = "select id from jobs where id > ?1 and id < ?2 and state in ('done', 'failed', 'cancelled') \
                    and finished_at < ?3 order by id limit ?4";
        self.readers
            .read(move |connection| {
                let before = earlier(now(connection)?, age);
                let bound = id_at(DateTime::from_timestamp_micros(before).unwrap_or(DateTime::UNIX_EPOCH));
                sql!(text, after, bound, before, limit).rows(connection, Cells::id)
            })
            .await
    }

    async fn jobs_of_principal(&self, caller: &Caller, after: Uuid, limit: u32) -> Result<Vec<(Uuid, bool)>> {
        let caller = caller.clone();
        let text = "select id, state in ('done', 'failed', 'cancelled') from jobs \
                    where tenant = ?1 and principal = ?2 and id > ?3 order by id limit ?4";
        self.readers
            .read(move |connection| {
                let read = |cells: &mut Cells| Ok((cells.id()?, cells.flag()?));
                sql!(text, &caller.tenant, &caller.principal, after, limit).rows(connection, read)
            })
            .await
    }

    async fn release_files(&self, jobs: Vec<Uuid>) -> Result<Vec<String>> {
        self.writer.write(move |transaction| release(transaction, &jobs)).await
    }

    async fn remove_jobs(&self, jobs: Vec<Uuid>) -> Result<Removed> {
        self.writer.write(move |transaction| remove(transaction, &jobs)).await
    }

    async fn link_is_gone(&self, hash: [u8; 32]) -> Result<bool> {
        let text = "select count(*) from gone_links where token_hash = ?1";
        self.readers.read(move |connection| Ok(sql!(text, &hash).number(connection)? > 0)).await
    }

    async fn forget_gone_links(&self, age: Duration) -> Result<u64> {
        let text = "delete from gone_links where gone_at < ?1";
        self.writer
            .write(move |transaction| Ok(sql!(text, earlier(transaction.now, age)).run(transaction.connection)? as u64))
            .await
    }

    async fn count_of_principal(&self, caller: &Caller) -> Result<Removed> {
        let caller = caller.clone();
        self.readers
            .read(move |connection| {
                let mut count = |text: &'static str| {
                    let counted = sql!(text, &caller.tenant, &caller.principal).number(connection)?;
                    Ok::<u64, Failure>(counted.unsigned_abs())
                };
                Ok(Removed {
                    jobs: count("select count(*) from jobs where tenant = ?1 and principal = ?2")?,
                    files: count(
                        "select count(*) from jobs j join artifacts a on a.job_id = j.id \
                                  where j.tenant = ?1 and j.principal = ?2",
                    )?,
                    deliveries: count(
                        "select count(*) from jobs j join deliveries d on d.job_id = j.id \
                                       where j.tenant = ?1 and j.principal = ?2",
                    )?,
                    clicks: count(
                        "select count(*) from clicks c join links l on l.token_hash = c.token_hash \
                                   where l.tenant = ?1 and c.principal = ?2",
                    )?,
                    keys: count("select count(*) from api_keys where tenant = ?1 and principal = ?2")?,
                    schedules: count("select count(*) from schedules where tenant = ?1 and principal = ?2")?,
                    audit_persons: count("select count(*) from audit_persons where tenant = ?1 and principal = ?2")?,
                })
            })
            .await
    }

    async fn erase_principal(&self, caller: &Caller) -> Result<Removed> {
        let caller = caller.clone();
        self.writer
            .write(move |transaction| {
                let mut run = |text: &'static str| {
                    let erasing = sql!(text, &caller.tenant, &caller.principal);
                    Ok::<u64, Failure>(erasing.run(transaction.connection)? as u64)
                };
                run("delete from idempotency where tenant = ?1 and principal = ?2")?;
                run("delete from known_owners where tenant = ?1 and principal = ?2")?;
                run("delete from usage_parts where tenant = ?1 and subject = 'principal:' || ?2")?;
                run("delete from turns where tenant = ?1 and principal = ?2")?;
                run("update pauses set paused_by = '' where tenant in (?1, '') and paused_by = ?2")?;
                Ok(Removed {
                    keys: run("delete from api_keys where tenant = ?1 and principal = ?2")?,
                    schedules: run("delete from schedules where tenant = ?1 and principal = ?2")?,
                    audit_persons: run("delete from audit_persons where tenant = ?1 and principal = ?2")?,
                    clicks: run("update clicks set principal = null where principal = ?2 and exists \
                                 (select 1 from links l where l.token_hash = clicks.token_hash and l.tenant = ?1)")?,
                    ..Removed::default()
                })
            })
            .await
    }
}
