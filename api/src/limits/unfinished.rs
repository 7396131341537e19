//! Unfinished jobs at once: counted by the store, and by this gateway in between.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::problem::LimitOwner;
use parking_lot::Mutex;
use store::{Store, StoreError};

use super::refuse::{too_many_unfinished, with_rate_limit};
use crate::error::ApiError;

/// A count of unfinished jobs is good for this long: other gateways let jobs in that it does not know of. Below the limit that is
/// the only time the store is asked, and nobody waits for it.
const COUNT_TTL: Duration = Duration::from_secs(1);

/// Counting takes the longer the more there is to count: it gets at most one part in so many of the time.
const COUNT_SHARE: u32 = 50;

/// Close to the limit the store is asked again, but not more often than this.
const COUNT_PAUSE: Duration = Duration::from_millis(100);

/// The limit, and who counts.
#[derive(Debug, Clone)]
pub(super) struct UnfinishedLimit {
    pub(super) store: Arc<dyn Store>,
    /// Unfinished jobs any tenant may have.
    pub(super) most: u32,
}

/// The unfinished jobs of one tenant.
#[derive(Debug, Default)]
pub(super) struct UnfinishedJobs {
    count: Mutex<UnfinishedCount>,
    /// Held by the one request that asks the store.
    asking: tokio::sync::Mutex<()>,
}

/// What the store said, and what was let in since.
#[derive(Debug, Default)]
struct UnfinishedCount {
    stored: Option<(u32, Instant)>,
    /// How long the store took to say it.
    took: Duration,
    since: u32,
    refreshing: bool,
}

impl UnfinishedLimit {
    /// Counts one more.
    ///
    /// # Errors
    /// `too-many-requests`; the store's.
    pub(super) async fn acquire(&self, tenant: &str, jobs: &Arc<UnfinishedJobs>, most: u32) -> Result<(), ApiError> {
        let taken = {
            let mut count = jobs.count.lock();
            let taken = count.take(most);
            let ttl = COUNT_TTL.max(count.took * COUNT_SHARE);
            let stale = count.stored.is_some_and(|(_, at)| at.elapsed() > ttl);
            if taken && stale && !count.refreshing {
                count.refreshing = true;
                self.refresh_behind(tenant, jobs, most);
            }
            taken
        };
        if taken {
            return Ok(());
        }
        let _alone = jobs.asking.lock().await;
        let rested = jobs.count.lock().stored.is_none_or(|(_, at)| at.elapsed() > COUNT_PAUSE);
        if rested {
            self.count(tenant, jobs, most).await?;
        }
        if jobs.count.lock().take(most) {
            return Ok(());
        }
        Err(too_many(most))
    }

    /// Asks the store while the request goes on: with many jobs waiting, counting takes milliseconds.
    fn refresh_behind(&self, tenant: &str, jobs: &Arc<UnfinishedJobs>, most: u32) {
        let (limit, tenant, jobs) = (self.clone(), tenant.to_owned(), Arc::clone(jobs));
        tokio::spawn(async move {
            if let Err(error) = limit.count(&tenant, &jobs, most).await {
                tracing::warn!(%error, tenant, "could not count unfinished jobs; going on with the last count");
            }
            jobs.count.lock().refreshing = false;
        });
    }

    async fn count(&self, tenant: &str, jobs: &UnfinishedJobs, most: u32) -> Result<(), StoreError> {
        let before = jobs.count.lock().since;
        let asked = Instant::now();
        let stored = self.store.count_unfinished(tenant, most).await?;
        let mut count = jobs.count.lock();
        count.took = asked.elapsed();
        // What was let in while the store counted may be missing from its answer.
        count.since = count.since.saturating_sub(before);
        count.stored = Some((stored, Instant::now()));
        Ok(())
    }
}

fn too_many(most: u32) -> ApiError {
    let detail = format!(
        "{most} jobs of this tenant are waiting or running, which is the limit. Wait until some have finished."
    );
    let error = too_many_unfinished("unfinished_jobs", LimitOwner::Tenant, most, detail);
    with_rate_limit(error, "unfinished-jobs", most.into(), None)
}

impl UnfinishedCount {
    /// Takes a place when, for all that is known, there is one.
    fn take(&mut self, most: u32) -> bool {
        let free = self.stored.is_some_and(|(stored, _)| stored.saturating_add(self.since) < most);
        if free {
            self.since += 1;
        }
        free
    }
}
