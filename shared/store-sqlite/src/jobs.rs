//! Jobs, their events and report versions, as the gateway sees them.

use async_trait::async_trait;
use diesel::SqliteConnection;
use uuid::Uuid;

use super::change::{Ring, take, tell};
use super::errors::StatementResult;
use super::follow::{abandon, has_followers, with_progress_of_leader};
use super::lists::list;
use super::rows::{bare_job, event_columns, read_event, whole_job, with_artifacts};
use super::sql::{Cells, sql};
use super::submit;
use super::writer::Transaction;
use super::{SqliteStore, audit};
use model::audit::{Actor, AuditAct};
use model::event::{Event, EventKind};
use model::job::{Caller, Idempotency, Job, JobState, NewJob};
use model::reuse::Sharing;
use model::transitions::Transition;
use store::audit::{actor, of_job};
use store::{Changed, FeedCursor, JobFilter, JobStore, Result, Submitted};

/// Completes a job as its submitter sees it.
pub(super) fn seen(connection: &mut SqliteConnection, job: Job) -> StatementResult<Job> {
    let job = with_artifacts(connection, job)?.as_seen();
    Ok(match job.sharing.follows().filter(|_| job.state == JobState::Processing) {
        Some(leader) => with_progress_of_leader(job, bare_job(connection, leader)?),
        None => job,
    })
}

/// Cancels a job of the caller's. One whose run others wait for is only withdrawn: the run goes on for them. With the last one
/// who waited for the run of a job that was withdrawn, the run ends too.
fn cancel(transaction: &mut Transaction<'_>, caller: &Caller, id: Uuid) -> StatementResult<Changed> {
    let found = bare_job(transaction.connection, id)?.filter(|job| job.caller == *caller);
    if let Some(job) = found.filter(|job| job.sharing.is_followed() && job.sharing.withdrawn_at.is_none())
        && Transition::Cancel.from().contains(&job.state)
        && has_followers(transaction, id)?
    {
        return withdraw(transaction, job);
    }
    let changed = change(transaction, caller, id, (Transition::Cancel, Ring::No))?;
    if let Changed::Yes(job) = &changed
        && let Some(leader) = job.sharing.follows()
        && let Some(leader) = bare_job(transaction.connection, leader)?
    {
        abandon(transaction, leader)?;
    }
    Ok(changed)
}

