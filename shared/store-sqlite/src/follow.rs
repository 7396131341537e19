//! Following: jobs that joined another one's run, or are answered from its files, take the arrows that it took. All in the
//! transaction in which it changed, so that they are never behind.

use uuid::Uuid;

use super::change::{Ring, take};
use super::errors::StatementResult;
use super::rows::{job_columns, read_job};
use super::sql::{Cells, sql};
use super::writer::Transaction;
use model::job::{Job, JobState};
use model::reuse::{LeaderGap, LinkSeed};
use model::transitions::Transition;

/// Brings whoever follows a job up to it.
pub(super) fn lead(transaction: &mut Transaction<'_>, leader: &Job) -> StatementResult<()> {
    if !leader.sharing.is_followed() {
        return Ok(());
    }
    let text = concat!(
        "select ",
        job_columns!(),
        concat!(" from jobs where leader_id = ?1 and state in ", store::unfinished_states!(), " order by id")
    );
    for mut follower in sql!(text, leader.id).rows(transaction.connection, read_job)? {
        follow(transaction, leader, &mut follower)?;
    }
    Ok(())
}

/// Brings one job up to the one it follows.
pub(super) fn follow(transaction: &mut Transaction<'_>, leader: &Job, follower: &mut Job) -> StatementResult<()> {
    let crashed = leader.crashes > follower.crashes;
    let gap = |follower: &Job| LeaderGap {
        follower: follower.state,
        leader: leader.state,
        behind: leader.attempt > follower.attempt,
        crashed,
    };
    while let Some(arrow) = gap(follower).next_step() {
        (follower.errors, follower.crashes, follower.interruptions) =
            (leader.errors, leader.crashes, leader.interruptions);
        follower.progress = leader.progress;
        if arrow == Transition::Claim {
            follower.attempt = leader.attempt;
            follower.started_at = leader.started_at.max(Some(follower.created_at));
            // The leader may have left its worker already.
            follower.worker_id = leader.worker_id.or(Some(Uuid::nil()));
        } else {
            follower.error.clone_from(&leader.error);
            follower.refused.clone_from(&leader.refused);
            follower.next_attempt_at = leader.next_attempt_at;
        }
        take(transaction, follower, arrow, Ring::No)?;
        if arrow == Transition::Finish {
            share_files(transaction, leader, follower)?;
        }
    }
    Ok(())
}

/// Gives a job the files of another one, with links of its own.
fn share_files(transaction: &mut Transaction<'_>, leader: &Job, follower: &Job) -> StatementResult<()> {
    let seeds = sql!("select coalesce(link_seeds, '[]') from jobs where id = ?1", follower.id);
    let seeds: Vec<LinkSeed> = seeds.row(transaction.connection, Cells::json)?.unwrap_or_default();
    for seed in seeds {
        let id = Uuid::now_v7();
        sql!(
            "insert into artifacts (id, job_id, attempt, format, object_key, filename, bytes, rows, sha256, complete, \
             snapshot_at, created_at, expires_at, link_id) \
             select ?1, ?2, attempt, format, object_key, filename, bytes, rows, sha256, complete, snapshot_at, ?3, \
             expires_at, ?4 from artifacts where job_id = ?5 and format = ?6",
            id,
            follower.id,
            transaction.now,
            seed.link_id,
            leader.id,
            seed.format.as_str(),
        )
        .run(transaction.connection)?;
        sql!(
            "insert into links (token_hash, artifact_id, tenant, created_at, expires_at) \
             select ?1, id, ?2, ?3, expires_at from artifacts where id = ?4",
            &seed.link_hash,
            &follower.caller.tenant,
            transaction.now,
            id,
        )
        .run(transaction.connection)?;
    }
    Ok(())
}

/// Tells whether somebody waits for the run of a job, besides its submitter.
pub(super) fn has_followers(transaction: &mut Transaction<'_>, leader: Uuid) -> StatementResult<bool> {
    let text = concat!("select count(*) from jobs where leader_id = ?1 and state in ", store::unfinished_states!());
    Ok(sql!(text, leader).number(transaction.connection)? > 0)
}

/// Ends the run of a job that its submitter withdrew, when nobody waits for it any more.
pub(super) fn abandon(transaction: &mut Transaction<'_>, mut leader: Job) -> StatementResult<()> {
    let over = leader.sharing.withdrawn_at.is_none() || !Transition::Cancel.from().contains(&leader.state);
    if over || has_followers(transaction, leader.id)? {
        return Ok(());
    }
    take(transaction, &mut leader, Transition::Cancel, Ring::No)
}

/// Shows a running follower how far its leader is.
pub(super) fn with_progress_of_leader(mut job: Job, leader: Option<Job>) -> Job {
    if let Some(leader) = leader.filter(|leader| leader.state == JobState::Processing && leader.attempt == job.attempt)
    {
        job.progress = leader.progress;
    }
    job
}
