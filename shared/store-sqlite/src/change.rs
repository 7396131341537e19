//! One arrow of the life cycle: the job's row, its event, the deliveries and outbox rows that follow from it.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::errors::{StatementResult, unreadable};
use super::limits::free_places;
use super::outbox::put;
use super::sql::{sql, to_json};
use super::writer::Transaction;
use model::delivery::DeliveryEvent;
use model::event::{Event, EventKind};
use model::job::{Job, JobState};
use model::message::{Message, Queue, Route};
use model::problem::Problem;
use model::refusal::Refusal;
use model::transitions::Transition;

/// Whether and how the lane is rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ring {
    /// Somebody has it in hand.
    No,
    /// Now, or after the delay queue of this time.
    Yes(Option<std::time::Duration>),
}

/// Takes a job along an arrow. `job` is as it was read in this transaction, apart from what the arrow itself does not know:
/// counters, worker, progress, error and due time, which the caller has set.
///
/// The update is guarded by the state and the event number the job was read with, so that no change is ever made on top of
/// one that was not seen.
pub(super) fn take(
    transaction: &mut Transaction<'_>,
    job: &mut Job,
    arrow: Transition,
    ring: Ring,
) -> StatementResult<()> {
    let ran = job.state == JobState::Processing && job.sharing.follows().is_none();
    write(transaction, job, arrow, ring)?;
    if ran {
        free_places(transaction, job.id)?;
    }
    if let Ring::Yes(delay) = ring {
        put(transaction, job_doorbell(job, delay), job.traceparent.as_deref())?;
    }
    if job.sharing.withdrawn_at.is_some() {
        if arrow == Transition::Cancel {
            // For the worker: nobody else hears anything new.
            transaction.events.push(event_of(job, arrow.event(), transaction.now));
        }
        return Ok(());
    }
    tell(transaction, job, arrow.event())?;
    let event = match job.state {
        JobState::Done => Some(DeliveryEvent::Done),
        JobState::Failed => Some(DeliveryEvent::Failed),
        _ => None,
    };
    if let Some(event) = event {
        deliver(transaction, job, &DeliverySeed { event, seq: job.seq, told: None })?;
    }
    if let (JobState::Failed, Some(error)) = (job.state, &job.error) {
        let letter = dead_letter(job, error.clone());
        put(transaction, (Route::now(Queue::Dead), letter), job.traceparent.as_deref())?;
    }
    Ok(())
}

fn write(transaction: &mut Transaction<'_>, job: &mut Job, arrow: Transition, ring: Ring) -> StatementResult<()> {
    let (before, seq) = (job.state, job.seq);
    if !arrow.from().contains(&before) {
        return Err(unreadable(format!("{arrow:?} cannot leave {before}")));
    }
    job.state = arrow.to();
    // Of a job that was withdrawn only the run is left: its own story ended with the cancel.
    job.seq += i64::from(job.sharing.withdrawn_at.is_none());
    if job.state != JobState::Processing {
        job.worker_id = None;
    }
    if job.state != JobState::Retrying {
        job.next_attempt_at = None;
    }
    job.finished_at = job.state.is_final().then_some(transaction.now);
    let rung_at = (ring != Ring::No).then_some(transaction.now);
    let error = job.error.as_ref().map(to_json).transpose()?;
    let changed = sql!(
        "update jobs set state = ?1, set_aside = case ?1 when 'pending' then set_aside end, seq = ?2, attempt = ?3, errors = ?4, crashes = ?5, interruptions = ?6, worker_id = ?7, \
         phase = ?8, rows_read = ?9, total_rows = ?10, total_is_estimate = ?11, bytes_written = ?12, started_at = ?13, \
         finished_at = ?14, next_attempt_at = ?15, error = ?16, rung_at = coalesce(?17, rung_at), refused = ?18 \
         where id = ?19 and state = ?20 and seq = ?21",
        job.state.as_str(),
        job.seq,
        job.attempt,
        job.errors,
        job.crashes,
        job.interruptions,
        job.worker_id,
        job.progress.phase.as_str(),
        job.progress.rows,
        job.progress.total_rows,
        job.progress.total_is_estimate,
        job.progress.bytes,
        job.started_at,
        job.finished_at,
        job.next_attempt_at,
        error,
        rung_at,
        refusals(&job.refused)?,
        job.id,
        before.as_str(),
        seq,
    )
    .run(transaction.connection)?;
    if changed != 1 {
        return Err(unreadable(format!("job {} changed in the middle of {arrow:?}", job.id)));
    }
    Ok(())
}

