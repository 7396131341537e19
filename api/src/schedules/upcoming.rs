//! `GET /v1/schedules/upcoming`: what comes on each day of a week or a month.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use model::locale::{Tz, time_zone};
use model::problem::{ProblemKind, StoredProblem};
use model::schedule::{NextFiring, Schedule};
use schedule::moment_of;
use serde::{Deserialize, Serialize};
use store::{ScheduleFilter, Scope};
use utoipa::ToSchema;
use uuid::Uuid;

use super::calendars::Calendars;
use super::plan::Plan;
use super::read::Whose;
use super::{may_run_named, refuse_token};
use crate::auth::Identity;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::jobs::list::parse_query;

/// Most days of one look: six weeks, as a month hangs on a wall.
const MOST_DAYS: i64 = 42;
/// Times of one schedule that are counted of one day.
const MOST_OF_A_DAY: u32 = 100;
/// Times that are counted in one look: a fraction of a second.
const MOST_TIMES: u32 = 100_000;
/// Schedules that are read at once, and in one look.
const BATCH: u32 = 200;
const MOST_SCHEDULES: usize = 1000;

/// Which days.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UpcomingQuery {
    /// The first day.
    #[param(value_type = String, format = Date)]
    from: NaiveDate,
    /// The last day: at most 42 of them.
    #[param(value_type = String, format = Date)]
    to: NaiveDate,
    /// Whose days: an IANA name; the tenant's zone when absent.
    zone: Option<String>,
    /// `tenant`: those of everybody in the tenant, for keys with the scope `admin`.
    #[param(value_type = Option<String>, pattern = "^(own|tenant)$")]
    of: Option<Whose>,
}

/// What comes of one schedule on one day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpcomingSchedule)]
pub struct UpcomingScheduleView {
    id: Uuid,
    title: Option<String>,
    report: String,
    owner: String,
    /// How often it fires on this day.
    count: u32,
    /// It fires more often than `count` says: no further ones were counted.
    more: bool,
    /// When it fires first on this day, with its spread.
    first: DateTime<Utc>,
    /// When it fires last, of those that were counted.
    last: DateTime<Utc>,
}

/// A day on which something comes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpcomingDay)]
pub struct UpcomingDayView {
    day: NaiveDate,
    /// Whatever comes first stands first.
    schedules: Vec<UpcomingScheduleView>,
}

/// What comes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upcoming)]
pub struct UpcomingView {
    /// Whose days they are: an IANA name.
    zone: String,
    /// Those with something, in order.
    days: Vec<UpcomingDayView>,
    /// Whether it is all that comes: some is left out where thousands of schedules are, or tens of thousands of times.
    complete: bool,
}

/// Lists what comes on each day. What is paused does not.
#[utoipa::path(get, path = "/v1/schedules/upcoming", tag = "schedules", params(UpcomingQuery),
    responses(
        (status = 200, description = "What comes", body = UpcomingView),
        (status = 400, description = "invalid-query", body = StoredProblem),
        (status = 403, description = "forbidden: also for a token, and for `of=tenant` without `admin`", body = StoredProblem),
    )
)]
pub async fn list(gateway: web::Data<Gateway>, identity: Identity, request: HttpRequest) -> ApiResult {
    refuse_token(&identity)?;
    let query: UpcomingQuery = parse_query(&request)?;
    let whole_tenant = query.of.unwrap_or_default() == Whose::Tenant;
    if whole_tenant && !identity.scopes().contains(&Scope::Admin) {
        let detail = "What comes of a whole tenant is for API keys with the scope `admin`.";
        return Err(ApiError::new(ProblemKind::Forbidden, detail));
    }
    let zone = match &query.zone {
        Some(name) => time_zone(name)
            .ok_or_else(|| invalid("`zone` must be an IANA time zone, such as Europe/Berlin.".to_owned()))?,
        None => gateway.zone_of(&identity.tenant),
    };
    let mut coming = ComingDays::new(query.from, query.to, zone)?;
    let principal = (!whole_tenant).then_some(identity.principal.as_str());
    let (schedules, all) = read_all(&gateway, &identity, principal).await?;
    let days = web::block(move || {
        for schedule in &schedules {
            coming.add(schedule, &gateway.calendars);
        }
        coming
    });
    let coming = days.await.map_err(|error| ApiError::internal("count what comes", &error))?;
    Ok(HttpResponse::Ok().json(coming.show(all)))
}

