//! How long runs of one report took, and what that says of the next one.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use chrono::{DateTime, Utc};

use super::{Estimate, Forecast, Range};

/// With fewer similar runs nothing is said.
pub const MIN_RUNS: usize = 5;

/// Runs of one report that are remembered.
const REMEMBERED: usize = 120;

/// Of similar runs the newest count: data grows, machines change.
const NEWEST: usize = 40;

/// A run that waited longer than this was not only being picked up, it queued.
const PICKED_UP: f64 = 250.0;

/// What makes two runs alike, as hashes that only one process understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Likeness {
    /// Of the report's definition.
    version: u64,
    /// Of the formats.
    formats: u64,
    /// Of the parameters.
    params: u64,
}

impl Likeness {
    /// Takes the version and the JSON of parameters and formats, as the store keeps them.
    #[must_use]
    pub fn of(version: &str, params: &str, formats: &str) -> Self {
        let hash = |text: &str| {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            hasher.finish()
        };
        Self { version: hash(version), formats: hash(formats), params: hash(params) }
    }

    /// Takes what a job has.
    #[must_use]
    pub fn of_job(version: &str, params: &crate::job::Params, formats: &[crate::artifact::Format]) -> Self {
        // Made of JSON values and names, so that writing them cannot fail.
        let params = serde_json::to_string(params).unwrap_or_default();
        Self::of(version, &params, &serde_json::to_string(formats).unwrap_or_default())
    }
}

/// A run that ended `done`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FinishedRun {
    /// What it is compared by.
    pub likeness: Likeness,
    /// Rows it read.
    pub rows: u64,
    /// From the submit to the claim, in milliseconds; `None` where more than one attempt was needed.
    pub waited_ms: Option<u64>,
    /// From the last claim to the end, in milliseconds.
    pub took_ms: u64,
    /// From the submit to the end, in milliseconds; `None` where it failed and was put back by somebody in between.
    pub total_ms: Option<u64>,
    /// What was told at the submit.
    pub forecast: Option<Forecast>,
    /// Database time of the end.
    pub finished_at: DateTime<Utc>,
}

/// How far a running attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Going {
    /// Since the claim.
    pub elapsed_ms: f64,
    /// Rows read.
    pub rows: u64,
    /// Rows to be read, where known.
    pub total_rows: Option<u64>,
    /// Whether the total is a guess.
    pub total_is_estimate: bool,
}

/// The newest runs of one report, for one tenant: another tenant's data and hours are none of its business.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Oldest first.
    runs: VecDeque<FinishedRun>,
    typical: Option<Range>,
}

impl History {
    /// Takes in runs, in the order they ended. Those that ended before the newest known one are known already.
    pub fn add(&mut self, runs: impl IntoIterator<Item = FinishedRun>) {
        let newest = self.newest();
        for run in runs.into_iter().filter(|run| newest.is_none_or(|newest| run.finished_at > newest)) {
            if self.runs.len() == REMEMBERED {
                self.runs.pop_front();
            }
            self.runs.push_back(run);
        }
        let took: Vec<f64> = self.runs.iter().rev().take(NEWEST).map(|run| run.took_ms as f64).collect();
        self.typical = if took.len() < MIN_RUNS { None } else { Range::predict(took) };
    }

    /// Returns when the newest run ended.
    #[must_use]
    pub fn newest(&self) -> Option<DateTime<Utc>> {
        self.runs.back().map(|run| run.finished_at)
    }

    /// Returns how long a run takes of which nothing is known but its report.
    #[must_use]
    pub fn typical(&self) -> Option<Range> {
        self.typical
    }

    /// Predicts how long it takes from the submit to the end when nobody is ahead.
    #[must_use]
    pub fn from_submit(&self, likeness: Likeness) -> Option<Estimate> {
        let waits: Vec<f64> = self.runs.iter().filter_map(picked_up).collect();
        let usual = Range::predict(waits).map_or(0.0, |range| range.p50);
        self.predict(likeness, None, |run| Some(picked_up(run).unwrap_or(usual) + run.took_ms as f64), MIN_RUNS)
    }

