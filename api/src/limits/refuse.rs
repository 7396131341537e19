//! What is said when a limit is reached: its name, how much it is, and when it ends.

use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use chrono::SecondsFormat;
use model::problem::{LimitOwner, Problem, ProblemKind, ReachedLimit};

use super::day_limits::NamedLimit;
use super::quotas::StoredCount;
use super::rate::{RATE_LIMIT, RATE_LIMIT_POLICY};
use crate::error::ApiError;

/// Refuses what there is nothing left for today.
pub(super) fn quota_exhausted(limit: &NamedLimit, stored: &StoredCount) -> ApiError {
    let ends = stored.day.ends.to_rfc3339_opts(SecondsFormat::Secs, true);
    let NamedLimit { name, of_principal, most, used } = limit;
    let who = if *of_principal { "You have" } else { "Your tenant has" };
    let detail = format!("{who} used {used} of the {most} that `{name}` allows a day. The next day begins at {ends}.");
    let of = if *of_principal { LimitOwner::Principal } else { LimitOwner::Tenant };
    let reached =
        ReachedLimit { name: name.clone(), of, most: *most, used: Some(*used), ends_at: Some(stored.day.ends) };
    let wait = (stored.day.ends - stored.now).num_seconds().max(1);
    let error = ApiError::from(Problem::new(ProblemKind::QuotaExhausted, detail).of_limit(reached));
    with_rate_limit(error.header(RETRY_AFTER, HeaderValue::from(wait)), name, *most, Some(wait))
}

/// Refuses what no day has enough for.
pub(super) fn quota_too_small(name: &str, most: u64, asked: u64) -> ApiError {
    let detail = format!("This asks for {asked}, and `{name}` allows {most}. Ask for less at once.");
    let of = if name.starts_with("principal_") { LimitOwner::Principal } else { LimitOwner::Tenant };
    let reached = ReachedLimit { name: name.to_owned(), of, most, used: None, ends_at: None };
    Problem::new(ProblemKind::QuotaExceeded, detail).of_limit(reached).into()
}

/// Refuses one more job where there are as many under way as there may be.
pub(super) fn too_many_unfinished(name: &str, of: LimitOwner, most: u32, detail: String) -> ApiError {
    let reached = ReachedLimit { name: name.to_owned(), of, most: most.into(), used: None, ends_at: None };
    let error = ApiError::from(Problem::new(ProblemKind::TooManyRequests, detail).of_limit(reached));
    error.header(RETRY_AFTER, HeaderValue::from_static("5"))
}

/// Says that too many ask at once to know what is left.
pub(super) fn busy() -> ApiError {
    ApiError::new(ProblemKind::TooManyRequests, "Too many submits at once are close to a quota. Try again in a moment.")
}

/// Writes the RateLimit header fields of a limit with nothing left. `t`: seconds until there is.
pub(super) fn with_rate_limit(error: ApiError, name: &str, most: u64, seconds: Option<i64>) -> ApiError {
    let until = seconds.map(|seconds| format!(";t={seconds}")).unwrap_or_default();
    let (policy, limit) = (format!(r#""{name}";q={most}"#), format!(r#""{name}";r=0{until}"#));
    match (HeaderValue::from_str(&policy), HeaderValue::from_str(&limit)) {
        (Ok(policy), Ok(limit)) => error.header(RATE_LIMIT_POLICY, policy).header(RATE_LIMIT, limit),
        _ => error,
    }
}
