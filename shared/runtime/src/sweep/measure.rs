//! Counts for the metrics: jobs by lane and state, messages by queue.

use crate::Backends;
use model::job::{JobState, Lane};
use model::message::Queue;
use store::{COUNTED_AT_MOST, QueueCensus, StoreError};

/// Counts, and remembers what a long queue was counted to be.
#[derive(Debug)]
pub(super) struct JobMeter {
    /// Of the lanes where more wait than the store counts at once.
    long: Vec<(Lane, QueueCensus)>,
}

impl JobMeter {
    pub(super) fn new() -> Self {
        Self { long: Vec::new() }
    }

    pub(super) async fn measure(&mut self, backends: &Backends) -> Result<(), StoreError> {
        let counts = backends.store.job_counts().await?;
        for lane in Lane::ALL {
            for state in JobState::ALL.into_iter().filter(|state| !state.is_final()) {
                // A pair without jobs is not in the answer, and its gauge must fall back to zero.
                let mut jobs =
                    counts.iter().filter(|(l, s, _)| *l == lane && *s == state).map(|(_, _, jobs)| jobs).sum::<u64>();
                if state == JobState::Pending {
                    jobs = self.count_waiting(backends, lane, jobs).await?;
                }
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

    /// Counts those that wait in parts where there are more than were counted.
    async fn count_waiting(&mut self, backends: &Backends, lane: Lane, counted: u64) -> Result<u64, StoreError> {
        if counted < u64::from(COUNTED_AT_MOST) {
            self.long.retain(|(of, _)| *of != lane);
            return Ok(counted);
        }
        if !self.long.iter().any(|(of, _)| *of == lane) {
            self.long.push((lane, QueueCensus::new(lane)));
        }
        let Some((_, census)) = self.long.iter_mut().find(|(of, _)| *of == lane) else { return Ok(counted) };
        census.look(backends.store.as_ref()).await?;
        Ok(census.count().unwrap_or_else(|| census.counted()).max(counted))
    }
}
