//! What this process remembers of turns between two writes: run time that was used and not written yet, who seems to have no job
//! that waits, and below what time nobody has to look.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use model::job::{Caller, Job, Lane};

/// Whose turn: a lane, a tenant, and a principal, which is empty for the tenant as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TurnKey {
    pub(super) lane: Lane,
    pub(super) tenant: String,
    pub(super) principal: String,
}

impl TurnKey {
    pub(super) fn new(lane: Lane, tenant: &str, principal: &str) -> Self {
        Self { lane, tenant: tenant.to_owned(), principal: principal.to_owned() }
    }
}

/// How often used time is written.
const WRITE_EVERY: Duration = Duration::from_secs(2);
/// How long a floor is believed, as of all floors.
const BELIEVED: Duration = Duration::from_secs(600);
/// Runs that are remembered at most; one that never ended here is forgotten when there are more.
const MOST_RUNS: usize = 10_000;

/// What is due to be written.
#[derive(Debug, Default)]
pub(super) struct DueTurns {
    /// Milliseconds used.
    pub(super) used: Vec<(TurnKey, f64)>,
    /// Who seems to have nothing that waits.
    pub(super) empty: Vec<TurnKey>,
    /// Weights that have changed: lane, tenant, weight.
    pub(super) weights: Vec<(TurnKey, f64)>,
}

/// The memory. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct TurnMemory {
    known: Arc<Mutex<KnownTurns>>,
    /// How long after it began a transaction of ours may commit.
    longest: TimeDelta,
}

#[derive(Debug, Default)]
struct KnownTurns {
    runs: HashMap<Uuid, (Lane, Caller, Instant)>,
    used: HashMap<TurnKey, f64>,
    empty: HashSet<TurnKey>,
    weights: HashMap<TurnKey, f64>,
    floors: HashMap<TurnKey, (DateTime<Utc>, Instant)>,
    written: Option<Instant>,
}

impl TurnMemory {
    pub(super) fn new(longest: Duration) -> Self {
        Self { known: Arc::default(), longest: TimeDelta::from_std(longest).unwrap_or(TimeDelta::MAX) }
    }

    fn lock(&self) -> MutexGuard<'_, KnownTurns> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run begins here.
    pub(super) fn began(&self, job: &Job) {
        let mut known = self.lock();
        if known.runs.len() >= MOST_RUNS
            && let Some(oldest) = known.runs.iter().min_by_key(|(_, run)| run.2).map(|(id, _)| *id)
        {
            known.runs.remove(&oldest);
        }
        known.runs.insert(job.id, (job.lane, job.caller.clone(), Instant::now()));
    }

    /// A run has ended here, however it did.
    pub(super) fn ended(&self, job_id: Uuid) {
        let mut known = self.lock();
        let Some((lane, caller, began)) = known.runs.remove(&job_id) else { return };
        let ms = began.elapsed().as_secs_f64() * 1_000.0;
        for principal in ["", caller.principal.as_str()] {
            *known.used.entry(TurnKey::new(lane, &caller.tenant, principal)).or_default() += ms;
        }
    }

    /// Returns the milliseconds that somebody used and that are not written yet.
    pub(super) fn used_by(&self, key: &TurnKey) -> f64 {
        self.lock().used.get(key).copied().unwrap_or_default()
    }

    /// Somebody had fewer jobs than their turn was worth.
    pub(super) fn seems_empty(&self, key: TurnKey) {
        self.lock().empty.insert(key);
    }

    /// A tenant's weight is another one than is written.
    pub(super) fn weighs(&self, key: TurnKey, weight: f64) {
        self.lock().weights.insert(key, weight);
    }

    /// Returns the time of submit below which a principal has nothing that waits.
    pub(super) fn floor_of(&self, key: &TurnKey) -> DateTime<Utc> {
        let known = self.lock();
        let floor = known.floors.get(key).filter(|(_, looked)| looked.elapsed() < BELIEVED);
        floor.map_or(DateTime::UNIX_EPOCH, |(time, _)| *time)
    }

    /// A principal's oldest job that waited was submitted at `oldest`; it is `now`.
    pub(super) fn raise_floor(&self, key: TurnKey, oldest: DateTime<Utc>, now: DateTime<Utc>) {
        let settled = now.checked_sub_signed(self.longest).unwrap_or(DateTime::UNIX_EPOCH);
        let mut known = self.lock();
        let before = known.floors.get(&key).map(|(_, looked)| *looked).filter(|looked| looked.elapsed() < BELIEVED);
        known.floors.insert(key, (oldest.min(settled), before.unwrap_or_else(Instant::now)));
    }

    /// A job that waits was submitted at this time, whatever was believed.
    pub(super) fn lower_floor(&self, key: &TurnKey, to: DateTime<Utc>) {
        let mut known = self.lock();
        if let Some((time, _)) = known.floors.get_mut(key) {
            *time = to.min(*time);
        }
    }

    /// Takes what is due to be written, once in a while.
    pub(super) fn due(&self) -> Option<DueTurns> {
        let mut known = self.lock();
        if known.written.is_some_and(|written| written.elapsed() < WRITE_EVERY) {
            return None;
        }
        known.written = Some(Instant::now());
        let mut used: Vec<(TurnKey, f64)> = known.used.drain().collect();
        used.sort_by(|one, other| one.0.cmp(&other.0));
        let mut empty: Vec<TurnKey> = known.empty.drain().collect();
        empty.sort();
        let mut weights: Vec<(TurnKey, f64)> = known.weights.drain().collect();
        weights.sort_by(|one, other| one.0.cmp(&other.0));
        let keep = known.floors.len() < MOST_RUNS;
        known.floors.retain(|_, (_, looked)| keep && looked.elapsed() < BELIEVED);
        Some(DueTurns { used, empty, weights })
    }

    /// What could not be written is still due.
    pub(super) fn put_back(&self, due: DueTurns) {
        let mut known = self.lock();
        for (key, ms) in due.used {
            *known.used.entry(key).or_default() += ms;
        }
        known.empty.extend(due.empty);
        known.weights.extend(due.weights);
    }
}
