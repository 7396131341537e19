//! Jobs that the holders of tokens may have under way: counted one after the other for each principal, so that many submits at once
//! do not all find the same place free. Each gateway counts for itself.

use std::sync::Arc;

use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use model::job::Caller;
use model::problem::ProblemKind;
use moka::sync::Cache;
use store::Store;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::auth::Identity;
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
    /// Waits for the turn of whoever holds a token that bounds what is under way, and counts.
    ///
    /// # Errors
    /// `too-many-requests`; the store's.
    pub(super) async fn take(&self, store: &dyn Store, identity: &Identity) -> Result<Option<Turn>, ApiError> {
        let Some(most) = identity.bounds().and_then(|bounds| bounds.max_unfinished) else { return Ok(None) };
        let caller: &Caller = identity;
        let turn = self.0.get_with_by_ref(caller, Arc::default);
        let turn = Turn { _held: turn.lock_owned().await };
        if store.count_unfinished_of(identity).await? < most {
            return Ok(Some(turn));
        }
        let detail = format!("Your token allows {most} jobs under way at once. Wait until some have finished.");
        let error = ApiError::new(ProblemKind::TooManyRequests, detail);
        Err(error.header(RETRY_AFTER, HeaderValue::from_static("5")))
    }
}