fn invalid(detail: String) -> ApiError {
    ApiError::new(ProblemKind::InvalidQuery, detail)
}

/// Reads schedules, and whether these are all.
async fn read_all(
    gateway: &Gateway,
    identity: &Identity,
    principal: Option<&str>,
) -> Result<(Vec<Schedule>, bool), ApiError> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let (tenant, principal) = (identity.tenant.clone(), principal.map(str::to_owned));
        let filter = ScheduleFilter { tenant, principal, after, limit: BATCH };
        let found = gateway.store.schedules(filter).await?;
        let more = found.len() == BATCH as usize;
        after = found.last().map(|last| last.id);
        all.extend(found.into_iter().filter(|one| may_run_named(gateway, identity, &one.settings.report)));
        if !more {
            return Ok((all, true));
        }
        if all.len() >= MOST_SCHEDULES {
            return Ok((all, false));
        }
    }
}

/// What comes between two days of a zone.
struct ComingDays {
    from: DateTime<Utc>,
    /// Exclusive.
    end: DateTime<Utc>,
    zone: Tz,
    days: BTreeMap<NaiveDate, Vec<UpcomingScheduleView>>,
    /// Times that may still be counted.
    left: u32,
}

impl ComingDays {
    fn new(from: NaiveDate, to: NaiveDate, zone: Tz) -> Result<Self, ApiError> {
        let days = (to - from).num_days() + 1;
        if !(1..=MOST_DAYS).contains(&days) {
            return Err(invalid(format!(
                "`to` must be the day of `from` or a later one, and both lie within {MOST_DAYS} days."
            )));
        }
        let end = to.checked_add_days(Days::new(1)).ok_or_else(|| invalid("No calendar reaches so far.".to_owned()))?;
        let begin = |day: NaiveDate| moment_of(day.and_time(NaiveTime::MIN), zone);
        Ok(Self { from: begin(from), end: begin(end), zone, days: BTreeMap::new(), left: MOST_TIMES })
    }

    /// Counts when a schedule fires. What is overdue stands where it was due.
    fn add(&mut self, schedule: &Schedule, calendars: &Calendars) {
        let active = schedule.next.filter(|_| schedule.paused_why.is_none());
        let plan = Plan::of(schedule.id, &schedule.settings, calendars).ok().flatten();
        // Nobody knows when an event comes.
        let Some((next, plan)) = active.zip(plan.filter(|plan| !plan.awaits_event())) else { return };
        let instant = TimeDelta::microseconds(1);
        let from = |from: DateTime<Utc>, one: NextFiring| plan.following(NextFiring { due: from - instant, ..one });
        let mut next = if next.due < self.from { from(self.from, next) } else { Some(next) };
        while let Some(one) = next.filter(|one| one.due < self.end && self.left > 0) {
            self.left -= 1;
            let day = one.due.with_timezone(&self.zone).date_naive();
            let of_day = self.days.entry(day).or_default();
            match of_day.last_mut().filter(|last| last.id == schedule.id) {
                Some(known) if known.count == MOST_OF_A_DAY => {
                    known.more = true;
                    let tomorrow = day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
                    next = from(moment_of(tomorrow.and_time(NaiveTime::MIN), self.zone), one);
                    continue;
                }
                Some(known) => {
                    known.count += 1;
                    known.last = one.due;
                }
                None => of_day.push(UpcomingScheduleView::first_of(schedule, one.due)),
            }
            next = plan.following(one);
        }
    }

    fn show(self, all: bool) -> UpcomingView {
        let in_order = |(day, mut schedules): (NaiveDate, Vec<UpcomingScheduleView>)| {
            schedules.sort_by_key(|one| (one.first, one.id));
            UpcomingDayView { day, schedules }
        };
        let days = self.days.into_iter().map(in_order).collect();
        UpcomingView { zone: self.zone.name().to_owned(), days, complete: all && self.left > 0 }
    }
}

impl UpcomingScheduleView {
    fn first_of(schedule: &Schedule, due: DateTime<Utc>) -> Self {
        Self {
            id: schedule.id,
            title: schedule.settings.title.clone(),
            report: schedule.settings.report.clone(),
            owner: schedule.owner.principal.clone(),
            count: 1,
            more: false,
            first: due,
            last: due,
        }
    }
}
