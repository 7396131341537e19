//! Claiming by turn: a doorbell starts the job whose turn it is. One after the other, since nobody else writes in between.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::SqliteConnection;
use uuid::Uuid;

use super::SqliteStore;
use super::claim::{claim_one, claiming_worker};
use super::errors::StatementResult;
use super::owner::Owner;
use super::pauses::{KnownPauses, set_aside};
use super::rows::bare_job;
use super::sql::{Cells, sql};
use super::writer::Transaction;
use model::job::{Job, JobState, Lane};
use model::turns::{PrincipalTurn, Running, TenantTurn, next_turns};
use store::{ClaimRequest, Claimed, Result, TurnRequest, TurnRules, TurnStore};

/// Whose turns are looked at beyond the one that is next.
const SPARE: usize = usize::MAX;
/// Jobs that one doorbell sets aside at most because they have no place under a limit.
const LIMITED_AT_ONCE: u32 = 64;
/// Who comes back is at most this much behind.
const MOST_BEHIND_MS: f64 = 60_000.0;

#[async_trait]
impl TurnStore for SqliteStore {
    async fn claim_turns(
        &self,
        worker_id: Uuid,
        requests: Vec<TurnRequest>,
        rules: &TurnRules,
    ) -> Result<Vec<Claimed>> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let (owner, rules) = (self.owner.clone(), rules.clone());
        let claim = move |transaction: &mut Transaction<'_>| {
            requests.iter().map(|request| claim_turn(transaction, &owner, (worker_id, &rules), *request)).collect()
        };
        self.writer.write(claim).await
    }
}

fn claim_turn(
    transaction: &mut Transaction<'_>,
    owner: &Owner,
    (worker_id, rules): (Uuid, &TurnRules),
    request: TurnRequest,
) -> StatementResult<Claimed> {
    let worker = claiming_worker(transaction, worker_id)?;
    let named = |job_id, alone| ClaimRequest { job_id, redelivered: request.redelivered, alone };
    if request.redelivered || request.in_doubt {
        let run = run_of(transaction.connection, request.hint)?.unwrap_or(request.hint);
        let job = bare_job(transaction.connection, run)?.filter(|job| job.state == JobState::Processing);
        match job {
            Some(job) if job.worker_id != Some(worker_id) && request.redelivered => {
                return claim_one(transaction, owner, worker, named(run, false));
            }
            Some(job) if job.worker_id == Some(worker_id) && request.in_doubt => {
                return Ok(Claimed::Yes(Box::new(job)));
            }
            Some(job) if job.worker_id == Some(worker_id) && run != request.hint => return Ok(Claimed::Held),
            _ => {}
        }
    }
    let pauses = KnownPauses::read(transaction.connection)?;
    let hint = bare_job(transaction.connection, request.hint)?;
    if let Some(hint) = &hint
        && hint.sharing.follows().is_none()
        && matches!(hint.state, JobState::Pending | JobState::Retrying)
    {
        if let Some(target) = pauses.of(hint) {
            let is_due = hint.next_attempt_at.is_none_or(|due| due <= transaction.now);
            if hint.state == JobState::Pending {
                set_aside(transaction, hint.id, &target)?;
            }
            if is_due {
                return Ok(Claimed::Paused);
            }
        }
        if hint.state == JobState::Retrying || hint.must_run_alone() {
            return claim_one(transaction, owner, worker, named(hint.id, false));
        }
        list_turn(transaction.connection, hint)?;
    }
    for _ in 0..LIMITED_AT_ONCE {
        let Some(job) = next_job(transaction, request.lane, rules, &pauses)? else { break };
        let claimed = claim_one(transaction, owner, worker, named(job, false))?;
        if job != request.hint && matches!(claimed, Claimed::Yes(_)) {
            sql!("update jobs set rung_by = ?1 where id = ?2", request.hint, job).run(transaction.connection)?;
        }
        if claimed == Claimed::Limited {
            continue;
        }
        return Ok(claimed);
    }
    if hint.is_none() {
        return Ok(Claimed::Gone);
    }
    claim_one(transaction, owner, worker, named(request.hint, false))
}

/// The run that a doorbell has started in place of the job it was rung for.
fn run_of(connection: &mut SqliteConnection, hint: Uuid) -> StatementResult<Option<Uuid>> {
    let text =
        "select id from jobs where state = 'processing' and worker_id in (select id from workers) and rung_by = ?1";
    sql!(text, hint).row(connection, Cells::id)
}

/// Finds the job whose turn it is; whatever is paused on the way is set aside.
fn next_job(
    transaction: &mut Transaction<'_>,
    lane: Lane,
    rules: &TurnRules,
    pauses: &KnownPauses,
) -> StatementResult<Option<Uuid>> {
    let tenants = tenants_of(transaction, lane, rules, pauses)?;
    for turn in next_turns(&tenants, 1, SPARE) {
        loop {
            let text = "select id from jobs where lane = ?1 and tenant = ?2 and principal = ?3 and state = 'pending' \
                        and leader_id is null and crashes < 2 and set_aside is null order by created_at, id limit 1";
            let head =
                sql!(text, lane.as_str(), &turn.tenant, &turn.principal).row(transaction.connection, Cells::id)?;
            let Some(head) = head else {
                delist(transaction.connection, lane, &turn.tenant, &turn.principal)?;
                break;
            };
            let job = bare_job(transaction.connection, head)?;
            match job.and_then(|job| pauses.of(&job)) {
                Some(target) => set_aside(transaction, head, &target)?,
                None => return Ok(Some(head)),
            }
        }
    }
    Ok(None)
}

