//! Submits: job, idempotency, event and outbox rows.

use chrono::{DateTime, Utc};
use diesel::SqliteConnection;

use super::audit;
use super::change::{job_doorbell, tell};
use super::errors::{Failure, StatementResult, unreadable};
use super::follow::follow;
use super::outbox::put;
use super::rows::{job_columns, read_job, whole_job, with_artifacts};
use super::sql::{Cells, earlier, sql, to_json};
use super::turns::list_turn;
use super::usage::count_submit;
use super::writer::Transaction;
use model::event::EventKind;
use model::job::{Caller, Idempotency, Job, NewJob};
use model::reuse::{Served, Sharing};
use store::Submitted;

/// Writes a batch. An element that a constraint refuses is undone alone.
pub(super) fn submit(transaction: &mut Transaction<'_>, jobs: Vec<NewJob>) -> StatementResult<Vec<Submitted>> {
    jobs.into_iter().map(|job| submit_one(transaction, job)).collect()
}

fn submit_one(transaction: &mut Transaction<'_>, job: NewJob) -> StatementResult<Submitted> {
    if let Some(given) = &job.idempotency
        && let Some(answer) = find_key(transaction.connection, &job.caller, given)?
    {
        return Ok(answer);
    }
    let audited = job.audit_entry();
    let written = transaction.alone(|transaction| {
        let job = insert(transaction, job)?;
        count_submit(transaction, &job)?;
        audited.map(|entry| audit::put(transaction, &entry)).transpose()?;
        Ok(job)
    });
    match written {
        Ok(job) => Ok(Submitted::Created(Box::new(job.as_submitted()))),
        Err(Failure::Refused(why)) => Ok(Submitted::Refused(why)),
        Err(broken) => Err(broken),
    }
}

/// Finds what the key was answered before.
pub(super) fn find_key(
    connection: &mut SqliteConnection,
    caller: &Caller,
    given: &Idempotency,
) -> StatementResult<Option<Submitted>> {
    let kept = sql!(
        "select body_hash, job_id from idempotency where tenant = ?1 and principal = ?2 and key = ?3",
        &caller.tenant,
        &caller.principal,
        &given.key,
    )
    .row(connection, |cells: &mut Cells| Ok((cells.hash()?, cells.id()?)))?;
    let Some((body_hash, job_id)) = kept else { return Ok(None) };
    if !given.is_of(&body_hash) {
        return Ok(Some(Submitted::KeyReused));
    }
    let before = whole_job(connection, job_id)?;
    let before =
        before.ok_or_else(|| unreadable(format!("an idempotency key refers to job {job_id}, which is gone")))?;
    Ok(Some(Submitted::Replayed(Box::new(before.as_submitted()))))
}

/// Whose run or files answer a new job.
enum RunOrFiles {
    /// Its own run. Says whether identical jobs may join it.
    Own { joinable: bool },
    /// That of an identical job.
    Of(Box<Job>, Served),
}

/// Finds what answers a new job: files that are fresh enough, else a run that is under way, else one of its own.
fn find_answer(transaction: &mut Transaction<'_>, new: &NewJob) -> StatementResult<RunOrFiles> {
    let Some(reuse) = new.reuse.as_ref().filter(|reuse| !reuse.max_age.is_zero()) else {
        return Ok(RunOrFiles::Own { joinable: false });
    };
    let fresh = concat!(
        "select ",
        job_columns!(),
        " from jobs where fingerprint = ?1 and tenant = ?2 and state = 'done' and finished_at > ?3 \
         and exists (select 1 from artifacts a where a.job_id = jobs.id) and not exists (select 1 from artifacts a \
         where a.job_id = jobs.id and (a.expires_at <= ?4 or a.deleted_at is not null)) order by finished_at desc limit 1"
    );
    let since = earlier(transaction.now, reuse.max_age);
    let found = sql!(fresh, &reuse.fingerprint, &new.caller.tenant, since, transaction.now);
    if let Some(source) = found.row(transaction.connection, read_job)? {
        return Ok(RunOrFiles::Of(Box::new(source), Served::Warm));
    }
    let under_way = concat!(
        "select ",
        job_columns!(),
        concat!(
            " from jobs where fingerprint = ?1 and tenant = ?2 and joined is not null \
         and state in ",
            store::unfinished_states!()
        )
    );
    let found = sql!(under_way, &reuse.fingerprint, &new.caller.tenant).row(transaction.connection, read_job)?;
    let Some(leader) = found else { return Ok(RunOrFiles::Own { joinable: true }) };
    sql!("update jobs set joined = joined + 1 where id = ?1", leader.id).run(transaction.connection)?;
    Ok(RunOrFiles::Of(Box::new(leader), Served::Joined))
}

