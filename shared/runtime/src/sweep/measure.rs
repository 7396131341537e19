//! Counts for the metrics: jobs by lane and state, messages by queue.

use crate::Backends;
use model::job::{JobState, Lane};
use model::message::Queue;
use store::StoreError;

pub(super) async fn count(backends: &Backends) -> Result<(), StoreError> {
    let counts = backends.store.job_counts().await?;
    for lane in Lane::ALL {
        for state in JobState::ALL.into_iter().filter(|state| !state.is_final()) {
            // A pair without jobs is not in the answer, and its gauge must fall back to zero.
            let jobs =
                counts.iter().filter(|(l, s, _)| *l == lane && *s == state).map(|(_, _, jobs)| jobs).sum::<u64>();
            metrics::gauge!("waitless_jobs", "lane" => lane.as_str(), "state" => state.as_str()).set(jobs as f64);
        }
    }
    for queue in Queue::ALL {
        if let Some(depth) = backends.broker.depth(queue).await {
            metrics::gauge!("waitless_queue_ready", "queue" => queue.name()).set(depth.ready as f64);
            metrics::gauge!("waitless_queue_consumers", "queue" => queue.name()).set(depth.consumers as f64);
        }
    }
    Ok(())
}
