//! The part of the contract about schedules: what is due, and what became of each nominal time.
//!
//! A schedule that is due is claimed for a while, so that two schedulers do not prepare the same job; what decides is the write: it is
//! guarded by the version and the nominal time that the schedule was claimed with, and a firing is unique by schedule and nominal time.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, Utc};
use uuid::Uuid;

use super::schedule_notices::{notice_text, paused_notice};
use super::{CatalogueEdition, HoldTimes, InForce, Result};
use model::job::{Caller, Job, JobState, NewJob};
use model::schedule::{
    Firing, FiringRecord, NewNotice, NextFiring, Notice, NoticeKind, PauseReason, Schedule, ScheduleSettings,
    ScheduleState,
};

/// A schedule about to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSchedule {
    /// Fresh UUIDv7.
    pub id: Uuid,
    /// Its owner.
    pub owner: Caller,
    /// What is asked for.
    pub settings: ScheduleSettings,
    /// When it fires first.
    pub next: Option<NextFiring>,
    /// Where in the catalogue it comes from.
    pub catalogue: Option<CatalogueEdition>,
}

/// Which schedules to list, oldest first. Always limited to one tenant.
#[derive(Debug, Clone)]
pub struct ScheduleFilter {
    /// Whose.
    pub tenant: String,
    /// Only this principal's; otherwise the whole tenant's, for its operators.
    pub principal: Option<String>,
    /// Only after this id (exclusive).
    pub after: Option<Uuid>,
    /// At most this many.
    pub limit: u32,
}

/// What somebody makes of a schedule. Guarded by the version that they have seen.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleChange {
    /// Which.
    pub id: Uuid,
    /// The version it was seen with.
    pub version: i64,
    /// Its owner from now on; the tenant stays.
    pub owner: Caller,
    /// What is asked for from now on.
    pub settings: ScheduleSettings,
    /// `Some`: it is paused from now on.
    pub paused_why: Option<PauseReason>,
    /// When it fires next.
    pub next: Option<NextFiring>,
    /// Which edition of its place in the catalogue is in force from now on; `None`: as before.
    pub catalogue: Option<CatalogueEdition>,
}

/// A schedule that was due when it was claimed.
#[derive(Debug, Clone, PartialEq)]
pub struct DueSchedule {
    /// As it was.
    pub schedule: Schedule,
    /// Where the job of its newest firing stands.
    pub last_job: Option<JobState>,
    /// When its data were said to be there, within [`EVENTS_WITHIN`] before it was due and since; only of what has a latest time.
    pub events: Vec<DateTime<Utc>>,
    /// Database time.
    pub now: DateTime<Utc>,
}

/// The job of a nominal time.
#[derive(Debug, Clone, PartialEq)]
pub struct FiringJob {
    /// Names the firing.
    pub nominal: NaiveDateTime,
    /// When it was due.
    pub due: DateTime<Utc>,
    /// What is submitted.
    pub job: NewJob,
}

/// What becomes of a schedule that was due.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleStep {
    /// Which.
    pub schedule_id: Uuid,
    /// The version it was claimed with.
    pub version: i64,
    /// The nominal time it was claimed with.
    pub nominal: NaiveDateTime,
    /// Nominal times that get no job.
    pub records: Vec<FiringRecord>,
    /// The one that does.
    pub job: Option<FiringJob>,
    /// What it looks to from now on.
    pub next: Option<NextFiring>,
    /// Looks again after this time, whenever `next` is due.
    pub again: Option<Duration>,
    /// `next` waits for the job of the one before.
    pub waiting: bool,
    /// It pauses.
    pub pause: Option<PauseReason>,
    /// Firings of this turn that did not end well.
    pub failures: i32,
    /// What its people are told.
    pub notices: Vec<NewNotice>,
}

/// How a turn went.
#[derive(Debug, Clone, PartialEq)]
pub enum StepOutcome {
    /// It is written; with the job, where there is one.
    Written(Option<Box<Job>>),
    /// Somebody else's turn, or somebody changed it: nothing was written.
    TooLate,
    /// The job cannot be written, and nothing was; says why.
    Refused(String),
}

/// A firing that somebody asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedFiring {
    /// Of which schedule.
    pub schedule_id: Uuid,
    /// Its `Idempotency-Key`.
    pub key: Option<String>,
    /// Which state of the data it is about.
    pub data_version: Option<String>,
    /// What is submitted.
    pub job: NewJob,
}

/// How one was answered.
#[derive(Debug, Clone, PartialEq)]
pub enum FireOutcome {
    /// It is written with its job.
    Fired(Box<Firing>),
    /// The key, or the data version, came before: that firing.
    Known(Box<Firing>),
    /// There is no such schedule.
    NotFound,
    /// The job cannot be written, and nothing was; says why.
    Refused(String),
}

/// A firing whose job has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedFiring {
    /// The schedule, with what the end makes of it.
    pub schedule: Schedule,
    /// The firing.
    pub firing: Firing,
    /// How its job ended.
    pub state: JobState,
    /// The schedule is paused because of it.
    pub paused: bool,
}

/// How one try of a notice ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeEnding {
    /// The server accepted it.
    Sent,
    /// May pass: due again after this time.
    RetryLater(String, Duration),
    /// Will not pass, or tried too often.
    Failed(String),
}

