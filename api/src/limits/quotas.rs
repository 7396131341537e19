//! Quotas: how much a tenant, and each principal of it, may use a day. The store counts, in the transaction that writes a job or settles
//! it; a gateway remembers a count for a moment where there is much left, asks each time where there is less, and lets in one after the
//! other where there is little. So two gateways go beyond a quota by at most what both let in at the same moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use configuration::{Config, Quotas};
use model::job::Caller;
use model::locale::Tz;
use model::usage::{Usage, UsageDay, UsageSubject};
use moka::sync::Cache;
use parking_lot::Mutex;
use store::{Store, StoreError};
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::timeout;

use super::day_limits::DayLimits;
use super::refuse::{quota_exhausted, quota_too_small};
use crate::cache;
use crate::error::ApiError;

/// Tenants and principals whose counts are remembered.
const MAX_COUNTS: u64 = 20_000;

/// A count is good for this long where there is much left.
const COUNT_TTL: Duration = Duration::from_secs(1);

/// Submits under way may be in the count already, and may fail: close to the end they are waited for, so often and so long each time.
const TRIES: u32 = 20;
const PATIENCE: Duration = Duration::from_millis(50);

/// What everybody may use, and who may use something else.
#[derive(Debug)]
pub struct QuotaGate {
    store: Arc<dyn Store>,
    zone: Tz,
    everybody: Quotas,
    tenants: BTreeMap<String, Quotas>,
    counts: Cache<(String, UsageSubject), Arc<DayCount>>,
}

/// What one tenant or principal has used today.
#[derive(Debug, Default)]
struct DayCount {
    state: Mutex<CountState>,
    /// Held by the one request that asks the store.
    asking: Arc<tokio::sync::Mutex<()>>,
    /// Told when a submit has ended that was under way.
    ended: Notify,
}

#[derive(Debug, Default)]
struct CountState {
    stored: Option<StoredCount>,
    /// Of submits that were let in and have not ended.
    under_way: Usage,
    /// Of those that have ended since the store was asked: the answer may lack them.
    ended: Usage,
}

/// What the store said.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredCount {
    pub(super) used: Usage,
    pub(super) day: UsageDay,
    /// Database time.
    pub(super) now: DateTime<Utc>,
    at: Instant,
}

/// What was taken out of a quota for a submit, until it is written.
#[derive(Debug)]
pub struct QuotaShare {
    count: Arc<DayCount>,
    taken: Usage,
    /// Where little is left: the next one asks the store when this one is in its answer, which other gateways are told as well.
    alone: Option<OwnedMutexGuard<()>>,
}

impl Drop for QuotaShare {
    fn drop(&mut self) {
        let mut state = self.count.state.lock();
        state.under_way = state.under_way.minus(self.taken);
        state.ended = state.ended.plus(self.taken);
        drop(state);
        self.count.ended.notify_waiters();
    }
}

impl QuotaGate {
    /// Knows no count yet.
    #[must_use]
    pub fn new(config: &Config, store: Arc<dyn Store>) -> Self {
        let tenants = config.tenants.iter().map(|(name, tenant)| (name.clone(), tenant.quotas.clone()));
        Self {
            store,
            zone: config.service.time_zone,
            everybody: config.quotas.clone(),
            tenants: tenants.collect(),
            counts: cache::bounded(MAX_COUNTS).time_to_idle(Duration::from_secs(60)).build(),
        }
    }

    /// Returns what a tenant and its principals may use.
    #[must_use]
    pub fn of(&self, tenant: &str) -> &Quotas {
        self.tenants.get(tenant).unwrap_or(&self.everybody)
    }

    /// Returns whose days usage is counted by.
    #[must_use]
    pub const fn zone(&self) -> Tz {
        self.zone
    }

