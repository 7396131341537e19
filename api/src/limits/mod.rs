//! How much a tenant may do: submits a second, unfinished jobs at once, recipients a day.

mod rate;
mod recipients;
mod turns;
mod unfinished;

use std::sync::Arc;
use std::time::Duration;

use configuration::Config;
use moka::sync::Cache;
use store::Store;

use crate::auth::Identity;
use crate::error::ApiError;

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
        let unfinished = UnfinishedLimit { store, most: config.http.max_unfinished_jobs };
        let recipients = RecipientLimit::new(config.mail.recipients_per_day);
        let tenants = Tenants::new(config.http.submits_per_second, IDLE);
        Self { unfinished, recipients, tenants, turns: Turns::default() }
    }

    /// Waits for the turn of a token's holder, where their token bounds how many jobs they may have under way.
    ///
    /// # Errors
    /// `too-many-requests`; the store's.
    pub async fn take_turn(&self, identity: &Identity) -> Result<Option<Turn>, ApiError> {
        self.turns.take(self.unfinished.store.as_ref(), identity).await
    }

    /// Takes one submit, with its recipients, out of what a tenant may do.
    ///
    /// # Errors
    /// `too-many-requests`; the store's.
    pub async fn acquire(&self, tenant: &str, recipients: usize) -> Result<Option<RateLimitStatus>, ApiError> {
        let usage = self.tenants.usage_of(tenant);
        let status = usage.rate.as_ref().map(TenantRate::acquire).transpose()?;
        self.recipients.acquire(tenant, recipients)?;
        self.unfinished.acquire(tenant, &usage.unfinished).await?;
        Ok(status)
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