fn insert(transaction: &mut Transaction<'_>, new: NewJob) -> StatementResult<Job> {
    let (now, reuse) = (transaction.now, new.reuse.as_ref());
    let answer = find_answer(transaction, &new)?;
    let made_from = reuse.and_then(|reuse| reuse.made_from);
    let sharing = match &answer {
        RunOrFiles::Own { joinable } => Sharing { joined: joinable.then_some(0), made_from, ..Sharing::default() },
        RunOrFiles::Of(leader, served) => {
            Sharing { served: *served, leader: Some(leader.id), made_from, ..Sharing::default() }
        }
    };
    let own = sharing.leader.is_none();
    sql!(
        "insert into jobs (id, tenant, principal, report, report_version, lane, params, formats, notify, state, \
         max_attempts, timeout_ms, retention_ms, seq, created_at, rung_at, traceparent, fingerprint, joined, leader_id, served, \
         link_seeds, forecast, late_at, made_from, on_refusal, attributes, limit_key) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'pending', ?10, ?11, ?12, 1, ?13, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)",
        new.id,
        &new.caller.tenant,
        &new.caller.principal,
        &new.report,
        &new.report_version,
        new.lane.as_str(),
        to_json(&new.params)?,
        to_json(&new.formats)?,
        to_json(&new.notify)?,
        new.max_attempts,
        new.timeout_ms,
        new.retention_ms,
        now,
        new.traceparent.as_deref(),
        reuse.filter(|_| own).map(|reuse| &reuse.fingerprint),
        sharing.joined,
        sharing.leader,
        (!own).then(|| sharing.served.as_str()),
        reuse.filter(|_| !own).map(|reuse| to_json(&reuse.links)).transpose()?,
        new.forecast.as_ref().map(to_json).transpose()?,
        late_at(&new, now),
        made_from,
        new.on_refusal.kept(),
        (!new.attributes.is_empty()).then(|| to_json(&new.attributes)).transpose()?,
        new.limit_key.as_deref(),
    )
    .run(transaction.connection)?;
    remember_key(transaction, &new)?;
    let mut job = new.into_job(now, sharing);
    tell(transaction, &job, EventKind::Submitted)?;
    match answer {
        RunOrFiles::Own { .. } => {
            list_turn(transaction.connection, &job)?;
            put(transaction, job_doorbell(&job, None), job.traceparent.as_deref())?;
        }
        RunOrFiles::Of(leader, _) => follow(transaction, &leader, &mut job)?,
    }
    with_artifacts(transaction.connection, job)
}

/// Keeps the key that a repeat of this submit is known by.
fn remember_key(transaction: &mut Transaction<'_>, new: &NewJob) -> StatementResult<()> {
    if let Some(given) = &new.idempotency {
        sql!(
            "insert into idempotency (tenant, principal, key, body_hash, job_id, created_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6)",
            &new.caller.tenant,
            &new.caller.principal,
            &given.key,
            &given.body_hash,
            new.id,
            transaction.now,
        )
        .run(transaction.connection)?;
    }
    Ok(())
}

fn late_at(new: &NewJob, now: DateTime<Utc>) -> Option<i64> {
    new.late_after_ms().map(|ms| now.timestamp_micros().saturating_add(ms.saturating_mul(1000)))
}
