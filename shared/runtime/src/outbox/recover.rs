//! Picks up rows that nobody published: of a process that died, of a broker that was away, or too many to keep in memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use broker::Broker;
use store::Store;

use super::publish::OutboxPublisher;
use super::relay::BATCH;

/// Rows wait at most about this long after their lease. The first pass is at once.
const EVERY: Duration = Duration::from_secs(1);
/// How often a broker that is away is looked for, which costs nothing while there is no connection.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often the backlog is counted for the metrics.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// Runs until stopped.
pub(super) async fn pick_up(
    store: Arc<dyn Store>,
    broker: Arc<dyn Broker>,
    publisher: OutboxPublisher,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut passed, mut measured): (Option<Instant>, Option<Instant>) = (None, None);
    let mut failing = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if publisher.is_up() && passed.is_some_and(|passed| passed.elapsed() < EVERY) {
            continue;
        }
        passed = Some(Instant::now());
        if let Err(error) = pass(store.as_ref(), broker.as_ref(), &publisher, &stop).await {
            if !failing {
                tracing::warn!(%error, "the outbox cannot be read");
            }
            failing = true;
        } else {
            failing = false;
        }
        if measured.is_none_or(|measured| measured.elapsed() >= MEASURE_EVERY) {
            measured = Some(Instant::now());
            measure(store.as_ref()).await;
        }
    }
}

/// Publishes until nothing is left, the broker has gone, or nothing passes any more.
async fn pass(
    store: &dyn Store,
    broker: &dyn Broker,
    publisher: &OutboxPublisher,
    stop: &CancellationToken,
) -> Result<(), store::StoreError> {
    // Asking first costs nothing; leasing and releasing rows once a second while the broker is away would.
    while !stop.is_cancelled() && broker.check().await.is_ok() {
        publisher.broker_answers();
        let rows = store.lease_outbox(BATCH as u32).await?;
        let last = rows.len() < BATCH;
        let outcome = publisher.publish_leftovers(rows).await;
        if last || outcome.unavailable > 0 || outcome.confirmed + outcome.silent == 0 {
            break;
        }
    }
    Ok(())
}

async fn measure(store: &dyn Store) {
    if let Ok((rows, age)) = store.outbox_backlog().await {
        metrics::gauge!("waitless_outbox_backlog").set(rows as f64);
        metrics::gauge!("waitless_outbox_oldest_seconds").set(age);
    }
}
