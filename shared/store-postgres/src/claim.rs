//! Claiming: who asks first gets the job, under the next fencing token. A job whose holder is gone is taken from it.

use std::collections::HashMap;
use std::time::Duration;

use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::connection::Connection;
use super::effects::Effects;
use super::errors::{Failure, unreadable};
use super::first_event::started;
use super::limits::limits_of;
use super::lose::{self, Lost, lose};
use super::places::{WantedPlace, give_places};
use super::rows::{JobRow, job_columns};
use super::run::StatementResult;
use super::sql::sql;
use super::{PostgresStore, column};
use model::job::{Job, JobState};
use model::transitions::ALONE_FROM_CRASHES;
use store::{ClaimRequest, Claimed, Result};

/// The arrow of a claim, out of jobs that are free: `$1` or `$2` is the worker, then the job it was rung for, and where they are.
macro_rules! taking {
    ($worker:literal, $rung_by:literal, $from:literal) => {
        concat!(
            "update jobs j
            set state = 'processing', attempt = j.attempt + 1, worker_id = ",
            $worker,
            ", seq = j.seq + (j.withdrawn_at is null)::int, started_at = now(), rung_by = ",
            $rung_by,
            ", set_aside = null,
            next_attempt_at = null, phase = case when j.crashes < 2 then 'starting' else 'waiting' end, rows_read = 0, total_rows = null,
            total_is_estimate = false, bytes_written = 0
            ",
            $from,
            "
            returning ",
            job_columns!()
        )
    };
}
pub(super) use taking;

/// Rows are locked by their ids and judged afterwards, so that no other index can tempt the planner; and in the order of their
/// ids everywhere, so that two batches never wait for each other in a circle.
///
/// The worker's own row comes first: nobody can take the worker for dead and miss what it is just claiming.
const CLAIM: &str = concat!(
    "with me as materialized (
        select from workers where id = $2 for key share
    ), locked as materialized (
        select id, state, next_attempt_at, crashes, leader_id, ",
    limits_of!("jobs"),
    " as limits from jobs where id = any($1) and exists (select from me)
        order by id for no key update
    ), free as materialized (
        select id from locked
        where (state = 'pending' or (state = 'retrying' and next_attempt_at <= now())) and (crashes < 2 or id = any($3))
          and leader_id is null and cardinality(limits) = 0
    ), changed as (",
    // Who is rung for itself is rung for nobody else any more; who is taken over keeps the doorbell that started it.
    taking!("$2", "case when j.state = 'pending' then j.rung_by end", "from free where j.id = any(array[free.id])"),
    "), event as (
        insert into events (job_id, seq, tenant, principal, kind, state, attempt)
        select id, seq, tenant, principal, 'started', 'processing', attempt from changed where withdrawn_at is null
    )
    select *, null::text as artifacts from changed"
);

// The text says 2.
const _: () = assert!(ALONE_FROM_CRASHES == 2);

/// How the jobs stand that could not be claimed.
const UNCLAIMED: &str = concat!(
    "select id, state, worker_id, crashes, greatest(0, extract(epoch from next_attempt_at - now()) * 1000)::bigint as due_ms,
           exists (select from workers where id = $2) as registered, cardinality(",
    limits_of!("jobs"),
    ") > 0 as limited
    from jobs where id = any($1)"
);

/// A killed process's session may outlive it by some milliseconds.
const RESCUE_TRIES: u32 = 6;
const RESCUE_PAUSE: Duration = Duration::from_millis(9);

#[derive(QueryableByName)]
struct JobStateRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    worker_id: Option<Uuid>,
    #[diesel(sql_type = Integer)]
    crashes: i32,
    #[diesel(sql_type = Nullable<BigInt>)]
    due_ms: Option<i64>,
    #[diesel(sql_type = Bool)]
    registered: bool,
    #[diesel(sql_type = Bool)]
    limited: bool,
}

