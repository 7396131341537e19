//! A worker that ends when there is nothing to do: one that an autoscaler starts for jobs of hours, and never stops.

use std::time::{Duration, Instant};

use crate::worker::{Health, Worker};

/// A worker looks at itself at least this often, and ten times in the time it is given.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Waits until this worker could have run jobs for `worker.end_when_idle`, and had none. Never ends where that is not set.
pub(crate) async fn until_idle(worker: &Worker) {
    let Some(limit) = worker.settings.end_when_idle else { return std::future::pending().await };
    let pace = (limit / 10).clamp(Duration::from_millis(10), LOOK_EVERY);
    let mut since = Instant::now();
    loop {
        tokio::time::sleep(pace).await;
        let could = *worker.health.borrow() == Health::Alive;
        match worker.attempts.last_ended() {
            Some(ended) if could => since = since.max(ended),
            // It has one, or could have none: the database is away, or it has not registered yet.
            _ => since = Instant::now(),
        }
        if since.elapsed() >= limit {
            tracing::info!("there was nothing to do for worker.end_when_idle: the worker ends");
            return;
        }
    }
}
