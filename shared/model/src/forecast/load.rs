//! Who runs beside a job: cores, memory and the source are shared, so a run in company takes longer than one alone.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::history::{FinishedRun, MIN_RUNS, RunKey};
use super::range::{Range, median};

/// How many others run beside a job: none, one, two or three, four to seven, or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct LoadLevel(u8);

/// Of eight or more it is not told how many.
const LARGEST: u8 = 4;

impl LoadLevel {
    /// Nobody.
    pub const ALONE: Self = Self(0);

    /// Takes how many others run or are about to.
    #[must_use]
    pub fn of(others: usize) -> Self {
        Self((usize::BITS - others.leading_zeros()).try_into().unwrap_or(LARGEST).min(LARGEST))
    }

    /// True for nobody.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        *self == Self::ALONE
    }
}

/// A run in company, held against runs alone of the same report, parameters and formats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadSample {
    load: LoadLevel,
    /// How many times as long it took.
    times: f64,
    finished_at: DateTime<Utc>,
}

/// Runs alone from which a run in company can be compared.
const ALONE: usize = 3;

/// Of runs compared the newest count.
const NEWEST: usize = 40;

/// How many times as long runs take in company as alone. Learned over all reports of a tenant, so that one that never ran in
/// company can be foretold too.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Slowdown([Option<Range>; LARGEST as usize + 1]);

impl Slowdown {
    /// Nothing learned.
    pub const NONE: Self = Self([None; LARGEST as usize + 1]);

    /// Learns from runs compared, in any order.
    #[must_use]
    pub fn learn<'a>(compared: impl IntoIterator<Item = &'a LoadSample>) -> Self {
        let mut all: Vec<&LoadSample> = compared.into_iter().collect();
        all.sort_by_key(|run| std::cmp::Reverse(run.finished_at));
        let mut slowdown = Self::NONE;
        for (size, learned) in (0..).zip(&mut slowdown.0) {
            let of_size = all.iter().filter(|run| run.load == LoadLevel(size));
            let times: Vec<f64> = of_size.take(NEWEST).map(|run| run.times).collect();
            *learned = if times.len() < MIN_RUNS { None } else { Range::predict(times) };
        }
        slowdown
    }

    /// Returns how many times as long a run takes. What was never seen is told widely: at best as long as alone, at worst as if
    /// all were to share one core.
    pub(super) fn of(&self, load: LoadLevel) -> Range {
        let learned = self.0.get(usize::from(load.0)).copied().flatten();
        learned.unwrap_or_else(|| {
            let all = f64::from(1_u32 << load.0.min(LARGEST));
            Range { p10: 1.0, p50: all.sqrt(), p90: all }
        })
    }
}

/// How busy it is around a job, and what that does to a run.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Conditions {
    /// Who runs beside it.
    pub load: LoadLevel,
    /// What company does.
    pub slowdown: Slowdown,
}

/// Holds runs in company against those alone that are alike.
pub(super) fn compare<'a>(runs: impl Iterator<Item = &'a FinishedRun> + Clone) -> Vec<LoadSample> {
    let mut alone: HashMap<RunKey, Vec<f64>> = HashMap::new();
    for run in runs.clone().filter(|run| run.load() == Some(LoadLevel::ALONE)) {
        alone.entry(run.run_key).or_default().push(run.took_ms as f64);
    }
    alone.retain(|_, took| took.len() >= ALONE);
    let usual: HashMap<RunKey, f64> = alone.into_iter().map(|(run_key, took)| (run_key, median(took))).collect();
    let compared = runs.filter_map(|run| {
        let load = run.load().filter(|load| !load.is_alone())?;
        // A millisecond is the least that differs.
        let times = (run.took_ms as f64).max(1.0) / usual.get(&run.run_key)?.max(1.0);
        Some(LoadSample { load, times, finished_at: run.finished_at })
    });
    compared.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_there_are_the_less_it_matters_how_many() {
        assert_eq!([0, 1, 2, 3, 4, 7, 8, 1000].map(LoadLevel::of), [0, 1, 2, 2, 3, 3, 4, 4].map(LoadLevel));
        assert!(LoadLevel::of(0).is_alone() && !LoadLevel::of(usize::MAX).is_alone());
    }

    #[test]
    fn what_was_never_seen_is_told_widely() {
        let of = |size| Slowdown::NONE.of(LoadLevel(size));
        assert_eq!((of(0), of(2)), (Range { p10: 1.0, p50: 1.0, p90: 1.0 }, Range { p10: 1.0, p50: 2.0, p90: 4.0 }));
    }
}
