//! What was used: counted where jobs are written and where they are done, read part by part, folded day by day.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::SqliteStore;
use super::errors::StatementResult;
use super::sql::{Cells, earlier, sql};
use super::writer::Transaction;
use model::artifact::NewArtifact;
use model::job::Job;
use model::usage::{OF_PRINCIPAL, OF_REPORT, Usage, UsagePart, UsageSubject, part_of};
use store::{MAX_USERS, Result, UsageStore};

/// Counts a job that was just written.
pub(super) fn count_submit(transaction: &mut Transaction<'_>, job: &Job) -> StatementResult<()> {
    let (recipients, links) = (job.notify.len() as u64, job.formats.len() as u64);
    count(transaction, job, Usage { jobs: 1, recipients, links, ..Usage::default() })
}

/// Counts a job that is done: the rows of its run, and the bytes of its files.
pub(super) fn count_done(transaction: &mut Transaction<'_>, job: &Job, files: &[NewArtifact]) -> StatementResult<()> {
    let rows = files.iter().map(|file| file.rows).max().unwrap_or_default();
    let bytes = files.iter().map(|file| file.bytes).fold(0, u64::saturating_add);
    count(transaction, job, Usage { rows, bytes, ..Usage::default() })
}

fn count(transaction: &mut Transaction<'_>, job: &Job, usage: Usage) -> StatementResult<()> {
    let subjects = [
        UsageSubject::Tenant,
        UsageSubject::Principal(job.caller.principal.clone()),
        UsageSubject::Report(job.report.clone()),
    ];
    for subject in subjects {
        add(transaction, (&job.caller.tenant, subject.kept()), part_of(transaction.now), usage)?;
    }
    Ok(())
}

fn add(
    transaction: &mut Transaction<'_>,
    (tenant, subject): (&str, String),
    part: DateTime<Utc>,
    usage: Usage,
) -> StatementResult<()> {
    sql!(
        "insert into usage_parts (tenant, subject, part, jobs, rows, bytes, recipients, links) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) on conflict (tenant, subject, part) do update \
         set jobs = jobs + excluded.jobs, rows = rows + excluded.rows, bytes = bytes + excluded.bytes, \
             recipients = recipients + excluded.recipients, links = links + excluded.links",
        tenant,
        subject,
        part,
        usage.jobs,
        usage.rows,
        usage.bytes,
        usage.recipients,
        usage.links,
    )
    .run(transaction.connection)?;
    Ok(())
}

fn read_usage(cells: &mut Cells) -> StatementResult<Usage> {
    let (jobs, rows, bytes) = (cells.count()?, cells.count()?, cells.count()?);
    Ok(Usage { jobs, rows, bytes, recipients: cells.count()?, links: cells.count()? })
}

fn read_part(cells: &mut Cells) -> StatementResult<UsagePart> {
    Ok(UsagePart { since: cells.time()?, usage: read_usage(cells)? })
}

fn read_subject(cells: &mut Cells) -> StatementResult<(String, Usage)> {
    Ok((cells.text()?, read_usage(cells)?))
}

impl SqliteStore {
    async fn usage_by(&self, tenant: &str, prefix: &'static str, since: DateTime<Utc>) -> Result<Vec<(String, Usage)>> {
        let tenant = tenant.to_owned();
        // Subjects of one kind lie between what they begin with and the next character.
        let text = "select subject, sum(jobs), sum(rows), sum(bytes), sum(recipients), sum(links) from usage_parts \
                    where tenant = ?1 and subject >= ?2 and subject < ?3 and part >= ?4 \
                    group by subject order by sum(jobs) desc, subject limit ?5";
        let rows = self
            .readers
            .read(move |connection| {
                sql!(text, &tenant, prefix, prefix.replace(':', ";"), since, MAX_USERS).rows(connection, read_subject)
            })
            .await?;
        let name = |subject: &str| subject.strip_prefix(prefix).unwrap_or(subject).to_owned();
        Ok(rows.into_iter().map(|(subject, usage)| (name(&subject), usage)).collect())
    }
}

#[async_trait]
impl UsageStore for SqliteStore {
    async fn usage_of(&self, tenant: &str, subject: &UsageSubject, since: DateTime<Utc>) -> Result<Vec<UsagePart>> {
        let (tenant, subject) = (tenant.to_owned(), subject.kept());
        let text = "select part, jobs, rows, bytes, recipients, links from usage_parts \
                    where tenant = ?1 and subject = ?2 and part >= ?3 order by part";
        self.readers.read(move |connection| sql!(text, &tenant, subject, since).rows(connection, read_part)).await
    }

    async fn usage_by_principal(&self, tenant: &str, since: DateTime<Utc>) -> Result<Vec<(String, Usage)>> {
        self.usage_by(tenant, OF_PRINCIPAL, since).await
    }

    async fn usage_by_report(&self, tenant: &str, since: DateTime<Utc>) -> Result<Vec<(String, Usage)>> {
        self.usage_by(tenant, OF_REPORT, since).await
    }

    async fn fold_usage(&self, starts: DateTime<Utc>, ends: DateTime<Utc>) -> Result<u64> {
        self.writer
            .write(move |transaction| {
                let day = "select subject, sum(jobs), sum(rows), sum(bytes), sum(recipients), sum(links), tenant \
                           from usage_parts where part > ?1 and part < ?2 group by tenant, subject";
                let read = |cells: &mut Cells| {
                    let (subject, usage) = read_subject(cells)?;
                    Ok((cells.text()?, subject, usage))
                };
                let sums = sql!(day, starts, ends).rows(transaction.connection, read)?;
                let text = "delete from usage_parts where part > ?1 and part < ?2";
                let gone = sql!(text, starts, ends).run(transaction.connection)?;
                let kept = sums.len();
                for (tenant, subject, usage) in sums {
                    add(transaction, (&tenant, subject), starts, usage)?;
                }
                Ok(gone.saturating_sub(kept) as u64)
            })
            .await
    }

    async fn forget_usage(&self, age: Duration) -> Result<u64> {
        self.writer
            .write(move |transaction| {
                let before = earlier(transaction.now, age);
                Ok(sql!("delete from usage_parts where part < ?1", before).run(transaction.connection)? as u64)
            })
            .await
    }
}
