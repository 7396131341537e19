//! The part of the contract about turns and pauses: which job a doorbell starts, and which wait until somebody says so.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use model::job::Lane;
use model::pause::PauseTarget;

use super::{Claimed, Result};

/// A doorbell of a lane: somebody should run a job of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnRequest {
    /// The lane.
    pub lane: Lane,
    /// The job that it was rung for: a hint.
    pub hint: Uuid,
    /// The broker said that the message was delivered before: look whether who holds the run it started is gone.
    pub redelivered: bool,
    /// This worker has asked before and was not answered: what it was given then it is given again.
    pub in_doubt: bool,
}

/// How much of a lane each tenant gets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TurnRules {
    /// Weights by tenant; who is not named has 1.
    pub weights: BTreeMap<String, f64>,
}

impl TurnRules {
    /// Returns a tenant's weight.
    #[must_use]
    pub fn weight_of(&self, tenant: &str) -> f64 {
        self.weights.get(tenant).copied().filter(|weight| *weight > 0.0).unwrap_or(1.0)
    }
}

/// Claims by turn.
#[async_trait]
pub trait TurnStore: Send + Sync {
    /// Claims one job a doorbell for `worker_id`, of its lane: the oldest that is `pending` of the principal whose turn it is, of the
    /// tenant whose turn it is ([`model::turns`]). The hint itself is meant where it is `retrying`, must run alone (answered
    /// [`Claimed::MustRunAlone`]), or was redelivered and its run's holder is gone. Where nobody's turn gives a job, it is the hint if
    /// it is `pending`; else there is nothing to do, and the answer says how the hint stands.
    ///
    /// So there are always as many doorbells as jobs that wait: each starts one, whichever it was rung for. What was paused is
    /// passed over, and the hint of a paused thing is set aside ([`Claimed::Paused`]): nobody looks at it until
    /// [`PauseStore::release`] rings for it.
    async fn claim_turns(&self, worker_id: Uuid, requests: Vec<TurnRequest>, rules: &TurnRules)
    -> Result<Vec<Claimed>>;
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Of what.
    pub target: PauseTarget,
    /// Who paused it.
    pub by: String,
    /// Since when, in database time.
    pub since: DateTime<Utc>,
}

/// Things that are paused.
#[async_trait]
pub trait PauseStore: Send + Sync {
    /// Pauses something; `by` is for people. False: it is paused already.
    async fn pause(&self, target: &PauseTarget, by: &str) -> Result<bool>;
    /// Ends a pause and, in the same transaction, rings as [`PauseStore::release`] does: how many go on is known although sweepers look
    /// for such jobs too. `None`: there is no such pause.
    async fn resume(&self, target: &PauseTarget, limit: u32) -> Result<Option<u32>>;
    /// Lists pauses of all tenants, by kind and name.
    async fn pauses(&self) -> Result<Vec<Pause>>;
    /// Rings for up to `limit` jobs that were set aside for what is no longer paused. Returns how many. Safe in several processes at
    /// once.
    async fn release(&self, limit: u32) -> Result<u32>;
    /// Says which source the rows of a report version come from, once it is saved.
    async fn note_source(&self, version: &str, source: &str) -> Result<()>;
}

/// So many jobs are rung for in a transaction.
const RELEASED_AT_ONCE: u32 = 1_000;

/// Ends a pause and rings for all jobs that it kept waiting. Returns how many go on; where these are more than a thousand, those that a
/// sweeper rings for meanwhile are not counted. `None`: there is no such pause.
///
/// # Errors
/// The database is not available; whatever was not rung for is rung for by sweepers.
pub async fn end_pause(store: &dyn PauseStore, target: &PauseTarget) -> Result<Option<u64>> {
    let Some(mut some) = store.resume(target, RELEASED_AT_ONCE).await? else { return Ok(None) };
    let mut released = u64::from(some);
    while some == RELEASED_AT_ONCE {
        some = store.release(RELEASED_AT_ONCE).await?;
        released += u64::from(some);
    }
    Ok(Some(released))
}
