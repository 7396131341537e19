//! Links: found by hash, their clicks counted and logged.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::SqliteConnection;
use uuid::Uuid;

use super::errors::StatementResult;
use super::rows::{artifact_columns, read_artifact};
use super::sql::{Cells, earlier, now, sql};
use super::writer::Transaction;
use model::artifact::{Agent, Click, Link, LinkStatus, NewClick};
use model::job::Caller;
use store::{CLICKS_AN_HOUR, CLICKS_SHOWN};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn read_link(cells: &mut Cells) -> StatementResult<Link> {
    let artifact = read_artifact(cells)?;
    let (tenant, expires_at, revoked_at) = (cells.text()?, cells.time()?, cells.maybe_time()?);
    Ok(Link { artifact, tenant, expires_at, revoked_at, expired: false, again_job_id: cells.maybe_id()? })
}

pub(super) fn find(connection: &mut SqliteConnection, hash: &[u8; 32]) -> StatementResult<Option<Link>> {
    let now = now(connection)?;
    let text = concat!(
        "select ",
        artifact_columns!(),
        ", l.tenant, l.expires_at, l.revoked_at, l.again_job_id from links l join artifacts a on a.id = l.artifact_id \
         where l.token_hash = ?1"
    );
    let link = sql!(text, hash).row(connection, read_link)?;
    Ok(link.map(|link| Link { expired: link.expires_at <= now, ..link }))
}

/// Counts every click but a scanner's; logs not more than some an hour.
pub(super) fn record(transaction: &mut Transaction<'_>, hash: &[u8; 32], click: &NewClick) -> StatementResult<()> {
    let (kind, agent, now) = (click.kind.as_str(), click.agent.as_str(), transaction.now);
    if click.agent != Agent::Scanner {
        let text = "update links set views = views + (?2 = 'view'), clicks = clicks + (?2 = 'download'), \
                    last_click_at = case when ?2 = 'download' then ?3 else last_click_at end where token_hash = ?1";
        sql!(text, hash, kind, now).run(transaction.connection)?;
    }
    let text = "insert into clicks (token_hash, at, kind, agent, principal) select token_hash, ?2, ?3, ?4, ?5 from links \
                where token_hash = ?1 and (select count(*) from clicks c where c.token_hash = ?1 and c.at > ?6) < ?7";
    let principal = click.principal.as_deref();
    sql!(text, hash, now, kind, agent, principal, earlier(now, HOUR), CLICKS_AN_HOUR).run(transaction.connection)?;
    Ok(())
}

/// A link's status before its log is read, and by what it is found there.
fn read_status(cells: &mut Cells) -> StatementResult<([u8; 32], LinkStatus)> {
    let hash = cells.hash()?;
    let status = LinkStatus {
        format: cells.name()?,
        filename: cells.text()?,
        link_id: cells.id()?,
        token_hash: hash,
        created_at: cells.time()?,
        expires_at: cells.time()?,
        revoked_at: cells.maybe_time()?,
        expired: false,
        views: cells.count()?,
        downloads: cells.count()?,
        last_download_at: cells.maybe_time()?,
        again_job_id: cells.maybe_id()?,
        clicks: Vec::new(),
    };
    Ok((hash, status))
}

fn read_click(cells: &mut Cells) -> StatementResult<Click> {
    Ok(Click { at: cells.time()?, kind: cells.name()?, agent: cells.name()?, principal: cells.maybe_text()? })
}

pub(super) fn of_job(
    connection: &mut SqliteConnection,
    caller: &Caller,
    job_id: Uuid,
) -> StatementResult<Vec<LinkStatus>> {
    let now: DateTime<Utc> = now(connection)?;
    let text = "select l.token_hash, a.format, a.filename, a.link_id, l.created_at, l.expires_at, l.revoked_at, l.views, \
                l.clicks, l.last_click_at, l.again_job_id \
                from links l join artifacts a on a.id = l.artifact_id join jobs j on j.id = a.job_id \
                where a.job_id = ?1 and j.tenant = ?2 and j.principal = ?3 order by a.format, l.created_at";
    let found = sql!(text, job_id, &caller.tenant, &caller.principal).rows(connection, read_status)?;
    let log = "select at, kind, agent, principal from clicks where token_hash = ?1 order by id desc limit ?2";
    let complete = found.into_iter().map(|(hash, status)| {
        let clicks = sql!(log, &hash, CLICKS_SHOWN).rows(connection, read_click)?;
        Ok(LinkStatus { expired: status.expires_at <= now, clicks, ..status })
    });
    complete.collect()
}
