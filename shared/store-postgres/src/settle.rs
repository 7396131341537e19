//! Settling: how attempts ended, guarded by worker and fencing token; with artifacts, links, event, deliveries and outbox rows
//! in one statement.

use std::collections::{HashMap, HashSet};

use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::connection::Connection;
use super::effects::{EffectRow, Effects, with_effects};
use super::errors::Failure;
use super::rows::to_json;
use super::run::StatementResult;
use super::sql::{Sql, sql};
use super::usage::count_done;
use super::{PostgresStore, column, millis, to_i64};
use model::artifact::NewArtifact;
use model::job::JobState;
use model::problem::{Problem, ProblemKind};
use model::refusal::Refusal;
use model::retry_schedule::RetryDelay;
use store::{Ending, Result, Settled, Settlement};

/// `$1` to `$12`, and `$26`, are the settlements; the ending is the state it asks for. `$13` to `$25` are the artifacts of those that are done.
/// What was made from a kept file goes with it at the latest.
const SETTLE: &str = with_effects!(
    concat!("with input as (
        select * from unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                             $8::bool[], $9::bigint[], $10::text[], $11::bigint[], $12::bigint[], $26::text[])
        as i(job_id, worker_id, attempt, ending, phase, rows_read, total_rows, total_is_estimate, bytes_written, problem,
             delay_ms, due_ms, refused)
    ), locked as materialized (
        select id, state, worker_id, attempt, errors, max_attempts from jobs where id = any($1) order by id for no key update
    ), held as materialized (
        select i.*, case when i.ending = 'retrying' and l.errors + 1 >= l.max_attempts then 'failed' else i.ending end as ends
        from input i join locked l on l.id = i.job_id and l.worker_id = i.worker_id and l.attempt = i.attempt
        where l.state = 'processing'
    ), changed as (
        update jobs j
        set state = h.ends, worker_id = null, seq = j.seq + (j.withdrawn_at is null)::int,
            errors = j.errors + (h.ending in ('retrying', 'failed'))::int,
            interruptions = j.interruptions + (h.ending = 'pending')::int,
            phase = h.phase, rows_read = h.rows_read, total_rows = h.total_rows, total_is_estimate = h.total_is_estimate,
            bytes_written = h.bytes_written, rung_at = now(),
            finished_at = case when h.ends in ", store::ended_states!(), " then now() end,
            next_attempt_at = case when h.ends = 'retrying' then now() + h.due_ms * interval '1 millisecond' end,
            error = case when h.ends = 'pending' then j.error else h.problem::json end, refused = h.refused::json
        from held h where j.id = any(array[h.job_id])
        returning j.id, j.seq, j.tenant, j.principal,
                  case when h.ends = 'pending' then 'handed_back' else h.ends end as kind, j.state, j.attempt,
                  h.problem::json as event_error, j.next_attempt_at, j.notify, j.lane, j.report, j.traceparent,
                  case when h.ends = 'retrying' then h.delay_ms end as delay_ms, true as ring, j.retention_ms,
                  j.made_from, coalesce(j.joined > 0, false) as led, j.withdrawn_at is not null as quiet, j.leader_id, j.refused
    ), made as materialized (
        select a.*, c.tenant, case when c.made_from is null then now() + c.retention_ms * interval '1 millisecond'
                    else least(now() + c.retention_ms * interval '1 millisecond',
                               (select k.expires_at from artifacts k where k.job_id = c.made_from and k.format = 'parquet'))
                    end as expires_at
        from unnest($13::uuid[], $14::int[], $15::uuid[], $16::text[], $17::text[], $18::text[], $19::bigint[], $20::bigint[],
                    $21::text[], $22::bool[], $23::timestamptz[], $24::uuid[], $25::bytea[])
        as a(job_id, attempt, id, format, object_key, filename, bytes, rows, sha256, complete, snapshot_at, link_id, link_hash)
        join changed c on c.id = a.job_id and c.attempt = a.attempt and c.state = 'done'
    ), artifact as (
        insert into artifacts (id, job_id, attempt, format, object_key, filename, bytes, rows, sha256, complete, snapshot_at,
                               link_id, expires_at)
        select id, job_id, attempt, format, object_key, filename, bytes, rows, sha256, complete, snapshot_at, link_id, expires_at
        from made
    ), link as (
        insert into links (token_hash, artifact_id, tenant, expires_at) select link_hash, id, tenant, expires_at from made
    ), finished as materialized (
        select c.tenant, c.principal, c.report, max(m.rows) as rows, sum(m.bytes) as bytes
        from made m join changed c on c.id = m.job_id group by c.id, c.tenant, c.principal, c.report
    ), counted as (", count_done!("finished"), ")")
);