    /// Predicts how much longer a running attempt takes: from how long similar runs took that were not over by now, and from the
    /// rows that are left.
    ///
    /// `None` when it has already taken longer than nearly all similar ones: then nobody knows.
    #[must_use]
    pub fn remaining(&self, likeness: Likeness, going: &Going) -> Option<Estimate> {
        let left = |run: &FinishedRun| {
            let left = run.took_ms as f64 - going.elapsed_ms;
            (left > 0.0).then_some(left)
        };
        let by_runs = self.predict(likeness, going.total_rows, left, 3);
        match (by_runs, by_rows(going)) {
            (Some(runs), Some((rows, done))) => Some(Estimate { range: runs.range.blend(rows, done), ..runs }),
            (Some(runs), None) => Some(runs),
            (None, Some((range, done))) if !going.total_is_estimate && done >= 0.1 && going.elapsed_ms >= 2000.0 => {
                Some(Estimate { range, runs: 0 })
            }
            (None, _) => None,
        }
    }

    /// Looks at the most similar runs of which there are enough, and of those at what `measure` says of at least `least`.
    fn predict(
        &self,
        likeness: Likeness,
        total_rows: Option<u64>,
        measure: impl Fn(&FinishedRun) -> Option<f64>,
        least: usize,
    ) -> Option<Estimate> {
        let near = |run: &FinishedRun| total_rows.is_some_and(|total| is_near(run.rows, total));
        let tiers: [&dyn Fn(&FinishedRun) -> bool; 4] = [
            &|run| run.likeness == likeness,
            &|run| run.likeness.formats == likeness.formats && near(run),
            &|run| (run.likeness.version, run.likeness.formats) == (likeness.version, likeness.formats),
            &|run| run.likeness.formats == likeness.formats,
        ];
        let similar = tiers.iter().find_map(|is_similar| {
            let similar: Vec<&FinishedRun> =
                self.runs.iter().rev().filter(|run| is_similar(run)).take(NEWEST).collect();
            (similar.len() >= MIN_RUNS).then_some(similar)
        })?;
        let measured: Vec<f64> = similar.iter().filter_map(|run| measure(run)).collect();
        if measured.len() < least {
            return None;
        }
        let runs = u32::try_from(measured.len()).unwrap_or(u32::MAX);
        Range::predict(measured).map(|range| Estimate { range, runs })
    }
}

fn picked_up(run: &FinishedRun) -> Option<f64> {
    run.waited_ms.map(|waited| waited as f64).filter(|waited| *waited <= PICKED_UP)
}

/// Within a factor of two.
fn is_near(rows: u64, total: u64) -> bool {
    let (rows, total) = (rows.max(1) as f64, total.max(1) as f64);
    (0.5..=2.0).contains(&(rows / total))
}

