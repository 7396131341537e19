//! Limits of runs at once. Nobody else writes in between, so that who runs is simply counted.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::SqliteConnection;
use uuid::Uuid;

use super::SqliteStore;
use super::change::job_doorbell;
use super::errors::{StatementResult, unreadable};
use super::outbox::put;
use super::pauses::NEVER_RUNG;
use super::rows::{job_columns, read_job};
use super::sql::{Cells, sql};
use super::writer::Transaction;
use model::job::{Job, Lane};
use model::limits::{LINE_PREFIX, LimitKind, RunLimit};
use store::{LimitStore, Result};

/// Jobs that are rung for at once in a line that is none any more.
const RELEASED_AT_ONCE: i64 = 1_000;

#[async_trait]
impl LimitStore for SqliteStore {
    async fn declare_limits(&self, kinds: &[LimitKind], limits: &[RunLimit]) -> Result<()> {
        let (kinds, limits) = (kinds.to_vec(), limits.to_vec());
        self.writer
            .write(move |transaction| {
                for kind in kinds {
                    for limit in declared(transaction.connection)? {
                        if limit.name.kind == kind && !limits.iter().any(|one| one.name == limit.name) {
                            sql!("delete from run_limits where name = ?1", limit.name.to_string())
                                .run(transaction.connection)?;
                        }
                    }
                }
                for limit in limits {
                    let text = "insert into run_limits (name, most) values (?1, ?2) \
                                on conflict (name) do update set most = excluded.most";
                    sql!(text, limit.name.to_string(), limit.most).run(transaction.connection)?;
                }
                fill_all(transaction).map(drop)
            })
            .await
    }

    async fn limits(&self) -> Result<Vec<RunLimit>> {
        self.readers.read(declared).await
    }

    async fn fill_places(&self) -> Result<u32> {
        self.writer.write(fill_all).await
    }
}

fn declared(connection: &mut SqliteConnection) -> StatementResult<Vec<RunLimit>> {
    let read = |cells: &mut Cells| {
        let (name, most) = (cells.text()?, cells.integer()?);
        Ok(RunLimit { name: name.parse().map_err(unreadable)?, most: u32::try_from(most).map_err(unreadable)? })
    };
    sql!("select name, most from run_limits order by name").rows(connection, read)
}

/// The limits that bear on a job, and how many each allows at once.
fn limits_of(connection: &mut SqliteConnection, job: Uuid) -> StatementResult<Vec<(String, i64)>> {
    let text = "select case when l.name = 'key:' || j.report then 'key:' || j.limit_key else l.name end, l.most \
                from jobs j join run_limits l on l.name in ('tenant:' || j.tenant, 'report:' || j.report, 'key:' || j.report, \
                case when j.made_from is null then 'source:' || (select source from report_versions where version = j.report_version) end) \
                where j.id = ?1 and (l.name <> 'key:' || j.report or j.limit_key is not null) order by 1";
    sql!(text, job).rows(connection, |cells: &mut Cells| Ok((cells.text()?, cells.integer()?)))
}

/// Counts the runs under a limit, besides that of a job, of everybody or of one tenant.
fn running(
    connection: &mut SqliteConnection,
    limit: &str,
    besides: Uuid,
    tenant: Option<&str>,
) -> StatementResult<i64> {
    let (kind, name) = limit.split_once(':').unwrap_or_default();
    let text = match kind.parse().map_err(unreadable)? {
        LimitKind::Tenant => {
            "select count(*) from jobs where state = 'processing' and leader_id is null and tenant = ?1 and id <> ?2 and (?3 is null or tenant = ?3)"
        }
        LimitKind::Report => {
            "select count(*) from jobs where state = 'processing' and leader_id is null and report = ?1 and id <> ?2 and (?3 is null or tenant = ?3)"
        }
        LimitKind::Key => {
            "select count(*) from jobs where state = 'processing' and leader_id is null and limit_key = ?1 and id <> ?2 and (?3 is null or tenant = ?3)"
        }
        LimitKind::Source => {
            "select count(*) from jobs where state = 'processing' and leader_id is null and id <> ?2 and made_from is null and (?3 is null or tenant = ?3) \
             and (select source from report_versions where version = report_version) = ?1"
        }
    };
    sql!(text, name, besides, tenant).number(connection)
}

/// Sets a job aside where one of its limits has no place for it. True: it waits.
pub(super) fn wait_in_line(transaction: &mut Transaction<'_>, job: &Job) -> StatementResult<bool> {
    let limits = limits_of(transaction.connection, job.id)?;
    let mut full = None;
    for (name, most) in &limits {
        if running(transaction.connection, name, job.id, None)? >= *most
            || is_behind(transaction.connection, name, job)?
        {
            full = Some(name);
            break;
        }
    }
    let Some(full) = full else { return Ok(false) };
    let text = "update jobs set set_aside = ?1, rung_at = ?2, rung_for = null where id = ?3";
    sql!(text, format!("{LINE_PREFIX}{full}"), NEVER_RUNG, job.id).run(transaction.connection)?;
    // It was rung for out of one line, and stands in another: who is behind it in the first is next there.
    for (name, most) in &limits {
        fill_line(transaction, name, Some(*most))?;
    }
    Ok(true)
}

