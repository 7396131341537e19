//! A day's load, squeezed: quiet at night, a peak in the morning, a smaller one after lunch.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::Plan;
use crate::capacity::Planned;
use crate::client::{Client, slow};

/// When jobs come, as a share of the busiest moment, by the hour.
const HOURS: [f64; 24] = [
    0.0, 0.0, 0.0, 0.0, 0.0, 0.05, 0.1, 0.3, 0.7, 1.0, 0.9, 0.7, 0.4, 0.6, 0.8, 0.7, 0.5, 0.3, 0.15, 0.1, 0.05, 0.05,
    0.0, 0.0,
];

/// Jobs with the moment each is submitted at, and the time it takes in milliseconds.
#[derive(Debug, Clone)]
pub(super) struct Day(Vec<(Duration, u64)>);

/// Says how many jobs come at a moment of the day, from 0 to 1, as a share of the busiest.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an hour of a day")]
pub fn share_of_hour(moment: f64) -> f64 {
    HOURS[((moment * 24.0) as usize).min(23)]
}

/// Returns the very jobs that the scale test submits, for whoever predicts what becomes of them.
#[must_use]
pub fn planned(plan: Plan) -> Vec<Planned> {
    let jobs = Day::plan(plan).0.into_iter();
    jobs.map(|(at, millis)| Planned { at, runs: Duration::from_millis(millis) }).collect()
}

impl Day {
    /// Draws the jobs of a day: of each moment the rate of its hour, most of a second or two, one in fifty of a quarter of a minute.
    pub(super) fn plan(plan: Plan) -> Self {
        let mut rng = StdRng::seed_from_u64(plan.seed);
        let (mut jobs, mut at, total) = (Vec::new(), 0.0, plan.duration.as_secs_f64());
        loop {
            // As many as at the busiest moment, of which as many are left out as the hour has fewer.
            at -= (1.0 - rng.random::<f64>()).ln() / plan.peak;
            if at >= total {
                return Self(jobs);
            }
            if rng.random::<f64>() < share_of_hour(at / total) {
                let long = rng.random::<f64>() < 0.02;
                let millis = if long { 15_000 } else { rng.random_range(300..2_500) };
                jobs.push((Duration::from_secs_f64(at), millis));
            }
        }
    }

    pub(super) fn jobs(&self) -> usize {
        self.0.len()
    }

    /// Submits each at its moment.
    pub(super) async fn submit_all(self, client: Client, start: Instant) {
        let mut submits = tokio::task::JoinSet::new();
        for (at, millis) in self.0 {
            tokio::time::sleep_until((start + at).into()).await;
            let client = client.clone();
            submits.spawn(async move { client.submit(&slow(millis)).await });
        }
        submits.join_all().await;
    }
}