/// A fencing token: job, worker, attempt.
type Token = (Uuid, Uuid, i32);

fn token(settlement: &Settlement) -> Token {
    (settlement.job_id, settlement.worker_id, settlement.attempt)
}

impl PostgresStore {
    pub(super) async fn settle_batch(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>> {
        let ended = column(&settlements, |settlement| settlement.job_id);
        let settled = self.change(|connection| settle_all(connection, settlements).boxed()).await?;
        ended.into_iter().for_each(|job| self.turns.ended(job));
        Ok(settled)
    }
}

/// Settles; where a value cannot be written, halves the batch until the bad element stands alone. That one fails its job: its
/// result cannot be kept, and would be as bad the next time.
async fn settle_all(
    connection: &mut Connection,
    settlements: Vec<Settlement>,
) -> StatementResult<(Vec<Settled>, Effects)> {
    let mut effects = Effects::default();
    let mut reached: HashMap<Token, JobState> = HashMap::new();
    let mut seen = HashSet::new();
    // Of equal tokens the first counts; the second one would be too late anyway.
    let first: Vec<Settlement> = settlements.iter().filter(|s| seen.insert(token(s))).cloned().collect();
    let mut parts = vec![first];
    while let Some(mut part) = parts.pop() {
        match settle_part(connection, &part).await {
            Ok(done) => {
                for settlement in &part {
                    let event = done.changes().find(|event| event.job_id == settlement.job_id);
                    if let Some(event) = event.filter(|event| event.attempt == settlement.attempt) {
                        reached.insert(token(settlement), event.state);
                    }
                }
                effects.append(done);
            }
            Err(Failure::BadData(why)) => {
                if let [only] = part.as_mut_slice() {
                    if !refuse(only, &why) {
                        return Err(Failure::BadData(why));
                    }
                } else {
                    let right = part.split_off(part.len() / 2);
                    parts.push(right);
                }
                parts.push(part);
            }
            Err(failure) => return Err(failure),
        }
    }
    let mut outcome = |settlement| reached.remove(&token(settlement)).map_or(Settled::TooLate, Settled::As);
    Ok((settlements.iter().map(&mut outcome).collect(), effects))
}

/// Makes it a failure that says why it cannot be kept. False: it was one already.
fn refuse(settlement: &mut Settlement, why: &str) -> bool {
    if matches!(&settlement.ending, Ending::Failed(problem) if problem.kind == ProblemKind::Internal) {
        return false;
    }
    tracing::error!(job = %settlement.job_id, attempt = settlement.attempt, why, "an attempt's result cannot be recorded");
    let detail = format!("The attempt's result could not be recorded: {why}");
    settlement.ending = Ending::Failed(Problem::new(ProblemKind::Internal, detail));
    true
}

const fn asked_state(settlement: &Settlement) -> &'static str {
    match settlement.ending {
        Ending::Done(_) | Ending::DoneInPart(..) => JobState::Done,
        Ending::RetryLater(..) => JobState::Retrying,
        Ending::Failed(_) => JobState::Failed,
        Ending::HandBack => JobState::Pending,
    }
    .as_str()
}

const fn problem(settlement: &Settlement) -> Option<&Problem> {
    match &settlement.ending {
        Ending::RetryLater(problem, _) | Ending::Failed(problem) => Some(problem),
        Ending::Done(_) | Ending::DoneInPart(..) | Ending::HandBack => None,
    }
}

