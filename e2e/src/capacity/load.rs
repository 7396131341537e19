//! When jobs come, and how long each runs.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// One job: when it is submitted, and how long it runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Planned {
    pub at: Duration,
    pub runs: Duration,
}

/// How long runs take: half are shorter than the one, one in twenty is longer than the other, as of a lognormal distribution.
#[derive(Debug, Clone, Copy)]
pub struct RunTimes {
    pub median: Duration,
    pub p95: Duration,
}

/// A day of one lane.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Jobs a second at the busiest moment.
    pub peak: f64,
    pub runs: RunTimes,
    /// Decides when jobs come and how long each takes.
    pub seed: u64,
}

/// Of the normal distribution: one in twenty is further above the middle.
const P95: f64 = 1.644_853_6;

impl RunTimes {
    fn draw(&self, rng: &mut StdRng) -> Duration {
        let (median, spread) = (self.median.as_secs_f64(), self.p95.as_secs_f64() / self.median.as_secs_f64());
        // Two even numbers make a normal one.
        let (one, other): (f64, f64) = (rng.random(), rng.random());
        let normal = (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * other).cos();
        Duration::from_secs_f64(median * (spread.ln() / P95 * normal).exp())
    }

    /// The average, in seconds: above the median, for the long ones.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let sigma = (self.p95.as_secs_f64() / self.median.as_secs_f64()).ln() / P95;
        self.median.as_secs_f64() * (sigma * sigma / 2.0).exp()
    }
}

impl Load {
    /// Draws the jobs of a day that takes so long: as many at each hour as people ask for at that hour.
    #[must_use]
    pub fn plan(&self, day: Duration) -> Vec<Planned> {
        let mut rng = StdRng::seed_from_u64(self.seed);
        let (mut jobs, mut at) = (Vec::new(), 0.0);
        loop {
            at -= (1.0 - rng.random::<f64>()).ln() / self.peak;
            if at >= day.as_secs_f64() {
                return jobs;
            }
            if rng.random::<f64>() < crate::scaling::share_of_hour(at / day.as_secs_f64()) {
                jobs.push(Planned { at: Duration::from_secs_f64(at), runs: self.runs.draw(&mut rng) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_as_long_as_was_asked_for() {
        let runs = RunTimes { median: Duration::from_secs(2), p95: Duration::from_secs(20) };
        let mut rng = StdRng::seed_from_u64(1);
        let mut drawn: Vec<f64> = (0..20_000).map(|_| runs.draw(&mut rng).as_secs_f64()).collect();
        let mean = drawn.iter().sum::<f64>() / 20_000.0;
        drawn.sort_by(f64::total_cmp);
        assert!(
            (drawn[10_000] - 2.0).abs() < 0.1 && (drawn[19_000] - 20.0).abs() < 2.0,
            "{} {}",
            drawn[10_000],
            drawn[19_000]
        );
        assert!((mean - runs.mean()).abs() < 0.3, "{mean} {}", runs.mean());
    }
}
