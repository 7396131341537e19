//! The sweeper: finds what a crash, a lost message or time itself left behind, and sets it going again or removes it.
//!
//! Every process runs one. All of its repairs are guarded in the store, so several at once do no harm.

mod clean_up;
mod failure_log;
mod late_jobs;
mod measure;
mod rescue;
mod ring;

use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::Backends;
use configuration::Config;
use store::audit::LINKED_AT_ONCE;

pub use clean_up::Cleanup;
use failure_log::{FailureLog, SweepError};
use late_jobs::LateJobs;
use measure::JobMeter;
use ring::Ringer;

/// Metrics and the proof of cover: now and then, not at every sweep.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long an entry of the audit log waits to be linked.
const LINK_EVERY: Duration = Duration::from_secs(1);
/// Batches of the audit log that one sweep links.
const BATCHES_LINKED: usize = 20;

/// The settings a sweep needs.
#[derive(Debug, Clone, Copy)]
struct Settings {
    every: Duration,
    grace: Duration,
    /// A worker that was silent this long is lost: two beats.
    silence: Duration,
}

/// Looks for lost workers, lost messages and due retries.
#[derive(Debug)]
pub struct Sweeper {
    backends: Backends,
    settings: Settings,
    failures: FailureLog,
    ringer: Ringer,
    late_jobs: LateJobs,
    meter: JobMeter,
    looked: Option<Instant>,
    linked: Option<Instant>,
    clean_up: Cleanup,
}

impl Sweeper {
    /// Takes what it works on.
    #[must_use]
    pub fn new(backends: Backends, config: &Config) -> Self {
        let settings =
            Settings { every: config.sweeper.every, grace: config.sweeper.grace, silence: config.worker.heartbeat * 2 };
        let clean_up = Cleanup::new(backends.clone(), config);
        let ringer = Ringer::new(config.sweeper.ring_rate, config.notifier.concurrency);
        let late_jobs = LateJobs::new(config);
        Self {
            backends,
            settings,
            failures: FailureLog::default(),
            ringer,
            late_jobs,
            meter: JobMeter::new(),
            looked: None,
            linked: None,
            clean_up,
        }
    }

    /// Sweeps until stopped, at once and then again and again. Nothing that fails ends it.
    pub async fn run_until_stopped(mut self, stop: CancellationToken) {
        let cleaning = tokio::spawn(self.clean_up.clone().run_until_stopped(stop.clone()));
        let mut ticks = tokio::time::interval(self.settings.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {}
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.sweep() => {}
            }
        }
        let _ended = cleaning.await;
    }

    /// Sweeps once.
    pub async fn sweep(&mut self) {
        let Self { backends, settings, failures, ringer, late_jobs, meter, looked, linked, .. } = self;
        failures.note("release jobs of lost workers", rescue::release_lost_jobs(backends, settings.silence).await);
        failures.note("bring followers up to their leaders", rescue::lead_followers(backends).await);
        failures.note("ring jobs of what is no longer paused", rescue::release_set_aside(backends).await);
        failures.note("ring jobs that a place is free for", rescue::fill_places(backends).await);
        failures.note("ring jobs and due deliveries", ringer.ring(backends, settings.grace).await);
        failures.note("tell of late jobs", late_jobs.tell(backends).await);
        if linked.is_none_or(|linked| linked.elapsed() >= LINK_EVERY) {
            *linked = Some(Instant::now());
            failures.note("link the audit log", link_audit(backends).await);
        }
        if looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            *looked = Some(Instant::now());
            failures.note("look for uncovered jobs", rescue::look_for_uncovered_jobs(backends).await);
            failures.note("count jobs and messages", meter.measure(backends).await);
        }
    }
}

/// Links what waits, batch by batch, and leaves the rest to the next sweep where there is very much.
async fn link_audit(backends: &Backends) -> Result<(), SweepError> {
    for _ in 0..BATCHES_LINKED {
        if backends.store.link_audit(LINKED_AT_ONCE).await? < LINKED_AT_ONCE {
            break;
        }
    }
    Ok(())
}