/// What is kept of refusals: nothing where there are none.
fn refusals(refused: &[Refusal]) -> StatementResult<Option<String>> {
    (!refused.is_empty()).then(|| to_json(&refused)).transpose()
}

/// The message that asks a worker to look at a job.
pub(super) fn job_doorbell(job: &Job, delay: Option<std::time::Duration>) -> (Route, Message) {
    (Route { queue: Queue::Work(job.lane), delay }, Message::RunJob { job_id: job.id })
}

fn dead_letter(job: &Job, error: Problem) -> Message {
    Message::DeadJob { job_id: job.id, tenant: job.caller.tenant.clone(), report: job.report.clone(), error }
}

fn event_of(job: &Job, kind: EventKind, now: DateTime<Utc>) -> Event {
    let why = matches!(kind, EventKind::Retrying | EventKind::Failed | EventKind::WorkerLost);
    Event {
        job_id: job.id,
        seq: job.seq,
        caller: job.caller.clone(),
        kind,
        state: job.state,
        attempt: job.attempt,
        error: job.error.clone().filter(|_| why),
        refused: if kind == EventKind::Done { job.refused.clone() } else { Vec::new() },
        next_attempt_at: job.next_attempt_at,
        at: now,
        leader: job.sharing.follows(),
    }
}

/// Writes the event of the state a job is in now.
pub(super) fn tell(transaction: &mut Transaction<'_>, job: &Job, kind: EventKind) -> StatementResult<()> {
    let event = event_of(job, kind, transaction.now);
    let error = event.error.as_ref().map(to_json).transpose()?;
    sql!(
        "insert into events (job_id, seq, tenant, principal, kind, state, attempt, error, next_attempt_at, at, refused) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        event.job_id,
        event.seq,
        &event.caller.tenant,
        &event.caller.principal,
        event.kind.as_str(),
        event.state.as_str(),
        event.attempt,
        error,
        event.next_attempt_at,
        event.at,
        refusals(&event.refused)?,
    )
    .run(transaction.connection)?;
    transaction.events.push(event);
    Ok(())
}

/// What recipients are told.
#[derive(Debug)]
pub(super) struct DeliverySeed {
    pub(super) event: DeliveryEvent,
    pub(super) seq: i64,
    /// What is not in the job's row.
    pub(super) told: Option<String>,
}

/// Writes one delivery a recipient, and rings the notifier for each. Returns how many it wrote.
pub(super) fn deliver(transaction: &mut Transaction<'_>, job: &Job, telling: &DeliverySeed) -> StatementResult<u32> {
    let mut deliveries = 0;
    for notify in &job.notify {
        let id = Uuid::now_v7();
        let written = sql!(
            "insert into deliveries (id, job_id, tenant, event, seq, channel, recipient, created_at, rung_at, told) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9) on conflict (job_id, seq, channel, recipient) do nothing",
            id,
            job.id,
            &job.caller.tenant,
            telling.event.as_str(),
            telling.seq,
            notify.channel.as_str(),
            &notify.to,
            transaction.now,
            telling.told.as_deref(),
        )
        .run(transaction.connection)?;
        if written == 1 {
            let doorbell = (Route::now(Queue::Notify(notify.channel)), Message::SendDelivery { delivery_id: id });
            put(transaction, doorbell, job.traceparent.as_deref())?;
            deliveries += 1;
        }
    }
    Ok(deliveries)
}