/// Runs a change and writes down that it was made for somebody, where it was.
fn noted(
    transaction: &mut Transaction<'_>,
    (act, by): (AuditAct, Option<&Actor>),
    change: impl FnOnce(&mut Transaction<'_>) -> StatementResult<Changed>,
) -> StatementResult<Changed> {
    let changed = change(transaction)?;
    if let (Changed::Yes(job), Some(by)) = (&changed, by) {
        audit::put(transaction, &of_job(act, job, by))?;
    }
    Ok(changed)
}

fn withdraw(transaction: &mut Transaction<'_>, mut job: Job) -> StatementResult<Changed> {
    let text = "update jobs set withdrawn_at = ?1, seq = seq + 1 where id = ?2";
    sql!(text, transaction.now, job.id).run(transaction.connection)?;
    job.seq += 1;
    job.sharing.withdrawn_at = Some(transaction.now);
    let job = job.as_seen();
    tell(transaction, &job, EventKind::Cancelled)?;
    Ok(Changed::Yes(Box::new(job)))
}

/// Reads a job of the caller's and takes it along `arrow` where its state allows.
fn change(
    transaction: &mut Transaction<'_>,
    caller: &Caller,
    id: Uuid,
    (arrow, ring): (Transition, Ring),
) -> StatementResult<Changed> {
    let Some(mut job) = bare_job(transaction.connection, id)?.filter(|job| job.caller == *caller) else {
        return Ok(Changed::NotFound);
    };
    if !arrow.from().contains(&job.state) || job.sharing.withdrawn_at.is_some() {
        return Ok(Changed::WrongState(Box::new(seen(transaction.connection, job)?)));
    }
    if arrow == Transition::Replay {
        // From here on it has a run of its own, which nobody joins.
        let text = "update jobs set fingerprint = null, joined = null, leader_id = null, served = null, link_seeds = null, \
                    late_at = null where id = ?1";
        sql!(text, id).run(transaction.connection)?;
        job.sharing = Sharing::default();
        (job.errors, job.crashes, job.interruptions) = (0, 0, 0);
        job.error = None;
        job.progress = model::progress::Progress::default();
    }
    take(transaction, &mut job, arrow, ring)?;
    Ok(Changed::Yes(Box::new(job)))
}

#[async_trait]
impl JobStore for SqliteStore {
    async fn submit(&self, jobs: Vec<NewJob>) -> Result<Vec<Submitted>> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        self.writer.write(move |transaction| submit::submit(transaction, jobs)).await
    }

    async fn find_submitted(&self, caller: &Caller, given: &Idempotency) -> Result<Option<Submitted>> {
        let (caller, given) = (caller.clone(), given.clone());
        self.readers.read(move |connection| submit::find_key(connection, &caller, &given)).await
    }

    async fn job(&self, caller: &Caller, id: Uuid) -> Result<Option<Job>> {
        let caller = caller.clone();
        self.readers
            .read(move |connection| {
                let found = bare_job(connection, id)?.filter(|job| job.caller == caller);
                found.map(|job| seen(connection, job)).transpose()
            })
            .await
    }

    async fn job_by_id(&self, id: Uuid) -> Result<Option<Job>> {
        self.readers.read(move |connection| whole_job(connection, id)).await
    }

    async fn jobs(&self, filter: JobFilter) -> Result<Vec<Job>> {
        self.readers.read(move |connection| list(connection, &filter)).await
    }

    async fn count_unfinished(&self, tenant: &str, limit: u32) -> Result<u32> {
        let tenant = tenant.to_owned();
        let text = concat!(
            "select count(*) from (select 1 from jobs where tenant = ?1 \
                    and state in ",
            store::unfinished_states!(),
            " limit ?2)"
        );
        let count = self.readers.read(move |connection| sql!(text, &tenant, limit).number(connection)).await?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    async fn count_unfinished_of(&self, caller: &Caller) -> Result<u32> {
        let caller = caller.clone();
        let text = concat!(
            "select count(*) from (select state from jobs where tenant = ?1 and principal = ?2 order by id desc limit ?3) \
                    where state in ",
            store::unfinished_states!()
        );
        let count = self
            .readers
            .read(move |connection| {
                sql!(text, &caller.tenant, &caller.principal, store::NEWEST_COUNTED).number(connection)
            })
            .await?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    async fn events_of_job(&self, caller: &Caller, job_id: Uuid, after: i64, limit: u32) -> Result<Vec<Event>> {
        let caller = caller.clone();
        let text = concat!(
            "select ",
            event_columns!(),
            " from events where job_id = ?1 and seq > ?2 and tenant = ?3 and principal = ?4 order by seq limit ?5"
        );
        self.readers
            .read(move |connection| {
                sql!(text, job_id, after, &caller.tenant, &caller.principal, limit).rows(connection, read_event)
            })
            .await
    }

    async fn events_of_caller(
        &self,
        caller: &Caller,
        after: FeedCursor,
        limit: u32,
    ) -> Result<Vec<(FeedCursor, Event)>> {
        let caller = caller.clone();
        let text = concat!(
            "select position, ",
            event_columns!(),
            " from events where tenant = ?1 and principal = ?2 and position > ?3 order by position limit ?4"
        );
        let read = |cells: &mut Cells| {
            let position = cells.integer()?;
            Ok((FeedCursor { transaction: 0, position }, read_event(cells)?))
        };
        self.readers
            .read(move |connection| {
                sql!(text, &caller.tenant, &caller.principal, after.position, limit).rows(connection, read)
            })
            .await
    }

    async fn feed_end(&self) -> Result<FeedCursor> {
        let text = "select coalesce(max(position), 0) from events";
        let position = self.readers.read(move |connection| sql!(text).number(connection)).await?;
        Ok(FeedCursor { transaction: 0, position })
    }

    async fn cancel(&self, caller: &Caller, id: Uuid) -> Result<Changed> {
        let (caller, by) = (caller.clone(), actor());
        self.writer
            .write(move |transaction| {
                noted(transaction, (AuditAct::JobCancelled, by.as_ref()), |transaction| {
                    cancel(transaction, &caller, id)
                })
            })
            .await
    }

    async fn replay(&self, caller: &Caller, id: Uuid) -> Result<Changed> {
        let (caller, by) = (caller.clone(), actor());
        let arrow = (Transition::Replay, Ring::Yes(None));
        self.writer
            .write(move |transaction| {
                noted(transaction, (AuditAct::JobReplayed, by.as_ref()), |transaction| {
                    change(transaction, &caller, id, arrow)
                })
            })
            .await
    }

    async fn save_report_version(&self, version: &str, name: &str, definition: &str) -> Result<()> {
        let (version, name, definition) = (version.to_owned(), name.to_owned(), definition.to_owned());
        let text = "insert into report_versions (version, name, definition, created_at) values (?1, ?2, ?3, ?4) \
                    on conflict (version) do nothing";
        self.writer
            .write(move |transaction| {
                sql!(text, &version, &name, &definition, transaction.now).run(transaction.connection)?;
                Ok(())
            })
            .await
    }

    async fn report_version(&self, version: &str) -> Result<Option<(String, String)>> {
        let version = version.to_owned();
        let read = |cells: &mut Cells| Ok((cells.text()?, cells.text()?));
        let text = "select name, definition from report_versions where version = ?1";
        self.readers.read(move |connection| sql!(text, &version).row(connection, read)).await
    }
}
