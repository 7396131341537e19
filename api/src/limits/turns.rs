//! Jobs that a principal may have under way, by a token or a quota: counted one after the other for each principal, so that many submits at once
//! do not all find the same place free. Each gateway counts for itself.

use std::sync::Arc;

use model::job::Caller;
use model::problem::LimitOwner;
use moka::sync::Cache;
use store::Store;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::refuse::too_many_unfinished;
use crate::cache;
use crate::error::ApiError;

/// Principals remembered.
const MAX_PRINCIPALS: u64 = 10_000;

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Turns(Cache<Caller, Arc<Mutex<()>>>);

/// Held until the job is written.
#[derive(Debug)]
pub struct Turn {
    _held: OwnedMutexGuard<()>,
}

impl Default for Turns {
    fn default() -> Self {
        Self(cache::bounded(MAX_PRINCIPALS).build())
    }
}

impl Turns {
    /// Waits for the turn of whoever may have so many jobs under way, by their token and by a quota (0: any number), and counts.
    ///
    /// # Errors
    /// `too-many-requests`; the store's.
    pub(super) async fn take(
        &self,
        store: &dyn Store,
        caller: &Caller,
        (by_token, by_quota): (Option<u32>, u32),
    ) -> Result<Option<Turn>, ApiError> {
        let by_quota = (by_quota > 0).then_some(by_quota);
        let Some(most) = by_token.into_iter().chain(by_quota).min() else { return Ok(None) };
        let turn = self.0.get_with_by_ref(caller, Arc::default);
        let turn = Turn { _held: turn.lock_owned().await };
        if store.count_unfinished_of(caller).await? < most {
            return Ok(Some(turn));
        }
        let (name, who) = match by_quota {
            Some(quota) if quota == most => ("principal_unfinished_jobs", "You may have"),
            _ => ("max_unfinished", "Your token allows"),
        };
        let detail = format!("{who} {most} jobs under way at once. Wait until some have finished.");
        Err(too_many_unfinished(name, LimitOwner::Principal, most, detail))
    }
}
