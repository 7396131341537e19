//! Submits a second: a bucket of tokens for each tenant.

use std::num::NonZeroU32;

use actix_web::HttpResponseBuilder;
use actix_web::http::header::{HeaderName, HeaderValue};
use governor::clock::DefaultClock;
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use model::problem::ProblemKind;

use crate::error::ApiError;

/// A bucket holds this many seconds' worth of submits.
pub(super) const BUCKET_SECONDS: u32 = 10;

pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The bucket of one tenant.
#[derive(Debug)]
pub(super) struct TenantRate {
    per_second: NonZeroU32,
    bucket: RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>,
}

/// How much of its rate a tenant has left, for the answer's header fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitStatus {
    per_second: NonZeroU32,
    remaining: u32,
}

impl TenantRate {
    /// Makes a full bucket. `None`: there is no limit.
    pub(super) fn new(per_second: u32) -> Option<Self> {
        let per_second = NonZeroU32::new(per_second)?;
        let quota = Quota::per_second(per_second).allow_burst(capacity(per_second));
        Some(Self { per_second, bucket: RateLimiter::direct(quota).with_middleware() })
    }

    /// Takes a token.
    ///
    /// # Errors
    /// `too-many-requests`.
    pub(super) fn acquire(&self) -> Result<RateLimitStatus, ApiError> {
        let per_second = self.per_second;
        match self.bucket.check() {
            Ok(state) => Ok(RateLimitStatus { per_second, remaining: state.remaining_burst_capacity() }),
            Err(_empty) => {
                let detail = format!("At most {per_second} submits a second are accepted. Slow down.");
                let error = ApiError::new(ProblemKind::TooManyRequests, detail);
                Err(RateLimitStatus { per_second, remaining: 0 }.write_to_error(error))
            }
        }
    }
}

fn capacity(per_second: NonZeroU32) -> NonZeroU32 {
    NonZeroU32::new(per_second.get().saturating_mul(BUCKET_SECONDS)).unwrap_or(per_second)
}

impl RateLimitStatus {
    /// Writes the RateLimit header fields of an answer.
    pub fn write_to(self, answer: &mut HttpResponseBuilder) {
        answer.insert_header((RATE_LIMIT_POLICY, self.policy())).insert_header((RATE_LIMIT, self.limit()));
    }

    fn write_to_error(self, error: ApiError) -> ApiError {
        match (HeaderValue::from_str(&self.policy()), HeaderValue::from_str(&self.limit())) {
            (Ok(policy), Ok(limit)) => error.header(RATE_LIMIT_POLICY, policy).header(RATE_LIMIT, limit),
            _ => error,
        }
    }

    fn policy(self) -> String {
        format!(r#""submits";q={};w={BUCKET_SECONDS}"#, capacity(self.per_second))
    }

    /// `t`: seconds until the bucket is full again.
    fn limit(self) -> String {
        let missing = capacity(self.per_second).get().saturating_sub(self.remaining);
        format!(r#""submits";r={};t={}"#, self.remaining, missing.div_ceil(self.per_second.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_ten_seconds_worth_and_then_refuses() {
        let rate = TenantRate::new(2).unwrap();
        let first = rate.acquire().unwrap();
        assert_eq!((first.remaining, first.limit().as_str()), (19, r#""submits";r=19;t=1"#));
        // Slow machines fill it in between, so that one more may fit.
        let taken = 1 + std::iter::from_fn(|| rate.acquire().ok()).take(100).count();
        assert!((20..100).contains(&taken), "{taken}");
    }

    #[test]
    fn the_header_fields_say_what_is_left_and_when_it_is_full_again() {
        let status = |remaining| RateLimitStatus { per_second: NonZeroU32::new(2).unwrap(), remaining };
        assert_eq!(status(0).policy(), r#""submits";q=20;w=10"#);
        assert_eq!(status(0).limit(), r#""submits";r=0;t=10"#);
        assert_eq!(status(17).limit(), r#""submits";r=17;t=2"#);
        assert_eq!(status(20).limit(), r#""submits";r=20;t=0"#);
    }

    #[test]
    fn where_no_rate_is_configured_there_is_no_bucket() {
        assert!(TenantRate::new(0).is_none());
    }
}
