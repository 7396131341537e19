//! Schedules and firings, as the API shows them.

use chrono::{DateTime, SecondsFormat, Utc};
use model::artifact::Format;
use model::delivery::Notify;
use model::job::{JobState, Params};
use model::schedule::{Firing, NextFiring, Schedule, ScheduleState, write_nominal};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::plan::{BY_EVENT, Plan};
use super::prepare::{relative_params, shown_params};
use super::settings_body::{configuration_text, recipients};
use crate::closed_sets::{
    FiringOutcomeName, FormatName, OnEmptyName, OnHolidayName, OnRefusalName, OverlapName, PauseReasonName,
    ScheduleOriginName, ScheduleStateName,
};
use crate::gateway::Gateway;
use crate::jobs::check_notify::NotifyBody;

/// Next times that are shown.
pub(super) const NEXT: usize = 10;

/// Somebody made it by the API.
const API: &str = "api";
/// It stands in a file of the catalogue.
const CATALOGUE: &str = "catalogue";
/// It stood in one.
const ENDED: &str = "ended";
/// Where a schedule comes from.
pub(crate) const ORIGINS: [&str; 2] = [API, CATALOGUE];
/// The states of a schedule.
pub(crate) const STATES: [&str; 3] = [ScheduleState::Active.as_str(), ScheduleState::Paused.as_str(), ENDED];

/// One time at which a schedule fires.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Occurrence)]
pub struct OccurrenceView {
    /// What the clock shows in the schedule's zone.
    nominal: String,
    /// The moment, with the schedule's spread.
    at: DateTime<Utc>,
    /// What is relative of the parameters, as it is then; absent where nothing is.
    #[serde(skip_serializing_if = "Params::is_empty")]
    #[schema(value_type = Option<Object>)]
    params: Params,
}

impl From<NextFiring> for OccurrenceView {
    fn from(next: NextFiring) -> Self {
        Self { nominal: write_nominal(next.nominal), at: next.due, params: Params::new() }
    }
}

/// A firing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Firing)]
pub struct FiringView {
    id: Uuid,
    /// What the clock showed in the schedule's zone; null: somebody asked for it.
    nominal: Option<String>,
    /// Which state of the data it is about, where somebody said so.
    data_version: Option<String>,
    /// When it was due.
    due_at: DateTime<Utc>,
    #[schema(value_type = FiringOutcomeName)]
    outcome: &'static str,
    /// Its job.
    job: Option<Uuid>,
    /// Why it has none.
    detail: Option<String>,
    /// When it was written.
    at: DateTime<Utc>,
    /// How its job ended, as far as somebody has looked: `done`, `failed` or `cancelled`.
    #[schema(value_type = Option<String>)]
    ended: Option<&'static str>,
}

/// A firing that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AskedFiring)]
pub struct AskedFiringView {
    #[serde(flatten)]
    pub(super) firing: FiringView,
    /// The key, or the state of the data, came before: nothing fired now.
    pub(super) replayed: bool,
}

impl From<Firing> for FiringView {
    fn from(firing: Firing) -> Self {
        Self {
            id: firing.id,
            nominal: firing.nominal.map(write_nominal),
            data_version: firing.data_version,
            due_at: firing.due,
            outcome: firing.outcome.as_str(),
            job: firing.job_id,
            detail: firing.detail,
            at: firing.at,
            ended: firing.ended.map(JobState::as_str),
        }
    }
}

/// A schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub struct ScheduleView {
    id: Uuid,
    /// Its owner: its jobs run in their name.
    owner: String,
    title: Option<String>,
    report: String,
    /// Sensitive values are hidden.
    #[schema(value_type = Object)]
    params: Params,
    #[schema(value_type = Option<Vec<FormatName>>)]
    formats: Option<Vec<Format>>,
    #[schema(value_type = OnRefusalName)]
    on_refusal: &'static str,
    #[schema(value_type = Vec<NotifyBody>)]
    notify: Vec<Notify>,
    #[schema(value_type = Option<Vec<NotifyBody>>)]
    alert: Option<Vec<Notify>>,
    when: Option<String>,
    /// Of what fires by event: until when its event is there. Otherwise its people are told.
    latest: Option<String>,
    /// `when`, in a sentence.
    sentence: Option<String>,
    zone: String,
    calendar: Option<String>,
    #[schema(value_type = OnHolidayName)]
    on_holiday: &'static str,
    starts_at: Option<String>,
    ends_at: Option<String>,
    #[schema(value_type = OnEmptyName)]
    on_empty: &'static str,
    #[schema(value_type = OverlapName)]
    overlap: &'static str,
    catch_up: String,
    within: String,
    alarm_after: Option<String>,
    pause_after: i32,
    /// Who says what it does: whoever uses the API, or a file of the catalogue.
    #[schema(value_type = ScheduleOriginName)]
    origin: &'static str,
    /// Its name in the file of its report; null: it stands in none.
    name: Option<String>,
    /// `ended`: it stands in the catalogue no more.
    #[schema(value_type = ScheduleStateName)]
    state: &'static str,
    /// Why it is paused.
    #[schema(value_type = Option<PauseReasonName>)]
    paused_why: Option<&'static str>,
    /// Firings in a row that did not end well.
    failures: i32,
    /// The next firing; null: paused, over, or only when its event comes or it is asked to.
    next: Option<OccurrenceView>,
    /// The next of the times at which its event is there at the latest.
    awaited_until: Option<OccurrenceView>,
    /// The next firing waits for the job of the one before.
    waiting: bool,
    last_job: Option<Uuid>,
    /// When a job of it was done last.
    last_sent_at: Option<DateTime<Utc>>,
    /// It has sent nothing for longer than `alarm_after`.
    silent: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A schedule with what comes and what was.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScheduleDetails)]