const fn refused(settlement: &Settlement) -> Option<&Vec<Refusal>> {
    match &settlement.ending {
        Ending::DoneInPart(_, refused) => Some(refused),
        _ => None,
    }
}

const fn retry_delay(settlement: &Settlement) -> Option<&RetryDelay> {
    match &settlement.ending {
        Ending::RetryLater(_, delay) => Some(delay),
        _ => None,
    }
}

async fn settle_part(connection: &mut Connection, part: &[Settlement]) -> StatementResult<Effects> {
    let problems = part
        .iter()
        .map(|settlement| problem(settlement).map(to_json).transpose())
        .collect::<StatementResult<Vec<Option<String>>>>()?;
    let statement = sql(SETTLE)
        .bind::<Array<SqlUuid>, _>(column(part, |s| s.job_id))
        .bind::<Array<SqlUuid>, _>(column(part, |s| s.worker_id))
        .bind::<Array<Integer>, _>(column(part, |s| s.attempt))
        .bind::<Array<Text>, _>(column(part, asked_state))
        .bind::<Array<Text>, _>(column(part, |s| s.progress.phase.as_str()))
        .bind::<Array<BigInt>, _>(column(part, |s| to_i64(s.progress.rows)))
        .bind::<Array<Nullable<BigInt>>, _>(column(part, |s| s.progress.total_rows.map(to_i64)))
        .bind::<Array<Bool>, _>(column(part, |s| s.progress.total_is_estimate))
        .bind::<Array<BigInt>, _>(column(part, |s| to_i64(s.progress.bytes)))
        .bind::<Array<Nullable<Text>>, _>(problems)
        .bind::<Array<Nullable<BigInt>>, _>(column(part, |s| retry_delay(s).map(|delay| millis(delay.queue))))
        .bind::<Array<Nullable<BigInt>>, _>(column(part, |s| retry_delay(s).map(|delay| millis(delay.due_after))));
    let refusals = part
        .iter()
        .map(|settlement| refused(settlement).map(to_json).transpose())
        .collect::<StatementResult<Vec<Option<String>>>>()?;
    let statement = bind_artifacts(statement, part).bind::<Array<Nullable<Text>>, _>(refusals);
    let rows: Vec<EffectRow> = statement.load(connection).await?;
    Effects::read(rows)
}

fn bind_artifacts<'a>(statement: Sql<'a>, part: &'a [Settlement]) -> Sql<'a> {
    let made: Vec<(&Settlement, &NewArtifact)> = part
        .iter()
        .filter_map(|settlement| match &settlement.ending {
            Ending::Done(artifacts) | Ending::DoneInPart(artifacts, _) => {
                Some(artifacts.iter().map(move |artifact| (settlement, artifact)))
            }
            _ => None,
        })
        .flatten()
        .collect();
    let of = |read: fn(&'a NewArtifact) -> &'a str| made.iter().map(|(_, artifact)| read(artifact)).collect::<Vec<_>>();
    statement
        .bind::<Array<SqlUuid>, _>(column(&made, |(s, _)| s.job_id))
        .bind::<Array<Integer>, _>(column(&made, |(s, _)| s.attempt))
        .bind::<Array<SqlUuid>, _>(column(&made, |(_, a)| a.id))
        .bind::<Array<Text>, _>(of(|a| a.format.as_str()))
        .bind::<Array<Text>, _>(of(|a| &a.object_key))
        .bind::<Array<Text>, _>(of(|a| &a.filename))
        .bind::<Array<BigInt>, _>(column(&made, |(_, a)| to_i64(a.bytes)))
        .bind::<Array<BigInt>, _>(column(&made, |(_, a)| to_i64(a.rows)))
        .bind::<Array<Text>, _>(of(|a| &a.sha256))
        .bind::<Array<Bool>, _>(column(&made, |(_, a)| a.complete))
        .bind::<Array<Timestamptz>, _>(column(&made, |(_, a)| a.snapshot_at))
        .bind::<Array<SqlUuid>, _>(column(&made, |(_, a)| a.link_id))
        .bind::<Array<Binary>, _>(made.iter().map(|(_, a)| a.link_hash.as_slice()).collect::<Vec<_>>())
}