/// What is left at the speed so far, and the share that is done; the nearer the end, the more certain.
fn by_rows(going: &Going) -> Option<(Range, f64)> {
    let total = going.total_rows.filter(|total| *total > 0)?;
    let done = going.rows as f64 / total as f64;
    if going.rows == 0 || done >= 1.0 {
        return None;
    }
    let left = going.elapsed_ms * (1.0 - done) / done;
    // A planner's guess is often wrong by half.
    let doubt = if going.total_is_estimate { 0.5 } else { 0.3 * (1.0 - done) + 0.05 };
    Some((
        Range::around(left, left * doubt, left * doubt * 2.0),
        if going.total_is_estimate { done / 2.0 } else { done },
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn like(version: &str, params: &str) -> Likeness {
        Likeness::of(version, params, "[\"csv\"]")
    }

    fn run(number: usize, likeness: Likeness, took_ms: u64, rows: u64) -> FinishedRun {
        let finished_at = DateTime::from_timestamp(1_700_000_000 + number as i64, 0).unwrap();
        let total_ms = Some(took_ms + 5);
        FinishedRun { likeness, rows, waited_ms: Some(5), took_ms, total_ms, forecast: None, finished_at }
    }

    fn history(runs: impl IntoIterator<Item = (Likeness, u64, u64)>) -> History {
        let mut history = History::default();
        let runs = runs.into_iter().enumerate();
        history.add(runs.map(|(number, (likeness, took, rows))| run(number, likeness, took, rows)));
        history
    }

    fn going(elapsed_ms: f64, rows: u64, total_rows: Option<u64>) -> Going {
        Going { elapsed_ms, rows, total_rows, total_is_estimate: false }
    }

    #[test]
    fn fewer_than_five_runs_say_nothing() {
        let same = like("v1", "{}");
        assert_eq!(history([(same, 100, 10); 4]).from_submit(same), None);
        let told = history([(same, 100, 10); 5]).from_submit(same).unwrap();
        assert_eq!((told.runs, told.range.p50), (5, 105.0), "being picked up takes time too");
    }

    #[test]
    fn the_most_similar_runs_count_as_soon_as_there_are_enough() {
        let (old, this, other) = (like("v1", "{}"), like("v2", "{}"), like("v2", "{\"a\":1}"));
        let mut runs = vec![(old, 10_000, 5); 10];
        assert_eq!(history(runs.clone()).from_submit(this).unwrap().range.p50.round(), 10_005.0);
        runs.extend([(other, 1000, 5); 6]);
        assert_eq!(history(runs.clone()).from_submit(this).unwrap().range.p50.round(), 1005.0);
        runs.extend([(this, 10, 5); 5]);
        assert_eq!(history(runs.clone()).from_submit(this).unwrap().range.p50.round(), 15.0);
        assert_eq!(history(runs.clone()).from_submit(Likeness::of("v2", "{}", "[\"xlsx\"]")), None, "other formats");
    }

    #[test]
    fn once_the_number_of_rows_is_known_runs_of_about_as_many_count() {
        let runs = (0..40).map(|n| {
            let large = n % 2 == 0;
            (
                like("v1", &n.to_string()),
                if large { 60_000 + n } else { 600 + n },
                if large { 1_000_000 } else { 10_000 },
            )
        });
        let history = history(runs);
        let left = |total| history.remaining(like("v1", "new"), &going(0.0, 0, total)).unwrap().range;
        assert!(left(Some(1_200_000)).p10 > 50_000.0 && left(Some(9000)).p90 < 1000.0);
        assert!(left(None).p10 < 1000.0 && left(None).p90 > 50_000.0);
    }

    #[test]
    fn a_run_that_outlasts_those_before_is_told_nothing() {
        let same = like("v1", "{}");
        let history = history((0..20).map(|n| (same, 1000 + n * 100, 10)));
        let at = |elapsed| history.remaining(same, &going(elapsed, 0, None));
        assert!(at(0.0).unwrap().range.p50 > at(1500.0).unwrap().range.p50);
        assert_eq!((at(2800.0), at(1e9)), (None, None));
    }

    #[test]
    fn rows_alone_speak_after_a_while_when_their_number_is_exact() {
        let left = |elapsed, rows| History::default().remaining(like("v1", "{}"), &going(elapsed, rows, Some(1000)));
        assert_eq!((left(1000.0, 500), left(10_000.0, 50)), (None, None));
        let half = left(10_000.0, 500).unwrap();
        assert_eq!((half.runs, half.range.p50), (0, 10_000.0));
        let guess = Going { total_is_estimate: true, ..going(10_000.0, 500, Some(1000)) };
        assert_eq!(History::default().remaining(like("v1", "{}"), &guess), None);
    }

    #[test]
    fn runs_are_taken_in_once_and_the_oldest_forgotten() {
        let same = like("v1", "{}");
        let mut history = history([(same, 100, 1); 10]);
        let (newest, before) = (history.newest().unwrap(), history.runs.len());
        history.add([run(3, same, 1, 1), run(9, same, 1, 1)]);
        assert_eq!((history.newest(), history.runs.len()), (Some(newest), before));
        history.add((10..500).map(|number| run(number, same, 200, 1)));
        assert_eq!(history.runs.len(), REMEMBERED);
        assert_eq!(history.typical().unwrap().p50.round(), 200.0);
    }

    proptest! {
        #[test]
        fn what_is_left_is_in_order_and_never_in_the_past(
            took in prop::collection::vec(1..1_000_000_u64, 0..60),
            elapsed in 0.0..2e6_f64, rows in 0..2000_u64, total in prop::option::of(0..1000_u64), estimate: bool,
        ) {
            let same = like("v1", "{}");
            let history = history(took.into_iter().map(|took| (same, took, 10)));
            let going = Going { total_is_estimate: estimate, ..going(elapsed, rows, total) };
            if let Some(Estimate { range, .. }) = history.remaining(same, &going) {
                prop_assert!(range.p10 >= 0.0 && range.p10 <= range.p50 && range.p50 <= range.p90 && range.p90.is_finite());
            }
        }
    }
}