pub struct ScheduleDetailsView {
    #[serde(flatten)]
    schedule: ScheduleView,
    /// The next ten times; none when it is paused, or fires when its event comes.
    upcoming: Vec<OccurrenceView>,
    /// The newest firings, newest first.
    firings: Vec<FiringView>,
}

/// A list of schedules.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedules)]
pub struct SchedulesView {
    /// Oldest first.
    pub(super) schedules: Vec<ScheduleView>,
    /// The cursor of the next page; null on the last one.
    pub(super) next: Option<String>,
}

/// When a schedule would fire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SchedulePreview)]
pub struct PreviewView {
    /// `when`, in a sentence.
    pub(super) sentence: String,
    /// IANA name.
    pub(super) zone: String,
    /// The next ten times.
    pub(super) upcoming: Vec<OccurrenceView>,
}

fn moment(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl ScheduleView {
    /// Shows a schedule.
    pub(super) fn of(gateway: &Gateway, schedule: &Schedule) -> Self {
        let settings = &schedule.settings;
        let plan = Plan::of(schedule.id, settings, &gateway.calendars).ok().flatten();
        let is_active = schedule.paused_why.is_none() && !schedule.ended;
        let next = schedule.next.filter(|_| is_active);
        let by_event = settings.is_by_event();
        let sentence = plan.as_ref().map(Plan::sentence);
        Self {
            id: schedule.id,
            owner: schedule.owner.principal.clone(),
            title: settings.title.clone(),
            report: settings.report.clone(),
            params: shown_params(gateway, schedule),
            formats: settings.formats.clone(),
            on_refusal: settings.on_refusal.as_str(),
            notify: recipients(&settings.notify),
            alert: settings.alert.as_deref().map(recipients),
            when: settings.when.clone(),
            latest: settings.latest.clone(),
            sentence: sentence.or_else(|| by_event.then(|| BY_EVENT.to_owned())),
            zone: settings.zone.clone(),
            calendar: settings.calendar.clone(),
            on_holiday: settings.on_holiday.as_str(),
            starts_at: settings.starts_at.map(moment),
            ends_at: settings.ends_at.map(moment),
            on_empty: settings.on_empty.as_str(),
            overlap: settings.overlap.as_str(),
            catch_up: configuration_text(settings.catch_up),
            within: configuration_text(settings.within),
            alarm_after: settings.alarm_after.map(configuration_text),
            pause_after: settings.pause_after,
            origin: if schedule.catalogue.is_some() { CATALOGUE } else { API },
            name: schedule.catalogue.as_ref().map(|place| place.name.clone()),
            state: if schedule.ended { ENDED } else { schedule.state.as_str() },
            paused_why: schedule.paused_why.map(|why| why.as_str()),
            failures: schedule.failures,
            next: next.filter(|_| !by_event).map(OccurrenceView::from),
            awaited_until: next.filter(|_| by_event).zip(plan).map(|(next, plan)| plan.without_offset(next).into()),
            waiting: schedule.waiting,
            last_job: schedule.last_job_id,
            last_sent_at: schedule.last_sent_at,
            silent: schedule.silent,
            created_at: schedule.created_at,
            updated_at: schedule.updated_at,
        }
    }
}

impl ScheduleDetailsView {
    /// Shows a schedule with its next times and its firings.
    pub(super) fn of(gateway: &Gateway, schedule: &Schedule, firings: Vec<Firing>) -> Self {
        let plan = Plan::of(schedule.id, &schedule.settings, &gateway.calendars).ok().flatten();
        let plan = plan.filter(|plan| !plan.awaits_event());
        let first = schedule.next.filter(|_| schedule.paused_why.is_none() && !schedule.ended);
        let shown = |one: NextFiring| OccurrenceView {
            params: relative_params(gateway, schedule, one.nominal),
            ..OccurrenceView::from(one)
        };
        Self {
            schedule: ScheduleView::of(gateway, schedule),
            upcoming: plan.map(|plan| plan.upcoming(first, NEXT)).unwrap_or_default().into_iter().map(shown).collect(),
            firings: firings.into_iter().map(Into::into).collect(),
        }
    }
}