/// A tenant's or principal's row: tenant, principal, pass.
type TurnRow = (String, String, f64);

fn tenants_of(
    transaction: &mut Transaction<'_>,
    lane: Lane,
    rules: &TurnRules,
    pauses: &KnownPauses,
) -> StatementResult<Vec<TenantTurn>> {
    let read = |cells: &mut Cells| Ok((cells.text()?, cells.text()?, cells.real()?));
    let text = "select tenant, principal, pass from turns where lane = ?1 and waiting order by tenant, principal";
    let rows: Vec<TurnRow> = sql!(text, lane.as_str()).rows(transaction.connection, read)?;
    let text = "select tenant, principal, started_at from jobs where state = 'processing' and leader_id is null \
                and worker_id in (select id from workers) and lane = ?1";
    let read = |cells: &mut Cells| Ok((cells.text()?, cells.text()?, cells.time()?));
    let runs: Vec<(String, String, DateTime<Utc>)> = sql!(text, lane.as_str()).rows(transaction.connection, read)?;
    let now = transaction.now;
    let running = |tenant: &str, principal: Option<&str>| {
        let of = runs.iter().filter(|run| run.0 == tenant && principal.is_none_or(|name| run.1 == name));
        of.fold(Running::default(), |sum, run| Running { count: sum.count + 1, ms: sum.ms + milliseconds(run.2, now) })
    };
    let mut tenants: Vec<TenantTurn> = Vec::new();
    for (tenant, principal, pass) in rows {
        if principal.is_empty() {
            let (weight, running) = (rules.weight_of(&tenant), running(&tenant, None));
            tenants.push(TenantTurn { tenant, pass, weight, running, principals: Vec::new() });
        } else if let Some(of) = tenants.last_mut().filter(|of| of.tenant == tenant) {
            let running = running(&tenant, Some(&principal));
            of.principals.push(PrincipalTurn { principal, pass, running });
        }
    }
    for tenant in &tenants {
        let text = "update turns set weight = ?1 where lane = ?2 and tenant = ?3 and principal = '' and weight <> ?1";
        sql!(text, tenant.weight, lane.as_str(), &tenant.tenant).run(transaction.connection)?;
    }
    tenants.retain(|tenant| !pauses.stop(&tenant.tenant, lane));
    Ok(tenants)
}

fn milliseconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).to_std().unwrap_or_default().as_secs_f64() * 1_000.0
}

/// A job waits: its tenant and its principal take turns from now on. Who comes, or comes back, is no further than who has used the
/// least of those who are there, or the most of those who were; and no more than a minute behind.
pub(super) fn list_turn(connection: &mut SqliteConnection, job: &Job) -> StatementResult<()> {
    let known = "select count(*) from turns where lane = ?1 and tenant = ?2 and principal in ('', ?3) and waiting";
    let (lane, tenant) = (job.lane.as_str(), job.caller.tenant.as_str());
    if sql!(known, lane, tenant, &job.caller.principal).number(connection)? == 2 {
        return Ok(());
    }
    for principal in ["", job.caller.principal.as_str()] {
        let text = "insert into turns (lane, tenant, principal, waiting, pass) select ?1, ?2, ?3, 1, coalesce(\
                    (select min(pass) from turns where lane = ?1 and waiting and (principal = '') = (?3 = '') \
                     and (?3 = '' or tenant = ?2)), \
                    (select max(pass) from turns where lane = ?1 and (principal = '') = (?3 = '') and (?3 = '' or tenant = ?2)), 0.0) \
                    where true on conflict (lane, tenant, principal) do update set waiting = 1, \
                    pass = min(max(pass, excluded.pass), excluded.pass + ?4) where not waiting";
        sql!(text, lane, tenant, principal, MOST_BEHIND_MS).run(connection)?;
    }
    Ok(())
}

/// Nothing of a principal waits: it takes no turns, and neither does its tenant where nobody else's does.
fn delist(connection: &mut SqliteConnection, lane: Lane, tenant: &str, principal: &str) -> StatementResult<()> {
    let text = "update turns set waiting = 0 where lane = ?1 and tenant = ?2 and principal = ?3";
    sql!(text, lane.as_str(), tenant, principal).run(connection)?;
    let text = "update turns set waiting = 0 where lane = ?1 and tenant = ?2 and principal = '' and not exists \
                (select 1 from turns p where p.lane = ?1 and p.tenant = ?2 and p.principal <> '' and p.waiting)";
    sql!(text, lane.as_str(), tenant).run(connection)?;
    Ok(())
}

/// A run of a job has ended, however it did: its tenant and its principal have used its time.
pub(super) fn charge(transaction: &mut Transaction<'_>, job: &Job) -> StatementResult<()> {
    let Some(started) = job.started_at else { return Ok(()) };
    sql!(
        "update turns set pass = pass + ?1 / weight where lane = ?2 and tenant = ?3 and principal in ('', ?4)",
        milliseconds(started, transaction.now),
        job.lane.as_str(),
        &job.caller.tenant,
        &job.caller.principal,
    )
    .run(transaction.connection)?;
    Ok(())
}
