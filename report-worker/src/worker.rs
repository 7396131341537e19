//! What every job of this process shares.

use std::sync::Arc;
use std::time::Duration;

use configuration::{Config, Secrets};
use formats::{FontFile, load_fonts};
use model::backoff::Backoff;
use model::limits::RunLimit;
use model::seal::SealKeys;
use runtime::Backends;
use sources::Sources;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::attempt_registry::AttemptRegistry;
use crate::definition_cache::DefinitionCache;
use crate::exclusivity::Exclusivity;
use crate::memory_budget::MemoryBudget;

/// Pauses between tries of something that is away: longer each time, never in step with others.
pub(crate) const OUTAGE_BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));

/// Whether this process may claim jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// Not registered yet.
    Starting,
    /// The newest beat is young enough.
    Alive,
    /// No beat succeeded in time: others may take this worker's jobs.
    Fenced,
}

/// One worker process (or the worker's part of an all-in-one process).
#[derive(Debug)]
pub(crate) struct Worker {
    /// Fresh each start.
    pub(crate) id: Uuid,
    pub(crate) backends: Backends,
    pub(crate) settings: configuration::Worker,
    pub(crate) retry_delays: model::retry_schedule::RetrySchedule,
    pub(crate) hand_off_after: Duration,
    pub(crate) link_secret: Secrets,
    /// Opens sensitive values.
    pub(crate) seal_keys: SealKeys,
    pub(crate) sources: Sources,
    /// Of tenants and sources, as the configuration says.
    pub(crate) limits: Vec<RunLimit>,
    /// Fonts for characters the built-in ones do not have.
    pub(crate) fonts: Arc<[Arc<FontFile>]>,
    pub(crate) definitions: DefinitionCache,
    pub(crate) attempts: AttemptRegistry,
    /// Memory of the files under way.
    pub(crate) budget: MemoryBudget,
    pub(crate) exclusivity: Exclusivity,
    pub(crate) health: watch::Sender<Health>,
    /// No new claims.
    pub(crate) stopping: CancellationToken,
    /// The grace is over: nothing is waited for any more.
    pub(crate) give_up: CancellationToken,
}

impl Worker {
    /// Takes what it needs out of the configuration.
    pub(crate) fn new(config: &Config, backends: Backends) -> anyhow::Result<Self> {
        let seal_keys = config.service.derive_seal_keys()?;
        tracing::info!(keys = ?seal_keys.ids(), "sensitive values that are sealed with these keys can be opened");
        Ok(Self {
            id: Uuid::new_v4(),
            backends,
            settings: config.worker.clone(),
            retry_delays: config.broker.retry_delays.clone(),
            hand_off_after: config.broker.hand_off_after,
            link_secret: config.service.link_secret.clone(),
            seal_keys,
            sources: Sources::open(&config.sources)?,
            limits: runtime::configured_limits(config),
            fonts: load_fonts(&config.worker.fonts)?,
            definitions: DefinitionCache::default(),
            attempts: AttemptRegistry::default(),
            budget: MemoryBudget::new(config.worker.memory.0, config.storage.part_size.0),
            exclusivity: Exclusivity::default(),
            health: watch::Sender::new(Health::Starting),
            stopping: CancellationToken::new(),
            give_up: CancellationToken::new(),
        })
    }

    /// Waits until this worker may claim jobs. False: it is stopping.
    pub(crate) async fn may_claim(&self) -> bool {
        if *self.health.borrow() == Health::Alive {
            return !self.stopping.is_cancelled();
        }
        let mut health = self.health.subscribe();
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => false,
            alive = health.wait_for(|health| *health == Health::Alive) => alive.is_ok(),
        }
    }
}