    /// Takes something out of what a tenant and a principal may use today. Asking for nothing finds out whether more may be run.
    ///
    /// # Errors
    /// `quota-exhausted`, `quota-exceeded`; the store's.
    pub async fn take(&self, caller: &Caller, asked: Usage) -> Result<Vec<QuotaShare>, ApiError> {
        let quotas = self.of(&caller.tenant);
        let per_job = quotas.recipients_per_job;
        if per_job > 0 && asked.recipients > per_job {
            return Err(quota_too_small("recipients_per_job", per_job, asked.recipients));
        }
        let subjects = [
            (UsageSubject::Tenant, DayLimits::of_tenant(quotas)),
            (UsageSubject::Principal(caller.principal.clone()), DayLimits::of_principal(quotas)),
        ];
        let bounded = || subjects.iter().filter(|(_, limits)| !limits.are_none());
        for (_, limits) in bounded() {
            if let Some((limit, asked)) = limits.never_allow(asked) {
                return Err(quota_too_small(&limit.name, limit.most, asked));
            }
        }
        let mut shares = Vec::new();
        for (subject, limits) in bounded() {
            shares.push(self.take_of((&caller.tenant, subject), limits, asked).await?);
        }
        Ok(shares)
    }

    async fn take_of(
        &self,
        (tenant, subject): (&str, &UsageSubject),
        limits: &DayLimits,
        asked: Usage,
    ) -> Result<QuotaShare, ApiError> {
        let count = self.counts.get_with((tenant.to_owned(), subject.clone()), Arc::default);
        if let Some(share) = count.take_of_plenty(limits, asked) {
            return Ok(share);
        }
        let alone = Arc::clone(&count.asking).lock_owned().await;
        let mut tries = 0;
        loop {
            let ended = count.ended.notified();
            let stored = self.ask(tenant, subject, &count).await?;
            if let Some(mut share) = count.take(limits, asked) {
                let little = limits.leave_little(count.used(stored.used));
                share.alone = Some(alone).filter(|_| little && asked != Usage::default());
                return Ok(share);
            }
            tries += 1;
            // Without those under way there is room: some of them are in the count twice, and others may come to nothing.
            if let Some(limit) = limits.reached(stored.used, asked) {
                return Err(quota_exhausted(&limit, &stored));
            }
            if tries == TRIES {
                let used = count.used(stored.used);
                return Err(limits
                    .reached(used, asked)
                    .map_or_else(super::refuse::busy, |limit| quota_exhausted(&limit, &stored)));
            }
            let _late = timeout(PATIENCE, ended).await;
        }
    }

    async fn ask(&self, tenant: &str, subject: &UsageSubject, count: &DayCount) -> Result<StoredCount, StoreError> {
        // Whatever has ended before is in the answer.
        count.state.lock().ended = Usage::default();
        let at = Instant::now();
        let now = self.store.now().await?;
        let day = UsageDay::at(now, self.zone);
        let parts = self.store.usage_of(tenant, subject, day.starts).await?;
        let stored = StoredCount { used: parts.into_iter().map(|part| part.usage).sum(), day, now, at };
        count.state.lock().stored = Some(stored);
        Ok(stored)
    }
}

impl DayCount {
    /// Takes what is asked where there is much left for all that is known.
    fn take_of_plenty(self: &Arc<Self>, limits: &DayLimits, asked: Usage) -> Option<QuotaShare> {
        let mut state = self.state.lock();
        let stored = state.stored.filter(|stored| stored.at.elapsed() < COUNT_TTL)?;
        let plenty = limits.leave_plenty(stored.used, state.under_way.plus(state.ended), asked);
        plenty.then(|| self.share(&mut state, asked))
    }

    /// Takes what is asked where it is there.
    fn take(self: &Arc<Self>, limits: &DayLimits, asked: Usage) -> Option<QuotaShare> {
        let mut state = self.state.lock();
        let used = state.used(state.stored?.used);
        limits.reached(used, asked).is_none().then(|| self.share(&mut state, asked))
    }

    fn used(&self, stored: Usage) -> Usage {
        self.state.lock().used(stored)
    }

    fn share(self: &Arc<Self>, state: &mut CountState, taken: Usage) -> QuotaShare {
        state.under_way = state.under_way.plus(taken);
        QuotaShare { count: Arc::clone(self), taken, alone: None }
    }
}

impl CountState {
    const fn used(&self, stored: Usage) -> Usage {
        stored.plus(self.under_way).plus(self.ended)
    }
}