/// How schedules stand, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ScheduleCounts {
    /// That have sent nothing for longer than they may.
    pub silent: u64,
    /// That were paused by something else than a wish.
    pub stopped: u64,
    /// How long what is due and nobody has taken up has been so, in seconds.
    pub overdue: f64,
    /// Notices that are not sent.
    pub notices: u64,
}

/// Schedules, as gateways and notifiers see them. Every call is safe in several processes at once.
#[async_trait]
pub trait ScheduleStore: Send + Sync {
    /// Writes one. `None`: its place in the catalogue has one already.
    async fn create_schedule(&self, schedule: NewSchedule) -> Result<Option<Schedule>>;
    /// Lists those of the catalogue, every tenant's, those that have ended too.
    async fn schedules_in_force(&self, times: HoldTimes) -> Result<Vec<InForce>>;
    /// Says that somebody has the editions of these that are in force.
    async fn hold_schedules(&self, ids: &[Uuid]) -> Result<()>;
    /// Reads one of a tenant's.
    async fn schedule(&self, tenant: &str, id: Uuid) -> Result<Option<Schedule>>;
    /// Lists a tenant's.
    async fn schedules(&self, filter: ScheduleFilter) -> Result<Vec<Schedule>>;
    /// Changes one; its version grows. `None`: it is gone, or has another version.
    async fn change_schedule(&self, change: ScheduleChange) -> Result<Option<Schedule>>;
    /// Removes one with its firings; its jobs stay. False: there is none.
    async fn delete_schedule(&self, tenant: &str, id: Uuid) -> Result<bool>;
    /// Claims up to `limit` that are due, longest due first, for `lease`.
    async fn claim_due_schedules(&self, limit: u32, lease: Duration) -> Result<Vec<DueSchedule>>;
    /// Writes turns, each with its firings, its job, event, outbox row and notices in one transaction.
    async fn take_steps(&self, turns: Vec<ScheduleStep>) -> Result<Vec<StepOutcome>>;
    /// Finds the firing that was asked for under this key, or about this state of the data.
    async fn find_firing(&self, id: Uuid, key: Option<&str>, data_version: Option<&str>) -> Result<Option<Firing>>;
    /// Fires because somebody asks for it, whatever state the schedule is in.
    async fn fire(&self, asked: AskedFiring) -> Result<FireOutcome>;
    /// Lists a schedule's newest firings.
    async fn firings(&self, schedule_id: Uuid, limit: u32) -> Result<Vec<Firing>>;
    /// Looks how the jobs of up to `limit` firings ended and does what follows: see [`after_end`].
    async fn settle_firings(&self, limit: u32) -> Result<Vec<EndedFiring>>;
    /// Finds schedules that have sent nothing for longer than they may, and has their people told. Once, until they send again.
    async fn raise_silent(&self, limit: u32) -> Result<Vec<Schedule>>;
    /// Counts.
    async fn schedule_counts(&self) -> Result<ScheduleCounts>;
    /// Removes up to `limit` firings older than `age`, and their notices.
    async fn forget_firings(&self, age: Duration, limit: u32) -> Result<u64>;
    /// Claims up to `limit` notices that are due for `lease`; `attempt` grows.
    async fn claim_notices(&self, limit: u32, lease: Duration) -> Result<Vec<Notice>>;
    /// Ends tries, guarded by `attempt`. False: too late.
    async fn settle_notice(&self, id: Uuid, attempt: i32, ending: NoticeEnding) -> Result<bool>;
}

/// Does to a schedule what the end of a firing's job means for it, and says what its people are told. A job that somebody cancelled is
/// nobody's failure.
pub fn after_end(schedule: &mut Schedule, firing: &Firing, state: JobState, now: DateTime<Utc>) -> Vec<NewNotice> {
    let mut notices = Vec::new();
    match state {
        JobState::Done => {
            (schedule.failures, schedule.silent, schedule.last_sent_at) = (0, false, Some(now));
        }
        JobState::Failed => {
            schedule.failures = schedule.failures.saturating_add(1);
            // Who gets the report is told by the mail of its job.
            let told = &schedule.settings.notify;
            let others = schedule.settings.alerted().iter().filter(|one| told.iter().all(|told| told.to != one.to));
            let text = notice_text(schedule, firing.nominal, firing.nominal, 1, None);
            notices.push(NewNotice { kind: NoticeKind::Failed, text, to: others.cloned().collect() });
        }
        JobState::Cancelled | JobState::Pending | JobState::Processing | JobState::Retrying => {}
    }
    if schedule.state == ScheduleState::Active && fails_too_often(schedule, 0) {
        schedule.state = ScheduleState::Paused;
        schedule.paused_why = Some(PauseReason::Failures);
        notices.push(paused_notice(schedule, PauseReason::Failures));
    }
    notices
}

/// Tells whether a schedule has to pause once it has failed so many times more.
#[must_use]
pub fn fails_too_often(schedule: &Schedule, more: i32) -> bool {
    let most = schedule.settings.pause_after;
    most > 0 && schedule.failures.saturating_add(more) >= most
}

/// More than the longest day.
pub const EVENTS_WITHIN: Duration = Duration::from_secs(26 * 3600);

/// How long after it was written an open firing is looked at first, and how often then: less and less the older it is.
pub const FIRST_LOOK: Duration = Duration::from_secs(1);
