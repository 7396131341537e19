//! How much a tenant may do: submits a second, unfinished jobs at once, recipients a day, and its quotas.

mod day_limits;
mod quotas;
mod rate;
mod recipients;
mod refuse;
mod turns;
mod unfinished;

use std::sync::Arc;
use std::time::Duration;

use configuration::Config;
use model::job::Caller;
use model::usage::Usage;
use moka::sync::Cache;
use store::Store;

use crate::auth::Identity;
use crate::error::ApiError;

pub(crate) use day_limits::{DayLimits, NamedLimit};
pub use quotas::{QuotaGate, QuotaShare};
pub use rate::RateLimitStatus;
use rate::{BUCKET_SECONDS, TenantRate};
use recipients::RecipientLimit;
pub use turns::Turn;
use turns::Turns;
use unfinished::{UnfinishedJobs, UnfinishedLimit};

/// A tenant that submitted nothing for this long is forgotten: its bucket is long full again, and its jobs are counted anew.
const IDLE: Duration = Duration::from_secs(BUCKET_SECONDS as u64 * 6);

/// What tenants may do.
#[derive(Debug)]
pub struct SubmitLimits {
    /// Of tenants and principals, a day.
    pub quotas: QuotaGate,
    unfinished: UnfinishedLimit,
    recipients: RecipientLimit,
    tenants: Tenants,
    turns: Turns,
}

/// What all tenants have used that submitted something lately.
#[derive(Debug)]
struct Tenants {
    per_second: u32,
    by_name: Cache<String, Arc<TenantUsage>>,
}

/// What one tenant has used.
#[derive(Debug)]
struct TenantUsage {
    /// None: as many submits a second as it likes.
    rate: Option<TenantRate>,
    unfinished: Arc<UnfinishedJobs>,
}

impl SubmitLimits {
    /// Knows no tenant yet.
    #[must_use]
    pub fn new(config: &Config, store: Arc<dyn Store>) -> Self {
        let quotas = QuotaGate::new(config, Arc::clone(&store));
        let unfinished = UnfinishedLimit { store, most: config.http.max_unfinished_jobs };
        let recipients = RecipientLimit::new(config.mail.recipients_per_day);
        let tenants = Tenants::new(config.http.submits_per_second, IDLE);
        Self { quotas, unfinished, recipients, tenants, turns: Turns::default() }
    }

    /// Waits for the turn of a principal, where their token or a quota bounds how many jobs they may have under way.
    ///
    /// # Errors
    /// `too-many-requests`; the store's.
    pub async fn take_turn(&self, identity: &Identity) -> Result<Option<Turn>, ApiError> {
        self.take_turn_of(identity, identity.bounds().and_then(|bounds| bounds.max_unfinished)).await
    }

    /// Waits for the turn of a principal who may have so many jobs under way, as [`SubmitLimits::take_turn`] does.
    ///
    /// # Errors
    /// `too-many-requests`; the store's.
    pub async fn take_turn_of(&self, caller: &Caller, by_token: Option<u32>) -> Result<Option<Turn>, ApiError> {
        let by_quota = self.quotas.of(&caller.tenant).principal_unfinished_jobs;
        self.turns.take(self.unfinished.store.as_ref(), caller, (by_token, by_quota)).await
    }

    /// Takes one submit, with its recipients and links, out of what a tenant and a principal may do. What is returned is held until the
    /// job is written.
    ///
    /// # Errors
    /// `too-many-requests`, `quota-exhausted`, `quota-exceeded`; the store's.
    pub async fn acquire(
        &self,
        caller: &Caller,
        (recipients, links): (usize, usize),
    ) -> Result<(Option<RateLimitStatus>, Vec<QuotaShare>), ApiError> {
        let tenant = caller.tenant.as_str();
        let usage = self.tenants.usage_of(tenant);
        let status = usage.rate.as_ref().map(TenantRate::acquire).transpose()?;
        let asked = Usage { jobs: 1, recipients: recipients as u64, links: links as u64, ..Usage::default() };
        let shares = self.quotas.take(caller, asked).await?;
        self.recipients.acquire(tenant, recipients)?;
        self.unfinished.acquire(tenant, &usage.unfinished, self.most_unfinished(tenant)).await?;
        Ok((status, shares))
    }

    /// Makes sure that somebody may have more rows read today, before a job of theirs runs again.
    ///
    /// # Errors
    /// `quota-exhausted`; the store's.
    pub async fn check_runs(&self, caller: &Caller) -> Result<(), ApiError> {
        self.quotas.take(caller, Usage::default()).await.map(drop)
    }

    /// Returns how many unfinished jobs a tenant may have.
    #[must_use]
    pub fn most_unfinished(&self, tenant: &str) -> u32 {
        match self.quotas.of(tenant).unfinished_jobs {
            0 => self.unfinished.most,
            most => most.min(self.unfinished.most),
        }
    }
}

impl Tenants {
    fn new(per_second: u32, idle: Duration) -> Self {
        Self { per_second, by_name: Cache::builder().time_to_idle(idle).build() }
    }

    fn usage_of(&self, tenant: &str) -> Arc<TenantUsage> {
        self.by_name.get_with_by_ref(tenant, || {
            Arc::new(TenantUsage { rate: TenantRate::new(self.per_second), unfinished: Arc::default() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_keeps_its_bucket_however_many_others_there_are() {
        let tenants = Tenants::new(1, IDLE);
        let usage = tenants.usage_of("acme");
        for other in 0..20_000 {
            tenants.usage_of(&format!("other-{other}"));
        }
        tenants.by_name.run_pending_tasks();
        assert!(Arc::ptr_eq(&usage, &tenants.usage_of("acme")));
    }

    #[tokio::test]
    async fn tenants_that_are_idle_are_forgotten() {
        let tenants = Tenants::new(1, Duration::from_millis(20));
        for number in 0..100 {
            tenants.usage_of(&format!("tenant-{number}"));
        }
        testing::eventually(Duration::from_secs(10), "all of them to be forgotten", async || {
            tenants.by_name.run_pending_tasks();
            (tenants.by_name.entry_count() == 0).then_some(())
        })
        .await;
    }
}
