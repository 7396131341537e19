//! How much a tenant may do: submits a second, and unfinished jobs at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use actix_web::HttpResponseBuilder;
use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use model::problem::ProblemKind;
use store::{Store, StoreError};

use crate::problem::Fault;

/// A bucket holds this many seconds' worth of submits.
const BUCKET_SECONDS: u32 = 10;

/// A count of unfinished jobs is good for this long: other gateways let jobs in that it does not know of. Below the limit that is
/// the only time the store is asked, and nobody waits for it.
const COUNT_LIVES: Duration = Duration::from_secs(1);

/// Counting takes the longer the more there is to count: it gets at most one part in so many of the time.
const COUNT_SHARE: u32 = 50;

/// Close to the limit the store is asked again, but not more often than this.
const COUNT_RESTS: Duration = Duration::from_millis(100);

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The budgets of all tenants seen.
#[derive(Debug)]
pub struct Limits {
    store: Arc<dyn Store>,
    per_second: u32,
    unfinished: u32,
    tenants: RwLock<HashMap<String, Arc<Budget>>>,
}

/// What one tenant has used.
#[derive(Debug)]
struct Budget {
    bucket: Mutex<Bucket>,
    count: Mutex<Count>,
    /// Held by the one request that asks the store.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

/// Unfinished jobs: what the store said, and what was let in since.
#[derive(Debug, Default)]
struct Count {
    said: Option<(u32, Instant)>,
    /// How long the store took to say it.
    took: Duration,
    since: u32,
    refreshing: bool,
}

/// Where a tenant stands with its rate, for the answer's header fields.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    per_second: u32,
    remaining: u32,
}

impl Limits {
    /// Knows no tenant yet.
    #[must_use]
    pub fn new(config: &configuration::Http, store: Arc<dyn Store>) -> Self {
        let (per_second, unfinished) = (config.submits_per_second, config.max_unfinished_jobs);
        Self { store, per_second, unfinished, tenants: RwLock::default() }
    }

    /// Lets one submit in.
    ///
    /// # Errors
    /// `too-many-requests`; the store's.
    pub async fn admit(&self, tenant: &str) -> Result<Option<Standing>, Fault> {
        let budget = self.budget(tenant);
        let standing = self.take_token(&budget)?;
        self.take_place(tenant, &budget).await?;
        Ok(standing)
    }

