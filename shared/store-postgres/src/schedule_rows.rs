//! Rows of schedules, firings and notices, and what they become.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::errors::unreadable;
use super::in_catalogue::read_edition;
use super::run::StatementResult;
use model::job::Caller;
use model::schedule::{Firing, NextFiring, Notice, Schedule, read_nominal};
use store::{CatalogueEdition, DueSchedule};

/// The columns of [`ScheduleRow`], of a table or part named `s`.
macro_rules! schedule_columns {
    () => {
        "s.id, s.tenant, s.principal, s.settings::text as settings, s.state, s.paused_why, s.failures, s.version, \
         s.next_nominal, s.next_due, s.waiting, s.last_job_id, s.last_sent_at, s.silent, s.catalogue, s.editions, \
         s.created_at, s.updated_at"
    };
}
pub(super) use schedule_columns;

/// The columns of [`FiringRow`], of a table or part named `f`.
macro_rules! firing_columns {
    () => {
        "f.id, f.schedule_id, f.nominal, f.data_version, f.due_at, f.outcome, f.job_id, f.detail, f.at, f.ended"
    };
}
pub(super) use firing_columns;

/// A schedule.
#[derive(QueryableByName)]
pub(super) struct ScheduleRow {
    #[diesel(sql_type = SqlUuid)]
    pub(super) id: Uuid,
    #[diesel(sql_type = Text)]
    tenant: String,
    #[diesel(sql_type = Text)]
    principal: String,
    #[diesel(sql_type = Text)]
    settings: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Nullable<Text>)]
    paused_why: Option<String>,
    #[diesel(sql_type = Integer)]
    failures: i32,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = Nullable<Text>)]
    next_nominal: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    next_due: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    waiting: bool,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    last_job_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_sent_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    silent: bool,
    #[diesel(sql_type = Nullable<Text>)]
    catalogue: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    editions: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    updated_at: DateTime<Utc>,
}

impl ScheduleRow {
    pub(super) fn read(self) -> StatementResult<Schedule> {
        let next = match (self.next_nominal, self.next_due) {
            (Some(nominal), Some(due)) => {
                Some(NextFiring { nominal: read_nominal(&nominal).map_err(unreadable)?, due })
            }
            _ => None,
        };
        let edition = read_edition(self.catalogue, self.editions)?;
        let ended = edition.as_ref().is_some_and(CatalogueEdition::is_ended);
        Ok(Schedule {
            id: self.id,
            owner: Caller { tenant: self.tenant, principal: self.principal },
            settings: serde_json::from_str(&self.settings).map_err(unreadable)?,
            state: self.state.parse().map_err(unreadable)?,
            paused_why: self.paused_why.map(|why| why.parse().map_err(unreadable)).transpose()?,
            failures: self.failures,
            version: self.version,
            next,
            waiting: self.waiting,
            last_job_id: self.last_job_id,
            last_sent_at: self.last_sent_at,
            silent: self.silent,
            catalogue: edition.map(|edition| edition.place),
            ended,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// A schedule that was claimed.
#[derive(QueryableByName)]
pub(super) struct DueRow {
    #[diesel(embed)]
    schedule: ScheduleRow,
    #[diesel(sql_type = Nullable<Text>)]
    last_job: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
    #[diesel(sql_type = Array<Timestamptz>)]
    events: Vec<DateTime<Utc>>,
}

impl DueRow {
    pub(super) fn read(self) -> StatementResult<DueSchedule> {
        let last_job = self.last_job.map(|state| state.parse().map_err(unreadable)).transpose()?;
        Ok(DueSchedule { schedule: self.schedule.read()?, last_job, events: self.events, now: self.now })
    }
}

/// A firing.
#[derive(QueryableByName)]
pub(super) struct FiringRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    schedule_id: Uuid,
    #[diesel(sql_type = Nullable<Text>)]
    nominal: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    data_version: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    due_at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    outcome: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    job_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    detail: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Text>)]
    ended: Option<String>,
}

impl FiringRow {
    pub(super) fn read(self) -> StatementResult<Firing> {
        let nominal = |text: String| -> StatementResult<NaiveDateTime> { read_nominal(&text).map_err(unreadable) };
        Ok(Firing {
            id: self.id,
            schedule_id: self.schedule_id,
            nominal: self.nominal.map(nominal).transpose()?,
            data_version: self.data_version,
            due: self.due_at,
            outcome: self.outcome.parse().map_err(unreadable)?,
            job_id: self.job_id,
            detail: self.detail,
            at: self.at,
            ended: self.ended.map(|state| state.parse().map_err(unreadable)).transpose()?,
        })
    }
}

/// A firing whose job may have ended.
#[derive(QueryableByName)]
pub(super) struct OpenFiringRow {
    #[diesel(embed)]
    pub(super) firing: FiringRow,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) job_state: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    pub(super) now: DateTime<Utc>,
}

/// A notice that was claimed.
#[derive(QueryableByName)]
pub(super) struct NoticeRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    schedule_id: Uuid,
    #[diesel(sql_type = Text)]
    tenant: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    text: String,
    #[diesel(sql_type = Text)]
    recipient: String,
    #[diesel(sql_type = Integer)]
    attempt: i32,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
}

impl NoticeRow {
    pub(super) fn read(self) -> StatementResult<Notice> {
        Ok(Notice {
            id: self.id,
            schedule_id: self.schedule_id,
            tenant: self.tenant,
            kind: self.kind.parse().map_err(unreadable)?,
            text: serde_json::from_str(&self.text).map_err(unreadable)?,
            to: serde_json::from_str(&self.recipient).map_err(unreadable)?,
            attempt: self.attempt,
            created_at: self.created_at,
        })
    }
}
