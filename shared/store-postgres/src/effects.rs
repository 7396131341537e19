//! What follows a change of jobs, in the same statement: event, deliveries, outbox rows; and what of it is told afterwards.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::errors::{Failure, unreadable};
use super::rows::{read_message, read_refusals};
use model::event::{Event, EventKind};
use model::job::Caller;
use model::message::OutboxMessage;
use store::OUTBOX_LEASE;

/// Completes a statement whose part `changed` holds one row a changed job with the columns
/// `id, seq, tenant, principal, kind, state, attempt, event_error, next_attempt_at, notify, lane, report, traceparent,
/// delay_ms, ring, led, quiet, leader_id, refused`: writes the event; for `done` and `failed` the deliveries and their doorbells; for `pending` and `retrying`
/// the doorbell of the lane where `ring` says so; for `failed` the dead letter. Where it is `quiet`, only the run is left of a job
/// that was withdrawn, and nothing but its lane hears of it. Those that are `led` have followers, which are to be brought up to
/// them. Answers rows for [`EffectRow`].
macro_rules! with_effects {
    ($($changed:expr),+ $(,)?) => {
        concat!(
            $($changed,)+
            ", event as (
                insert into events (job_id, seq, tenant, principal, kind, state, attempt, error, next_attempt_at, refused)
                select id, seq, tenant, principal, kind, state, attempt, event_error, next_attempt_at, refused from changed
                where not quiet
            ), delivery as (
                insert into deliveries (id, job_id, tenant, event, seq, channel, recipient)
                select waitless_uuid_v7(), c.id, c.tenant, c.kind, c.seq, n->>'channel', n->>'to'
                from changed c cross join lateral json_array_elements(c.notify) n
                where c.state in ", store::ended_states!(), " and not c.quiet
                on conflict do nothing
                returning id, job_id, channel
            ), rung as (
                insert into outbox (id, kind, subject, queue, delay_ms, detail, traceparent, leased_until)
                select waitless_uuid_v7(), 'run-job', c.id, c.lane, c.delay_ms, null::json, c.traceparent,
                       now() + interval '5 seconds'
                from changed c where c.ring and c.state in ", store::waiting_states!(), "
                union all
                select waitless_uuid_v7(), 'send-delivery', d.id, 'notify.' || d.channel, null, null, c.traceparent,
                       now() + interval '5 seconds'
                from delivery d join changed c on c.id = d.job_id
                union all
                select waitless_uuid_v7(), 'dead-job', c.id, 'dead', null,
                       json_build_object('tenant', c.tenant, 'report', c.report, 'error', c.event_error), c.traceparent,
                       now() + interval '5 seconds'
                from changed c where c.state = 'failed' and not c.quiet
                returning id, kind, subject, queue, delay_ms, detail, traceparent
            )
            select id as subject, kind, seq, tenant, principal, state, attempt, event_error::text as detail,
                   next_attempt_at, now() as at, null::uuid as outbox_id, null::text as queue, null::bigint as delay_ms,
                   null::text as traceparent, led, quiet, leader_id,
                   refused::text as refused, case when state <> 'processing' and leader_id is null then ",
            $crate::limits::limits_of_ended!(),
            " end as freed
            from changed
            union all
            select subject, kind, null, null, null, null, null, detail::text, null, null, id, queue, delay_ms, traceparent,
                   false, false, null, null, null
            from rung"
        )
    };
}
pub(super) use with_effects;

// The texts say `interval '5 seconds'`.
const _: () = assert!(OUTBOX_LEASE.as_secs() == 5 && OUTBOX_LEASE.subsec_nanos() == 0);

/// An event, or an outbox row where `outbox_id` is present.
#[derive(QueryableByName)]
pub(super) struct EffectRow {
    #[diesel(sql_type = SqlUuid)]
    subject: Uuid,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    seq: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    tenant: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    principal: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    state: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    attempt: Option<i32>,
    #[diesel(sql_type = Nullable<Text>)]
    detail: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    next_attempt_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    outbox_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    queue: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    delay_ms: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    traceparent: Option<String>,
    #[diesel(sql_type = Bool)]
    led: bool,
    #[diesel(sql_type = Bool)]
    quiet: bool,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    leader_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    refused: Option<String>,
    /// Limits that may have a free place now.
    #[diesel(sql_type = Nullable<Array<Text>>)]
    freed: Option<Vec<String>>,
}

/// What a commit is told of.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) events: Vec<Event>,
    pub(super) outbox: Vec<OutboxMessage>,
    /// Changes of jobs that were withdrawn: nobody is told.
    pub(super) silent: Vec<Event>,
    /// Changed jobs whose followers are to be brought up to them.
    pub(super) led: Vec<Uuid>,
    /// Limits that may have a free place now.
    pub(super) freed: Vec<String>,
}

impl Effects {
    pub(super) fn read(rows: Vec<EffectRow>) -> Result<Self, Failure> {
        let mut effects = Self::default();
        for row in rows {
            if let Some(id) = row.outbox_id {
                let queue = row.queue.unwrap_or_default();
                let (route, message) =
                    read_message(&row.kind, row.subject, (&queue, row.delay_ms), row.detail.as_deref())?;
                effects.outbox.push(OutboxMessage { id, route, message, traceparent: row.traceparent });
            } else {
                effects.freed.extend(row.freed.iter().flatten().cloned());
                if row.led {
                    effects.led.push(row.subject);
                }
                let quiet = row.quiet;
                let event = row.event()?;
                // That nobody waits for its run any more is for its worker to hear.
                if quiet && event.kind != EventKind::Cancelled {
                    effects.silent.push(event);
                } else {
                    effects.events.push(event);
                }
            }
        }
        effects.outbox.sort_unstable_by_key(|message| message.id);
        Ok(effects)
    }

    /// Tells whether there is nothing to tell.
    pub(super) const fn is_empty(&self) -> bool {
        self.events.is_empty() && self.outbox.is_empty()
    }

    /// Returns every change, also those nobody is told of.
    pub(super) fn changes(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().chain(&self.silent)
    }

    pub(super) fn append(&mut self, mut later: Self) {
        self.events.append(&mut later.events);
        self.outbox.append(&mut later.outbox);
        self.silent.append(&mut later.silent);
        self.led.append(&mut later.led);
        self.freed.append(&mut later.freed);
    }
}

impl EffectRow {
    /// The job or delivery it is about.
    pub(super) const fn subject(&self) -> Uuid {
        self.subject
    }

    /// Its fencing token after the change, where there is one.
    pub(super) const fn attempt(&self) -> Option<i32> {
        self.attempt
    }

    pub(super) const fn is_outbox(&self) -> bool {
        self.outbox_id.is_some()
    }

    fn event(self) -> Result<Event, Failure> {
        let (Some(seq), Some(tenant), Some(principal), Some(state), Some(attempt), Some(at)) =
            (self.seq, self.tenant, self.principal, self.state, self.attempt, self.at)
        else {
            return Err(unreadable("an event lacks a column"));
        };
        Ok(Event {
            job_id: self.subject,
            seq,
            caller: Caller { tenant, principal },
            kind: self.kind.parse().map_err(unreadable)?,
            state: state.parse().map_err(unreadable)?,
            attempt,
            error: self.detail.as_deref().map(serde_json::from_str).transpose().map_err(unreadable)?,
            refused: read_refusals(self.refused.as_deref())?,
            next_attempt_at: self.next_attempt_at,
            at,
            leader: self.leader_id,
        })
    }
}
