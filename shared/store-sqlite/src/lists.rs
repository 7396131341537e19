//! Lists of jobs, newest first: by walking along where every job is wanted, and by the index of states and reports where few are.

use diesel::SqliteConnection;
use uuid::Uuid;

use super::errors::StatementResult;
use super::jobs::seen;
use super::rows::{job_columns, read_job};
use super::sql::{Cells, sql};
use model::job::{Job, JobState};
use store::JobFilter;

/// So many of a caller's newest jobs are looked through for those that are wanted, before they are looked for elsewhere.
const LOOKED_THROUGH: u32 = 2_000;

/// Before every page.
const END: Uuid = Uuid::max();

pub(super) fn list(connection: &mut SqliteConnection, filter: &JobFilter) -> StatementResult<Vec<Job>> {
    let ids = find(connection, filter)?;
    let text = concat!("select ", job_columns!(), " from jobs where id = ?1");
    let mut jobs = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(job) = sql!(text, id).row(connection, read_job)? {
            jobs.push(seen(connection, job)?);
        }
    }
    Ok(jobs)
}

fn find(connection: &mut SqliteConnection, filter: &JobFilter) -> StatementResult<Vec<Uuid>> {
    let (tenant, before) = (&filter.caller.tenant, filter.before.unwrap_or(END));
    if filter.whole_tenant {
        if filter.state.is_none() && filter.report.is_none() {
            let text = "select id from jobs where tenant = ?1 and id < ?2 order by id desc limit ?3";
            return sql!(text, tenant, before, filter.limit).rows(connection, Cells::id);
        }
        return find_by_group(connection, filter, before);
    }
    let text = "select id, case when withdrawn_at is null then state else 'cancelled' end, report from jobs \
                where tenant = ?1 and principal = ?2 and id < ?3 order by id desc limit ?4";
    let looked = LOOKED_THROUGH.max(filter.limit);
    let read = |cells: &mut Cells| Ok((cells.id()?, cells.name::<JobState>()?, cells.text()?));
    let near = sql!(text, tenant, &filter.caller.principal, before, looked).rows(connection, read)?;
    let all_seen = near.len() < looked as usize;
    let is_wanted = |state: JobState, report: &str| {
        filter.state.is_none_or(|wanted| wanted == state) && filter.report.as_deref().is_none_or(|of| of == report)
    };
    let limit = filter.limit as usize;
    let found = near.into_iter().filter(|(_, state, report)| is_wanted(*state, report)).map(|(id, ..)| id);
    let found: Vec<Uuid> = found.take(limit).collect();
    if all_seen || found.len() >= limit { Ok(found) } else { find_by_group(connection, filter, before) }
}

/// The newest of each state and report that is wanted, and of these the newest. The `+` keeps other indexes out of it.
fn find_by_group(connection: &mut SqliteConnection, filter: &JobFilter, before: Uuid) -> StatementResult<Vec<Uuid>> {
    let tenant = &filter.caller.tenant;
    let principal = (!filter.whole_tenant).then_some(filter.caller.principal.as_str());
    let mut found = Vec::new();
    for state in filter.state.map_or_else(|| JobState::ALL.to_vec(), |state| vec![state]) {
        for report in reports(connection, filter, state)? {
            let text = "select id from jobs where tenant = ?1 and state = ?2 and report = ?3 and id < ?4 and withdrawn_at is null \
                        and (?5 is null or +principal = ?5) order by id desc limit ?6";
            let statement = sql!(text, tenant, state.as_str(), &report, before, principal, filter.limit);
            found.append(&mut statement.rows(connection, Cells::id)?);
        }
    }
    if filter.state.is_none_or(|state| state == JobState::Cancelled) {
        let text = "select id from jobs where tenant = ?1 and withdrawn_at is not null and id < ?2 \
                    and (?3 is null or +report = ?3) and (?4 is null or +principal = ?4) order by id desc limit ?5";
        let statement = sql!(text, tenant, before, filter.report.as_deref(), principal, filter.limit);
        found.append(&mut statement.rows(connection, Cells::id)?);
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.truncate(filter.limit as usize);
    Ok(found)
}

/// The reports of the tenant's jobs in a state, one step of the index each.
fn reports(connection: &mut SqliteConnection, filter: &JobFilter, state: JobState) -> StatementResult<Vec<String>> {
    if let Some(report) = &filter.report {
        return Ok(vec![report.clone()]);
    }
    let mut reports: Vec<String> = Vec::new();
    loop {
        let text = "select report from jobs where tenant = ?1 and state = ?2 and report > ?3 order by report limit 1";
        let last = reports.last().map_or("", String::as_str);
        let next = sql!(text, &filter.caller.tenant, state.as_str(), last).row(connection, Cells::text)?;
        match next {
            Some(report) => reports.push(report),
            None => return Ok(reports),
        }
    }
}
