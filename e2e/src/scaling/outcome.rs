//! What a day cost, and what whoever waited saw.

use std::time::Duration;

use model::event::EventKind;
use serde::Serialize;

use super::DAY;
use crate::history::{History, JobHistory, Verdict};

/// Both pools.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Brings the same jobs again.
    pub seed: u64,
    /// Into how long the day was squeezed.
    pub minutes: f64,
    /// Jobs a second at the busiest moment.
    pub peak: f64,
    /// How many jobs came.
    pub jobs: usize,
    /// One that follows the queue, and one that stays.
    pub pools: Vec<PoolOutcome>,
}

/// One pool.
#[derive(Debug, Serialize)]
pub struct PoolOutcome {
    /// What it is called.
    pub name: &'static str,
    /// Time from submit to the first attempt, in seconds.
    pub wait_p50: f64,
    /// The same, that of one in twenty is longer.
    pub wait_p95: f64,
    /// What all workers lived together, in hours of the whole day.
    pub worker_hours: f64,
    /// How many there were at once.
    pub peak_workers: usize,
    /// Attempts that a stopping worker handed back.
    pub handed_back: i32,
    /// Attempts that cost one of a job's tries: errors and lost workers.
    pub burnt: i32,
    /// What the checker says.
    pub verdict: Verdict,
    /// Workers that there were on average.
    #[serde(skip)]
    average: f64,
}

impl PoolOutcome {
    pub(super) fn new(name: &'static str, history: &History, ran: Duration, used: Duration, peak: usize) -> Self {
        let verdict = history.judge();
        let mut waits: Vec<f64> = history.jobs.iter().filter_map(waited).collect();
        waits.sort_by(f64::total_cmp);
        let average = used.div_duration_f64(ran);
        Self {
            name,
            wait_p50: percentile(&waits, 50),
            wait_p95: percentile(&waits, 95),
            worker_hours: average * DAY.as_secs_f64() / 3_600.0,
            peak_workers: peak,
            handed_back: verdict.interruptions,
            burnt: verdict.errors + verdict.crashes,
            verdict,
            average,
        }
    }

    pub(super) fn average_workers(&self) -> f64 {
        self.average
    }

    /// Nothing was lost, doubled or wrong, and no attempt burnt.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.verdict.is_clean() && self.burnt == 0
    }
}

/// Seconds from the submit to the first attempt.
fn waited(one: &JobHistory) -> Option<f64> {
    let started = one.events.iter().find(|event| event.kind == EventKind::Started)?;
    Some((started.at - one.job.created_at).as_seconds_f64())
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}