/// Tells whether an older job of its key waits: in line, or rung for out of it.
fn is_behind(connection: &mut SqliteConnection, limit: &str, job: &Job) -> StatementResult<bool> {
    if !limit.starts_with("key:") {
        return Ok(false);
    }
    let text = "select (select count(*) from (select 1 from jobs where set_aside = ?1 and lane = ?2 and tenant = ?3 and created_at < ?4 limit 1)) \
                + (select count(*) from jobs where rung_for = ?5 and lane = ?2 and created_at < ?4 and state = 'pending' and set_aside is null)";
    let line = format!("{LINE_PREFIX}{limit}");
    let older = sql!(text, line, job.lane.as_str(), &job.caller.tenant, job.created_at, limit);
    Ok(older.number(connection)? > 0)
}

/// A run has ended: whoever is next in the lines of its limits is rung for.
pub(super) fn free_places(transaction: &mut Transaction<'_>, job: Uuid) -> StatementResult<()> {
    for (name, most) in limits_of(transaction.connection, job)? {
        fill_line(transaction, &name, Some(most))?;
    }
    Ok(())
}

fn fill_all(transaction: &mut Transaction<'_>) -> StatementResult<u32> {
    let text = "select distinct set_aside from jobs where set_aside is not null and set_aside like '=/report:%:%'";
    let lines = sql!(text).rows(transaction.connection, Cells::text)?;
    let mut rung = 0;
    for line in lines {
        let Some(name) = line.strip_prefix(LINE_PREFIX) else { continue };
        let declared = match name.strip_prefix("key:").and_then(|value| value.split_once(':')) {
            Some((report, _)) => format!("key:{report}"),
            None => name.to_owned(),
        };
        let most = sql!("select most from run_limits where name = ?1", declared);
        let most = most.row(transaction.connection, Cells::integer)?;
        rung += fill_line(transaction, name, most)?;
    }
    Ok(rung)
}

/// Rings for those that are next in a line, as many as have places; those that were rung for and have not been taken yet count in
/// their lane. Of each tenant the oldest are next; those tenants first that have least under way there.
fn fill_line(transaction: &mut Transaction<'_>, name: &str, most: Option<i64>) -> StatementResult<u32> {
    let line = format!("{LINE_PREFIX}{name}");
    let text = "select count(*) from (select 1 from jobs where set_aside = ?1 limit 1)";
    if sql!(text, &line).number(transaction.connection)? == 0 {
        return Ok(0);
    }
    let mut rung = 0;
    for lane in Lane::ALL {
        let free = match most {
            Some(most) => {
                let text = "select count(*) from jobs where rung_for = ?1 and lane = ?2 and set_aside is null \
                            and (state = 'pending' or (state = 'retrying' and next_attempt_at <= ?3))";
                let promised = sql!(text, name, lane.as_str(), transaction.now).number(transaction.connection)?;
                most - running(transaction.connection, name, Uuid::nil(), None)? - promised
            }
            None => RELEASED_AT_ONCE,
        };
        for job in next_in_line(transaction.connection, name, lane, free)? {
            let text = "update jobs set set_aside = null, rung_at = ?1, rung_for = ?2 where id = ?3";
            sql!(text, transaction.now, name, job.id).run(transaction.connection)?;
            put(transaction, job_doorbell(&job, None), job.traceparent.as_deref())?;
            rung += 1;
        }
    }
    Ok(rung)
}

fn next_in_line(connection: &mut SqliteConnection, name: &str, lane: Lane, free: i64) -> StatementResult<Vec<Job>> {
    let line = format!("{LINE_PREFIX}{name}");
    let mut next: Vec<(i64, DateTime<Utc>, Job)> = Vec::new();
    let mut tenant = String::new();
    if free <= 0 {
        return Ok(Vec::new());
    }
    loop {
        let text = "select tenant from jobs where set_aside = ?1 and lane = ?2 and tenant > ?3 order by tenant limit 1";
        let Some(found) = sql!(text, &line, lane.as_str(), &tenant).row(connection, Cells::text)? else { break };
        tenant = found;
        let under_way = running(connection, name, Uuid::nil(), Some(&tenant))?;
        let text = concat!(
            "select ",
            job_columns!(),
            " from jobs where set_aside = ?1 and lane = ?2 and tenant = ?3 order by created_at limit ?4"
        );
        let oldest = sql!(text, &line, lane.as_str(), &tenant, free).rows(connection, read_job)?;
        next.extend(oldest.into_iter().zip(under_way..).map(|(job, rank)| (rank, job.created_at, job)));
    }
    next.sort_by_key(|(rank, at, job)| (*rank, *at, job.id));
    next.truncate(usize::try_from(free).unwrap_or_default());
    Ok(next.into_iter().map(|(.., job)| job).collect())
}