    fn budget(&self, tenant: &str) -> Arc<Budget> {
        if let Some(budget) = self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(tenant) {
            return Arc::clone(budget);
        }
        let full = f64::from(self.per_second.saturating_mul(BUCKET_SECONDS));
        let fresh = Budget {
            bucket: Mutex::new(Bucket { tokens: full, filled_at: Instant::now() }),
            count: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        };
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tenants.entry(tenant.to_owned()).or_insert_with(|| Arc::new(fresh)))
    }

    fn take_token(&self, budget: &Budget) -> Result<Option<Standing>, Fault> {
        if self.per_second == 0 {
            return Ok(None);
        }
        let (rate, full) = (f64::from(self.per_second), f64::from(self.per_second.saturating_mul(BUCKET_SECONDS)));
        let mut bucket = lock(&budget.bucket);
        let now = Instant::now();
        bucket.tokens = (bucket.tokens + now.duration_since(bucket.filled_at).as_secs_f64() * rate).min(full);
        bucket.filled_at = now;
        if bucket.tokens < 1.0 {
            let detail = format!("At most {} submits a second are accepted. Slow down.", self.per_second);
            let fault = Fault::new(ProblemKind::TooManyRequests, detail);
            return Err(Standing { per_second: self.per_second, remaining: 0 }.mark_fault(fault));
        }
        bucket.tokens -= 1.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a bucket's size")]
        let remaining = bucket.tokens as u32;
        Ok(Some(Standing { per_second: self.per_second, remaining }))
    }

    async fn take_place(&self, tenant: &str, budget: &Arc<Budget>) -> Result<(), Fault> {
        let taken = {
            let mut count = lock(&budget.count);
            let taken = count.take(self.unfinished);
            let lives = COUNT_LIVES.max(count.took * COUNT_SHARE);
            let stale = count.said.is_some_and(|(_, at)| at.elapsed() > lives);
            if taken && stale && !count.refreshing {
                count.refreshing = true;
                self.refresh_behind(tenant, budget);
            }
            taken
        };
        if taken {
            return Ok(());
        }
        let _alone = budget.asking.lock().await;
        let rested = lock(&budget.count).said.is_none_or(|(_, at)| at.elapsed() > COUNT_RESTS);
        if rested {
            budget.ask(&*self.store, tenant, self.unfinished).await?;
        }
        if lock(&budget.count).take(self.unfinished) {
            return Ok(());
        }
        Err(self.too_many_unfinished())
    }

    /// Asks the store while the request goes on: with many jobs waiting, counting takes milliseconds.
    fn refresh_behind(&self, tenant: &str, budget: &Arc<Budget>) {
        let (store, tenant, budget) = (Arc::clone(&self.store), tenant.to_owned(), Arc::clone(budget));
        let limit = self.unfinished;
        tokio::spawn(async move {
            if let Err(error) = budget.ask(&*store, &tenant, limit).await {
                tracing::warn!(%error, tenant, "could not count unfinished jobs; going on with the last count");
            }
            lock(&budget.count).refreshing = false;
        });
    }

    fn too_many_unfinished(&self) -> Fault {
        let detail = format!(
            "{} jobs of this tenant are waiting or running, which is the limit. Wait until some have finished.",
            self.unfinished
        );
        let fault = Fault::new(ProblemKind::TooManyRequests, detail);
        let fault = fault.header(RETRY_AFTER, HeaderValue::from_static("5"));
        let policy = format!(r#""unfinished-jobs";q={}"#, self.unfinished);
        let fault = fault.header(RATE_LIMIT, HeaderValue::from_static(r#""unfinished-jobs";r=0"#));
        match HeaderValue::from_str(&policy) {
            Ok(policy) => fault.header(RATE_LIMIT_POLICY, policy),
            Err(_) => fault,
        }
    }
}

impl Budget {
    async fn ask(&self, store: &dyn Store, tenant: &str, limit: u32) -> Result<(), StoreError> {
        let before = lock(&self.count).since;
        let asked = Instant::now();
        let said = store.count_unfinished(tenant, limit).await?;
        let mut count = lock(&self.count);
        count.took = asked.elapsed();
        // What was let in while the store counted may be missing from its answer.
        count.since = count.since.saturating_sub(before);
        count.said = Some((said, Instant::now()));
        Ok(())
    }
}

impl Count {
    /// Takes a place when, for all that is known, there is one.
    fn take(&mut self, limit: u32) -> bool {
        let free = self.said.is_some_and(|(said, _)| said.saturating_add(self.since) < limit);
        if free {
            self.since += 1;
        }
        free
    }
}

impl Standing {
    /// Writes the RateLimit header fields of an answer.
    pub fn mark(self, answer: &mut HttpResponseBuilder) {
        answer.insert_header((RATE_LIMIT_POLICY, self.policy())).insert_header((RATE_LIMIT, self.limit()));
    }

    fn mark_fault(self, fault: Fault) -> Fault {
        match (HeaderValue::from_str(&self.policy()), HeaderValue::from_str(&self.limit())) {
            (Ok(policy), Ok(limit)) => fault.header(RATE_LIMIT_POLICY, policy).header(RATE_LIMIT, limit),
            _ => fault,
        }
    }

    fn policy(self) -> String {
        format!(r#""submits";q={};w={BUCKET_SECONDS}"#, self.per_second.saturating_mul(BUCKET_SECONDS))
    }

    /// `t`: seconds until the bucket is full again.
    fn limit(self) -> String {
        let missing = self.per_second.saturating_mul(BUCKET_SECONDS).saturating_sub(self.remaining);
        format!(r#""submits";r={};t={}"#, self.remaining, missing.div_ceil(self.per_second.max(1)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
