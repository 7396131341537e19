//! Recipients a day: a bucket of a day's worth for each tenant, in each gateway.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use model::problem::ProblemKind;
use moka::sync::Cache;

use crate::cache;
use crate::error::ApiError;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Tenants remembered.
const MAX_TENANTS: u64 = 10_000;

/// To how many recipients a tenant's jobs may have mail sent.
#[derive(Debug)]
pub(super) struct RecipientLimit {
    /// None: to as many as it likes.
    a_day: Option<NonZeroU32>,
    by_tenant: Cache<String, Arc<DefaultDirectRateLimiter>>,
}

impl RecipientLimit {
    /// Knows no tenant yet; 0: there is no limit.
    pub(super) fn new(a_day: u32) -> Self {
        // A bucket that nobody took from for a day is full again.
        Self { a_day: NonZeroU32::new(a_day), by_tenant: cache::bounded(MAX_TENANTS).time_to_idle(DAY).build() }
    }

    /// Takes the recipients of one job.
    ///
    /// # Errors
    /// `too-many-requests`.
    pub(super) fn acquire(&self, tenant: &str, recipients: usize) -> Result<(), ApiError> {
        let (Some(a_day), Some(wanted)) = (self.a_day, u32::try_from(recipients).ok().and_then(NonZeroU32::new)) else {
            return Ok(());
        };
        let bucket = self.by_tenant.get_with_by_ref(tenant, || Arc::new(full_bucket(a_day)));
        let wait = match bucket.check_n(wanted) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(until)) => until.wait_time_from(DefaultClock::default().now()),
            Err(_more_than_a_day_has) => DAY,
        };
        let detail = format!(
            "At most {a_day} recipients a day are mailed for one tenant. Submit without `notify`, or try again later."
        );
        let error = ApiError::new(ProblemKind::TooManyRequests, detail);
        Err(error.header(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1))))
    }
}

fn full_bucket(a_day: NonZeroU32) -> DefaultDirectRateLimiter {
    let period = (DAY / a_day.get()).max(Duration::from_nanos(1));
    let quota = Quota::with_period(period).unwrap_or_else(|| Quota::per_second(a_day));
    RateLimiter::direct(quota.allow_burst(a_day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_mails_so_many_recipients_a_day_and_no_other_tenant_pays_for_it() {
        let limit = RecipientLimit::new(5);
        limit.acquire("a", 3).unwrap();
        limit.acquire("a", 2).unwrap();
        assert_eq!(limit.acquire("a", 1).unwrap_err().kind(), ProblemKind::TooManyRequests);
        assert_eq!(limit.acquire("b", 6).unwrap_err().kind(), ProblemKind::TooManyRequests);
        limit.acquire("b", 5).unwrap();
        limit.acquire("a", 0).unwrap();
        let unlimited = RecipientLimit::new(0);
        (0..100).for_each(|_| unlimited.acquire("a", 20).unwrap());
    }
}
