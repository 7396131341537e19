//! `GET /v1/usage`: what was used of each quota, today and day by day.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, NaiveDate, Utc};
use model::job::Caller;
use model::problem::LimitOwner;
use model::usage::{Usage, UsageDay, UsagePart, UsageSubject};
use serde::Serialize;
use store::{COUNTED_AT_MOST, Scope, StoreError};
use utoipa::ToSchema;

use crate::auth::Identity;
use crate::error::ApiResult;
use crate::gateway::Gateway;
use crate::limits::{DayLimits, NamedLimit};

/// Days that are shown, today among them.
const DAYS: u64 = 30;

/// A limit, and what is used of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageLimit)]
pub struct LimitView {
    /// Its name in the configuration.
    name: String,
    /// Whom it binds.
    of: LimitOwner,
    /// How much it allows; null where there is no limit.
    most: Option<u64>,
    /// How much of that is used: of limits a day, today. Unfinished jobs are counted up to 10,000.
    used: u64,
}

/// What was used on one day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageOfDay)]
pub struct DayView {
    /// In `time_zone`.
    day: NaiveDate,
    /// What was used.
    #[serde(flatten)]
    usage: Usage,
}

/// What a principal, or all of a tenant, used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageOfSubject)]
pub struct SubjectView {
    /// Every limit that there may be.
    limits: Vec<LimitView>,
    /// The last thirty days, today first.
    days: Vec<DayView>,
}

/// What was used by one principal, or of one report.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NamedUsage)]
pub struct NamedUsageView {
    /// The principal, or the report.
    name: String,
    /// What was used today.
    today: Usage,
    /// What was used within the last thirty days.
    total: Usage,
}

/// What all of a tenant used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageOfTenant)]
pub struct TenantUsageView {
    /// Every limit that there may be.
    limits: Vec<LimitView>,
    /// The last thirty days, today first.
    days: Vec<DayView>,
    /// Those with the most jobs first, at most a hundred.
    principals: Vec<NamedUsageView>,
    /// Of the catalogue's reports those with the most jobs first, at most a hundred.
    reports: Vec<NamedUsageView>,
}

/// What was used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageReport)]
pub struct UsageView {
    /// Whose day it is: an IANA name.
    time_zone: String,
    /// Today.
    day: NaiveDate,
    /// When the next day begins.
    ends_at: DateTime<Utc>,
    /// What the caller used.
    own: SubjectView,
    /// What all of the tenant used; for those with the scope `admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantUsageView>,
}

/// Says what was used of each quota, today and within the last thirty days: by the caller, and with the scope `admin` by the whole tenant,
/// each principal of it, and of each report.
#[utoipa::path(get, path = "/v1/usage", tag = "usage",
    responses((status = 200, description = "What was used", body = UsageView))
)]
pub async fn read(gateway: web::Data<Gateway>, identity: Identity) -> ApiResult {
    let zone = gateway.limits.quotas.zone();
    let today = UsageDay::at(gateway.store.now().await?, zone);
    let days: Vec<UsageDay> = (0..DAYS).map(|days| today.before(days, zone)).collect();
    let reader = UsageReader { gateway: &gateway, caller: &identity, days };
    let tenant =
        if identity.scopes().contains(&Scope::Admin) { Some(reader.of_tenant(&identity).await?) } else { None };
    let own = reader.own().await?;
    let view = UsageView { time_zone: zone.name().to_owned(), day: today.date, ends_at: today.ends, own, tenant };
    Ok(HttpResponse::Ok().json(view))
}

struct UsageReader<'a> {
    gateway: &'a Gateway,
    caller: &'a Caller,
    /// Today first.
    days: Vec<UsageDay>,
}

impl UsageReader<'_> {
    async fn own(&self) -> Result<SubjectView, StoreError> {
        let Self { gateway, caller, .. } = self;
        let quotas = gateway.limits.quotas.of(&caller.tenant);
        let under_way = gateway.store.count_unfinished_of(caller).await?;
        let unfinished = unfinished(LimitOwner::Principal, quotas.principal_unfinished_jobs, under_way);
        let days = self.of_days(&UsageSubject::Principal(caller.principal.clone())).await?;
        let limits = limits(&DayLimits::of_principal(quotas), unfinished, &days);
        Ok(SubjectView { limits, days })
    }

    async fn of_tenant(&self, identity: &Identity) -> Result<TenantUsageView, StoreError> {
        let Self { gateway, caller, .. } = self;
        let (store, tenant) = (&gateway.store, caller.tenant.as_str());
        let most = gateway.limits.most_unfinished(tenant);
        let under_way = store.count_unfinished(tenant, most.min(COUNTED_AT_MOST)).await?;
        let days = self.of_days(&UsageSubject::Tenant).await?;
        let quotas = gateway.limits.quotas.of(tenant);
        let limits = limits(&DayLimits::of_tenant(quotas), unfinished(LimitOwner::Tenant, most, under_way), &days);
        let (today, first) = (self.starts(0), self.starts(self.days.len().saturating_sub(1)));
        let principals =
            named(store.usage_by_principal(tenant, first).await?, &store.usage_by_principal(tenant, today).await?);
        let mut reports =
            named(store.usage_by_report(tenant, first).await?, &store.usage_by_report(tenant, today).await?);
        // Who may not see a report does not know that there is one.
        let may_see = |name: &str| gateway.catalogue.report(name).is_some_and(|report| identity.may_run(&report));
        reports.retain(|report| may_see(&report.name));
        Ok(TenantUsageView { limits, days, principals, reports })
    }

    fn starts(&self, days_ago: usize) -> DateTime<Utc> {
        self.days.get(days_ago).map_or(DateTime::UNIX_EPOCH, |day| day.starts)
    }

    async fn of_days(&self, subject: &UsageSubject) -> Result<Vec<DayView>, StoreError> {
        let since = self.starts(self.days.len().saturating_sub(1));
        let parts = self.gateway.store.usage_of(&self.caller.tenant, subject, since).await?;
        let of_day = |day: &UsageDay| {
            let within = parts.iter().filter(|part: &&UsagePart| day.holds(part.since));
            DayView { day: day.date, usage: within.map(|part| part.usage).sum() }
        };
        Ok(self.days.iter().map(of_day).collect())
    }
}

fn unfinished(of: LimitOwner, most: u32, used: u32) -> LimitView {
    let name = if of == LimitOwner::Principal { "principal_unfinished_jobs" } else { "unfinished_jobs" };
    LimitView { name: name.to_owned(), of, most: (most > 0).then_some(most.into()), used: used.into() }
}

fn limits(limits: &DayLimits, unfinished: LimitView, days: &[DayView]) -> Vec<LimitView> {
    let today = days.first().map(|day| day.usage).unwrap_or_default();
    let a_day = limits.all(today).map(|limit: NamedLimit| LimitView {
        name: limit.name,
        of: if limit.of_principal { LimitOwner::Principal } else { LimitOwner::Tenant },
        most: (limit.most > 0).then_some(limit.most),
        used: limit.used,
    });
    std::iter::once(unfinished).chain(a_day).collect()
}

fn named(total: Vec<(String, Usage)>, today: &[(String, Usage)]) -> Vec<NamedUsageView> {
    let of_today = |name: &str| today.iter().find(|(other, _)| other == name).map(|(_, usage)| *usage);
    let view =
        |(name, total): (String, Usage)| NamedUsageView { today: of_today(&name).unwrap_or_default(), name, total };
    total.into_iter().map(view).collect()
}
