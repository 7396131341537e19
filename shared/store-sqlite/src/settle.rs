//! Settlements: the ways a worker ends an attempt.

use std::time::Duration;

use super::change::{Ring, take};
use super::errors::{Failure, StatementResult};
use super::follow::lead;
use super::rows::bare_job;
use super::sql::{Cells, later, sql};
use super::turns::charge;
use super::usage::count_done;
use super::writer::Transaction;
use model::artifact::NewArtifact;
use model::job::{Job, JobState};
use model::problem::{Problem, ProblemKind};
use model::transitions::Transition;
use store::{Ending, Settled, Settlement};

/// Ends attempts, one after the other.
pub(super) fn settle(transaction: &mut Transaction<'_>, settlements: &[Settlement]) -> StatementResult<Vec<Settled>> {
    settlements.iter().map(|settlement| settle_one(transaction, settlement)).collect()
}

/// Ends one attempt. One whose result cannot be kept fails its job: it would be as bad the next time.
fn settle_one(transaction: &mut Transaction<'_>, settlement: &Settlement) -> StatementResult<Settled> {
    let why = match transaction.alone(|transaction| end(transaction, settlement, settlement.ending.clone())) {
        Err(Failure::Refused(why)) => why,
        other => return other,
    };
    tracing::error!(job = %settlement.job_id, attempt = settlement.attempt, why, "an attempt's result cannot be recorded");
    let detail = format!("The attempt's result could not be recorded: {why}");
    let ending = Ending::Failed(Problem::new(ProblemKind::Internal, detail));
    transaction.alone(|transaction| end(transaction, settlement, ending))
}

fn end(transaction: &mut Transaction<'_>, settlement: &Settlement, ending: Ending) -> StatementResult<Settled> {
    let Some(mut job) = bare_job(transaction.connection, settlement.job_id)? else { return Ok(Settled::TooLate) };
    let holds = job.state == JobState::Processing
        && job.worker_id == Some(settlement.worker_id)
        && job.attempt == settlement.attempt;
    if !holds {
        return Ok(Settled::TooLate);
    }
    job.progress = settlement.progress;
    charge(transaction, &job)?;
    match ending {
        Ending::Done(artifacts) => finish(transaction, &mut job, &artifacts)?,
        Ending::DoneInPart(artifacts, refused) => {
            job.refused = refused;
            finish(transaction, &mut job, &artifacts)?;
        }
        Ending::RetryLater(problem, delay) => {
            job.errors += 1;
            job.error = Some(problem);
            if job.errors >= job.max_attempts {
                take(transaction, &mut job, Transition::Fail, Ring::No)?;
            } else {
                job.next_attempt_at = Some(later(transaction.now, delay.due_after));
                take(transaction, &mut job, Transition::RetryLater, Ring::Yes(Some(delay.queue)))?;
            }
        }
        Ending::Failed(problem) => {
            job.errors += 1;
            job.error = Some(problem);
            take(transaction, &mut job, Transition::Fail, Ring::No)?;
        }
        Ending::HandBack => {
            job.interruptions += 1;
            take(transaction, &mut job, Transition::HandBack, Ring::Yes(None))?;
        }
    }
    lead(transaction, &job)?;
    Ok(Settled::As(job.state))
}

fn finish(transaction: &mut Transaction<'_>, job: &mut Job, artifacts: &[NewArtifact]) -> StatementResult<()> {
    job.error = None;
    take(transaction, job, Transition::Finish, Ring::No)?;
    count_done(transaction, job, artifacts)?;
    artifacts.iter().try_for_each(|artifact| keep(transaction, job, artifact))
}

/// Writes an artifact and its link, which lives as long as the file. What was made from a kept file goes with it at the latest.
fn keep(transaction: &mut Transaction<'_>, job: &Job, artifact: &NewArtifact) -> StatementResult<()> {
    let retention = Duration::from_millis(job.retention_ms.unsigned_abs());
    let mut expires_at = later(transaction.now, retention);
    if let Some(made_from) = job.sharing.made_from {
        let kept = sql!("select expires_at from artifacts where job_id = ?1 and format = 'parquet'", made_from);
        let kept = kept.row(transaction.connection, Cells::time)?;
        expires_at = kept.map_or(expires_at, |kept| kept.min(expires_at));
    }
    sql!(
        "insert into artifacts (id, job_id, attempt, format, object_key, filename, bytes, rows, sha256, complete, \
         snapshot_at, created_at, expires_at, link_id) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        artifact.id,
        job.id,
        job.attempt,
        artifact.format.as_str(),
        &artifact.object_key,
        &artifact.filename,
        artifact.bytes,
        artifact.rows,
        &artifact.sha256,
        artifact.complete,
        artifact.snapshot_at,
        transaction.now,
        expires_at,
        artifact.link_id,
    )
    .run(transaction.connection)?;
    sql!(
        "insert into links (token_hash, artifact_id, tenant, created_at, expires_at) values (?1, ?2, ?3, ?4, ?5)",
        &artifact.link_hash,
        artifact.id,
        &job.caller.tenant,
        transaction.now,
        expires_at,
    )
    .run(transaction.connection)?;
    Ok(())
}