impl PostgresStore {
    pub(super) async fn claim_batch(&self, worker_id: Uuid, requests: Vec<ClaimRequest>) -> Result<Vec<Claimed>> {
        let all = requests.clone();
        let mut outcomes = self.change(move |connection| claim_all(connection, worker_id, all).boxed()).await?;
        for _ in 0..RESCUE_TRIES {
            let held: Vec<usize> = (0..requests.len())
                .filter(|index| {
                    requests.get(*index).is_some_and(|request| request.redelivered)
                        && matches!(outcomes.get(*index), Some(Unclaimed::HeldByOther))
                })
                .collect();
            if held.is_empty() {
                break;
            }
            let again: Vec<ClaimRequest> = held.iter().filter_map(|index| requests.get(*index)).copied().collect();
            let found = self.change(move |connection| rescue(connection, worker_id, again).boxed()).await?;
            let still_held = found.iter().any(|outcome| matches!(outcome, Unclaimed::HeldByOther));
            for (index, outcome) in held.into_iter().zip(found) {
                if let Some(place) = outcomes.get_mut(index) {
                    *place = outcome;
                }
            }
            if still_held {
                // No lock and no connection is held meanwhile.
                tokio::time::sleep(RESCUE_PAUSE).await;
            }
        }
        let outcomes: Vec<Claimed> = outcomes.into_iter().map(Unclaimed::answer).collect();
        for outcome in &outcomes {
            if let Claimed::Yes(job) = outcome {
                self.turns.began(job);
            }
        }
        Ok(outcomes)
    }
}

/// An answer, or the one case that is looked at more closely when the message was redelivered.
enum Unclaimed {
    Claimed(Claimed),
    HeldByOther,
    /// It is free, and its limits must be looked at.
    Limited,
}

impl Unclaimed {
    fn answer(self) -> Claimed {
        match self {
            Self::Claimed(claimed) => claimed,
            Self::HeldByOther => Claimed::Held,
            Self::Limited => Claimed::Limited,
        }
    }
}

/// Claims what is free and says of the rest how it stands. One answer an id.
async fn claim_all(
    connection: &mut Connection,
    worker_id: Uuid,
    requests: Vec<ClaimRequest>,
) -> StatementResult<(Vec<Unclaimed>, Effects)> {
    let mut effects = Effects::default();
    let mut outcomes: Vec<Option<Unclaimed>> = requests.iter().map(|_| None).collect();
    // A job may become free between the two statements: look again, but not for ever.
    for _ in 0..3 {
        let open: Vec<ClaimRequest> =
            requests.iter().zip(&outcomes).filter(|(_, o)| o.is_none()).map(|(request, _)| *request).collect();
        if open.is_empty() {
            break;
        }
        let mut claimed = claim_free(connection, worker_id, &open).await?;
        effects.events.extend(claimed.values().filter(|job| job.sharing.withdrawn_at.is_none()).map(started));
        effects.led.extend(claimed.values().filter(|job| job.sharing.is_followed()).map(|job| job.id));
        let unanswered = |outcomes: &[Option<Unclaimed>]| outcomes.iter().any(Option::is_none);
        for (request, outcome) in requests.iter().zip(&mut outcomes).filter(|(_, outcome)| outcome.is_none()) {
            *outcome = claimed.remove(&request.job_id).map(|job| Unclaimed::Claimed(Claimed::Yes(Box::new(job))));
        }
        if unanswered(&outcomes) {
            let standing = standing(connection, worker_id, &open).await?;
            for (request, outcome) in requests.iter().zip(&mut outcomes).filter(|(_, outcome)| outcome.is_none()) {
                *outcome = judge(standing.get(&request.job_id), worker_id, request.alone)?;
            }
        }
    }
    claim_limited(connection, worker_id, (&requests, &mut outcomes), &mut effects).await?;
    let busy = || Unclaimed::Claimed(Claimed::Held);
    Ok((outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(busy)).collect(), effects))
}

