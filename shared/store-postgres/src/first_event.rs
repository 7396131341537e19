//! What follows a submit and a claim: the first events of a job, and its first doorbell.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use model::event::{Event, EventKind};
use model::job::{Job, JobState, NewJob};
use model::message::{Message, OutboxMessage, Queue, Route};

/// The first event of a job.
pub(super) fn submitted(job: &NewJob, now: DateTime<Utc>) -> Event {
    Event {
        job_id: job.id,
        seq: 1,
        caller: job.caller.clone(),
        kind: EventKind::Submitted,
        state: JobState::Pending,
        attempt: 0,
        error: None,
        refused: Vec::new(),
        next_attempt_at: None,
        at: now,
        leader: None,
    }
}

/// The first doorbell of a job, as it was written.
pub(super) fn rung(job: &NewJob, id: Uuid) -> OutboxMessage {
    OutboxMessage {
        id,
        route: Route::now(Queue::Work(job.lane)),
        message: Message::RunJob { job_id: job.id },
        traceparent: job.traceparent.clone(),
    }
}

/// The event of a claim.
pub(super) fn started(job: &Job) -> Event {
    Event {
        job_id: job.id,
        seq: job.seq,
        caller: job.caller.clone(),
        kind: EventKind::Started,
        state: JobState::Processing,
        attempt: job.attempt,
        error: None,
        refused: Vec::new(),
        next_attempt_at: None,
        at: job.started_at.unwrap_or(job.created_at),
        leader: None,
    }
}
