//! Jobs whose worker was lost, retries whose doorbell was lost, and the proof that nothing was forgotten.

use std::time::Duration;

use crate::Backends;
use store::StoreError;

/// Leaders whose followers are looked after in one go.
const LEADERS_AT_ONCE: u32 = 100;
/// Jobs that are rung for in one go, once what they wait for is resumed.
const RELEASED_AT_ONCE: u32 = 1_000;

pub(super) async fn release_lost_jobs(backends: &Backends, silence: Duration) -> Result<(), StoreError> {
    let lost = backends.store.release_lost_jobs(silence).await?;
    for job in &lost {
        tracing::warn!(%job, "the worker of this job was lost; another one takes it");
    }
    metrics::counter!("waitless_jobs_released_total").increment(lost.len() as u64);
    Ok(())
}

/// Jobs that share a run and were left behind by a crash.
pub(super) async fn lead_followers(backends: &Backends) -> Result<(), StoreError> {
    let led = backends.store.lead_followers(LEADERS_AT_ONCE).await?;
    metrics::counter!("waitless_followers_led_again_total").increment(u64::from(led));
    Ok(())
}

/// Jobs that were set aside for a pause that has ended. Whoever ends one rings for them; this is for where that was cut short.
pub(super) async fn release_set_aside(backends: &Backends) -> Result<(), StoreError> {
    let rung = backends.store.release(RELEASED_AT_ONCE).await?;
    if rung > 0 {
        tracing::info!(rung, "jobs of what is no longer paused are rung for");
    }
    Ok(())
}

/// Jobs that wait for a place under a limit while there are some. Whoever ends a run rings for them; this is for where that was cut short.
pub(super) async fn fill_places(backends: &Backends) -> Result<(), StoreError> {
    let rung = backends.store.fill_places().await?;
    if rung > 0 {
        tracing::info!(rung, "jobs that a place is free for are rung for");
    }
    Ok(())
}

/// There must be none; one that stays is a fault of ours that somebody has to see.
pub(super) async fn look_for_uncovered_jobs(backends: &Backends) -> Result<(), StoreError> {
    let uncovered = backends.store.uncovered_jobs().await?;
    metrics::gauge!("waitless_uncovered_jobs").set(uncovered.len() as f64);
    if let Some(first) = uncovered.first() {
        tracing::error!(job = %first, count = uncovered.len(), "jobs that nothing will finish; please report this");
    }
    Ok(())
}