/// Claims those whose limits have places, each for itself.
async fn claim_limited(
    connection: &mut Connection,
    worker_id: Uuid,
    (requests, outcomes): (&[ClaimRequest], &mut [Option<Unclaimed>]),
    effects: &mut Effects,
) -> StatementResult<()> {
    let is_limited = |outcome: &Option<Unclaimed>| matches!(outcome, Some(Unclaimed::Limited));
    let limited = requests.iter().zip(&*outcomes).filter(|(_, outcome)| is_limited(outcome));
    let wanted: Vec<WantedPlace> = limited
        .map(|(request, _)| WantedPlace { job_id: request.job_id, rung_by: None, alone: request.alone })
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let (mut given, told) = give_places(connection, worker_id, &wanted).await?;
    effects.append(told);
    for (request, outcome) in requests.iter().zip(outcomes).filter(|(_, outcome)| is_limited(outcome)) {
        *outcome = given.remove(&request.job_id).map(Unclaimed::Claimed);
    }
    Ok(())
}

async fn claim_free(
    connection: &mut Connection,
    worker_id: Uuid,
    requests: &[ClaimRequest],
) -> StatementResult<HashMap<Uuid, Job>> {
    let alone: Vec<Uuid> = requests.iter().filter(|request| request.alone).map(|request| request.job_id).collect();
    let rows: Vec<JobRow> = sql(CLAIM)
        .bind::<Array<SqlUuid>, _>(column(requests, |request| request.job_id))
        .bind::<SqlUuid, _>(worker_id)
        .bind::<Array<SqlUuid>, _>(alone)
        .load(connection)
        .await?;
    rows.into_iter().map(|row| row.into_job().map(|job| (job.id, job))).collect()
}

async fn standing(
    connection: &mut Connection,
    worker_id: Uuid,
    requests: &[ClaimRequest],
) -> StatementResult<HashMap<Uuid, JobStateRow>> {
    let ids = column(requests, |request| request.job_id);
    let rows: Vec<JobStateRow> =
        sql(UNCLAIMED).bind::<Array<SqlUuid>, _>(ids).bind::<SqlUuid, _>(worker_id).load(connection).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// `None`: it has become free meanwhile.
fn judge(row: Option<&JobStateRow>, worker_id: Uuid, alone: bool) -> StatementResult<Option<Unclaimed>> {
    let Some(row) = row else { return Ok(Some(Unclaimed::Claimed(Claimed::Gone))) };
    let state: JobState = row.state.parse().map_err(unreadable)?;
    Ok(match (state, row.due_ms) {
        (JobState::Processing, _) if row.worker_id == Some(worker_id) => Some(Unclaimed::Claimed(Claimed::Held)),
        (JobState::Processing, _) => Some(Unclaimed::HeldByOther),
        (JobState::Retrying, Some(left)) if left > 0 => {
            Some(Unclaimed::Claimed(Claimed::NotDue(Duration::from_millis(left.unsigned_abs()))))
        }
        (JobState::Pending | JobState::Retrying, _) if row.crashes >= ALONE_FROM_CRASHES && !alone => {
            Some(Unclaimed::Claimed(Claimed::MustRunAlone))
        }
        (JobState::Pending | JobState::Retrying, _) if !row.registered => {
            Some(Unclaimed::Claimed(Claimed::Unregistered))
        }
        (JobState::Pending | JobState::Retrying, _) => row.limited.then_some(Unclaimed::Limited),
        (JobState::Done | JobState::Failed | JobState::Cancelled, _) => Some(Unclaimed::Claimed(Claimed::Gone)),
    })
}

/// Takes all jobs from the holders whose locks are free, then claims, in one transaction.
async fn rescue(
    connection: &mut Connection,
    worker_id: Uuid,
    requests: Vec<ClaimRequest>,
) -> StatementResult<(Vec<Unclaimed>, Effects)> {
    let ids = column(&requests, |request| request.job_id);
    connection
        .transaction::<_, Failure, _>(async move |connection| {
            let gone = lose::gone_holders(connection, &ids, worker_id).await?;
            let mut effects = Effects::default();
            if !gone.is_empty() {
                tracing::warn!(workers = ?gone, "workers are gone; their jobs are taken over");
                effects.append(lose(connection, &gone, &ids, Lost::Gone).await?);
            }
            let (outcomes, claimed) = claim_all(connection, worker_id, requests).await?;
            effects.append(claimed);
            Ok((outcomes, effects))
        })
        .await
}
