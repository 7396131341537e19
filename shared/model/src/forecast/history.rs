//! How long runs of one report took, and what that says of the next one.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use chrono::{DateTime, Utc};

use super::load::{Conditions, LoadLevel, LoadSample, compare};
use super::remaining::{RunProgress, by_rows};
use super::{Estimate, Forecast, Range};
use crate::seal::without_sealed;

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
pub struct RunKey {
    /// Of the report's definition.
    version: u64,
    /// Of the formats.
    formats: u64,
    /// Of the parameters.
    params: u64,
}

impl RunKey {
    /// Takes the version and the JSON of parameters and formats, as the store keeps them. Sensitive values make no difference.
    #[must_use]
    pub fn of(version: &str, params: &str, formats: &str) -> Self {
        let hash = |text: &str| {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            hasher.finish()
        };
        Self { version: hash(version), formats: hash(formats), params: hash(&without_sealed(params)) }
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
    pub run_key: RunKey,
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

impl FinishedRun {
    /// Who was expected to run beside it; none where nobody looked.
    pub(super) fn load(&self) -> Option<LoadLevel> {
        self.forecast.map(|forecast| forecast.load)
    }
}

/// The newest runs of one report, for one tenant: another tenant's data and hours are none of its business.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Oldest first.
    runs: VecDeque<FinishedRun>,
    compared: Vec<LoadSample>,
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
        self.compared = compare(self.runs.iter());
    }

    /// Returns runs in company, held against those alone.
    #[must_use]
    pub fn compared(&self) -> &[LoadSample] {
        &self.compared
    }

    /// Returns when the newest run ended.
    #[must_use]
    pub fn newest(&self) -> Option<DateTime<Utc>> {
        self.runs.back().map(|run| run.finished_at)
    }

    /// Returns how long a run takes of which nothing is known but its report.
    #[must_use]
    pub fn typical(&self, conditions: &Conditions) -> Option<Range> {
        let similar = self.at_pace(conditions, |_| true)?;
        similar.range(|_, took| Some(took), MIN_RUNS).map(|(range, _)| range)
    }

    /// Predicts how long it takes from the submit to the end when there is a place for it.
    #[must_use]
    pub fn from_submit(&self, run_key: RunKey, conditions: &Conditions) -> Option<Estimate> {
        let waits: Vec<f64> = self.runs.iter().filter_map(picked_up).collect();
        let usual = Range::predict(waits).map_or(0.0, |range| range.p50);
        self.predict(run_key, None, conditions, |run, took| Some(picked_up(run).unwrap_or(usual) + took), MIN_RUNS)
    }

    /// Predicts how much longer a running attempt takes: from how long similar runs took that were not over by now, and from the
    /// rows that are left.
    ///
    /// `None` when it has already taken longer than nearly all similar ones: then nobody knows.
    #[must_use]
    pub fn remaining(&self, run_key: RunKey, going: &RunProgress, conditions: &Conditions) -> Option<Estimate> {
        let left = |_: &FinishedRun, took| Some(took - going.elapsed_ms).filter(|left| *left > 0.0);
        let by_runs = self.predict(run_key, going.total_rows, conditions, left, 3);
        match (by_runs, by_rows(going)) {
            (Some(runs), Some((rows, done))) => Some(Estimate { range: runs.range.blend(rows, done), ..runs }),
            (Some(runs), None) => Some(runs),
            (None, Some((range, done))) if !going.total_is_estimate && done >= 0.1 && going.elapsed_ms >= 2000.0 => {
                Some(Estimate { range, runs: 0 })
            }
            (None, _) => None,
        }
    }

    /// Looks at the most similar runs of which there are enough, and of those at what `measure` says of at least `least`, given
    /// how long each would have taken at this pace.
    fn predict(
        &self,
        run_key: RunKey,
        total_rows: Option<u64>,
        conditions: &Conditions,
        measure: impl Fn(&FinishedRun, f64) -> Option<f64>,
        least: usize,
    ) -> Option<Estimate> {
        let near = |run: &FinishedRun| total_rows.is_some_and(|total| is_near(run.rows, total));
        let tiers: [&dyn Fn(&FinishedRun) -> bool; 4] = [
            &|run| run.run_key == run_key,
            &|run| run.run_key.formats == run_key.formats && near(run),
            &|run| (run.run_key.version, run.run_key.formats) == (run_key.version, run_key.formats),
            &|run| run.run_key.formats == run_key.formats,
        ];
        let similar = tiers.iter().find_map(|is_similar| self.at_pace(conditions, is_similar))?;
        similar.range(measure, least).map(|(range, runs)| Estimate { range, runs })
    }

    /// Returns the newest similar runs, if there are enough: those that ran in such company, or else all of them, with what
    /// company does to a run taken out and put in.
    fn at_pace(&self, conditions: &Conditions, is_similar: impl Fn(&FinishedRun) -> bool) -> Option<Similar<'_>> {
        let similar = || self.runs.iter().rev().filter(|run| is_similar(run));
        let known = |run: &&FinishedRun| run.load() == Some(conditions.load);
        let same: Vec<_> = similar().filter(known).take(NEWEST).map(|run| (run, run.took_ms as f64)).collect();
        if same.len() >= MIN_RUNS {
            return Some(Similar { runs: same, doubt: None });
        }
        let slowdown = conditions.slowdown.of(conditions.load);
        let stretched = |run: &'_ FinishedRun| {
            let own = run.load().map_or(slowdown, |load| conditions.slowdown.of(load));
            run.took_ms as f64 * slowdown.p50 / own.p50
        };
        let all: Vec<_> = similar().take(NEWEST).map(|run| (run, stretched(run))).collect();
        (all.len() >= MIN_RUNS)
            .then_some(Similar { runs: all, doubt: (!conditions.load.is_alone()).then_some(slowdown) })
    }
}

/// Runs like the one in question, each with how long it would have taken now.
struct Similar<'a> {
    runs: Vec<(&'a FinishedRun, f64)>,
    /// How many times as long they take now, where that is not known from themselves.
    doubt: Option<Range>,
}

impl Similar<'_> {
    /// Returns the range of what is measured, and of how many runs.
    fn range(&self, measure: impl Fn(&FinishedRun, f64) -> Option<f64>, least: usize) -> Option<(Range, u32)> {
        let measured: Vec<f64> = self.runs.iter().filter_map(|(run, took)| measure(run, *took)).collect();
        if measured.len() < least {
            return None;
        }
        let runs = u32::try_from(measured.len()).unwrap_or(u32::MAX);
        let range = Range::predict(measured)?;
        Some((self.doubt.map_or(range, |doubt| range.times(doubt.scaled(1.0 / doubt.p50))), runs))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::forecast::Slowdown;

    const ALONE: Conditions = Conditions { load: LoadLevel::ALONE, slowdown: Slowdown::NONE };

    fn like(version: &str, params: &str) -> RunKey {
        RunKey::of(version, params, "[\"csv\"]")
    }

    fn run(number: usize, run_key: RunKey, took_ms: u64, rows: u64) -> FinishedRun {
        let finished_at = DateTime::from_timestamp(1_700_000_000 + number as i64, 0).unwrap();
        let total_ms = Some(took_ms + 5);
        FinishedRun { run_key, rows, waited_ms: Some(5), took_ms, total_ms, forecast: None, finished_at }
    }

    fn history(runs: impl IntoIterator<Item = (RunKey, u64, u64)>) -> History {
        let mut history = History::default();
        let runs = runs.into_iter().enumerate();
        history.add(runs.map(|(number, (run_key, took, rows))| run(number, run_key, took, rows)));
        history
    }

    fn going(elapsed_ms: f64, rows: u64, total_rows: Option<u64>) -> RunProgress {
        RunProgress { elapsed_ms, rows, total_rows, total_is_estimate: false }
    }

    #[test]
    fn fewer_than_five_runs_say_nothing() {
        let same = like("v1", "{}");
        assert_eq!(history([(same, 100, 10); 4]).from_submit(same, &ALONE), None);
        let told = history([(same, 100, 10); 5]).from_submit(same, &ALONE).unwrap();
        assert_eq!((told.runs, told.range.p50), (5, 105.0), "being picked up takes time too");
    }

    #[test]
    fn the_most_similar_runs_count_as_soon_as_there_are_enough() {
        let (old, this, other) = (like("v1", "{}"), like("v2", "{}"), like("v2", "{\"a\":1}"));
        let mut runs = vec![(old, 10_000, 5); 10];
        assert_eq!(history(runs.clone()).from_submit(this, &ALONE).unwrap().range.p50.round(), 10_005.0);
        runs.extend([(other, 1000, 5); 6]);
        assert_eq!(history(runs.clone()).from_submit(this, &ALONE).unwrap().range.p50.round(), 1005.0);
        runs.extend([(this, 10, 5); 5]);
        assert_eq!(history(runs.clone()).from_submit(this, &ALONE).unwrap().range.p50.round(), 15.0);
        assert_eq!(
            history(runs.clone()).from_submit(RunKey::of("v2", "{}", "[\"xlsx\"]"), &ALONE),
            None,
            "other formats"
        );
    }

    #[test]
    fn the_newest_forty_of_similar_runs_count() {
        let same = like("v1", "{}");
        let runs = (0..60).map(|_| (same, 10_000, 5)).chain((0..40).map(|_| (same, 100, 5)));
        let told = history(runs).from_submit(same, &ALONE).unwrap();
        assert_eq!((told.runs, told.range.p10.round(), told.range.p90.round()), (40, 105.0, 105.0));
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
        let left = |total| history.remaining(like("v1", "new"), &going(0.0, 0, total), &ALONE).unwrap().range;
        assert!(left(Some(1_200_000)).p10 > 50_000.0 && left(Some(9000)).p90 < 1000.0);
        assert!(left(None).p10 < 1000.0 && left(None).p90 > 50_000.0);
    }

    #[test]
    fn a_run_that_outlasts_those_before_is_told_nothing() {
        let same = like("v1", "{}");
        let history = history((0..20).map(|n| (same, 1000 + n * 100, 10)));
        let at = |elapsed| history.remaining(same, &going(elapsed, 0, None), &ALONE);
        assert!(at(0.0).unwrap().range.p50 > at(1500.0).unwrap().range.p50);
        assert_eq!((at(2800.0), at(1e9)), (None, None));
    }

    #[test]
    fn rows_alone_speak_after_a_while_when_their_number_is_exact() {
        let left =
            |elapsed, rows| History::default().remaining(like("v1", "{}"), &going(elapsed, rows, Some(1000)), &ALONE);
        assert_eq!((left(1000.0, 500), left(10_000.0, 50)), (None, None));
        let half = left(10_000.0, 500).unwrap();
        assert_eq!((half.runs, half.range.p50), (0, 10_000.0));
        let guess = RunProgress { total_is_estimate: true, ..going(10_000.0, 500, Some(1000)) };
        assert_eq!(History::default().remaining(like("v1", "{}"), &guess, &ALONE), None);
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
        assert_eq!(history.typical(&ALONE).unwrap().p50.round(), 200.0);
    }

    fn told(load: LoadLevel) -> Option<Forecast> {
        Some(Forecast { position: 1, eta: None, load })
    }

    fn among_four() -> LoadLevel {
        LoadLevel::of(3)
    }

    /// A run of seconds alone and of three times as many among four, in turn.
    fn busy(report: u64, runs: usize) -> History {
        let mut history = History::default();
        history.add((0..runs).map(|number| {
            let (load, times) = [(LoadLevel::ALONE, 1), (among_four(), 3)][number % 2];
            let run = run(number, like("v1", "{}"), 1000 * report * times + number as u64, 10);
            FinishedRun { forecast: told(load), ..run }
        }));
        history
    }

    #[test]
    fn runs_in_company_speak_for_runs_in_company() {
        let history = busy(1, 40);
        let told = |load| {
            let conditions = Conditions { load, ..ALONE };
            history.from_submit(like("v1", "{}"), &conditions).unwrap().range
        };
        assert!(told(LoadLevel::ALONE).p90 < 1100.0 && told(among_four()).p10 > 2900.0);
        assert!(history.typical(&Conditions { load: among_four(), ..ALONE }).unwrap().p10 > 2900.0);
    }

    #[test]
    fn what_company_does_is_learned_from_other_reports() {
        let others = [busy(1, 12), busy(7, 12)];
        let slowdown = Slowdown::learn(others.iter().flat_map(History::compared));
        let mut history = History::default();
        let same = like("v1", "{}");
        history
            .add((0..9).map(|number| FinishedRun { forecast: told(LoadLevel::ALONE), ..run(number, same, 500, 10) }));
        let full = history.from_submit(same, &Conditions { load: among_four(), slowdown }).unwrap().range;
        assert!((1450.0..1560.0).contains(&full.p50) && full.p10 <= full.p50 && full.p50 <= full.p90, "{full:?}");
        let alone = history.from_submit(same, &Conditions { load: LoadLevel::ALONE, slowdown }).unwrap().range;
        assert_eq!(alone.p50.round(), 505.0);
        let going = going(1400.0, 0, None);
        let left = |load| history.remaining(same, &going, &Conditions { load, slowdown });
        assert!(left(LoadLevel::ALONE).is_none() && left(among_four()).unwrap().range.p50 < 200.0);
    }

    #[test]
    fn in_company_of_which_nothing_is_known_the_range_is_wide() {
        let history = busy(1, 8);
        let slowdown = Slowdown::learn(history.compared());
        assert_eq!(slowdown, Slowdown::NONE, "four runs are too few");
        let told = |load| history.from_submit(like("v1", "{}"), &Conditions { load, slowdown }).unwrap().range;
        assert!(told(among_four()).p10 < 1500.0 && told(among_four()).p90 > 4000.0);
    }

    proptest! {
        #[test]
        fn what_is_left_is_in_order_and_never_in_the_past(
            took in prop::collection::vec(1..1_000_000_u64, 0..60),
            elapsed in 0.0..2e6_f64, rows in 0..2000_u64, total in prop::option::of(0..1000_u64), estimate: bool,
        ) {
            let same = like("v1", "{}");
            let history = history(took.into_iter().map(|took| (same, took, 10)));
            let going = RunProgress { total_is_estimate: estimate, ..going(elapsed, rows, total) };
            if let Some(Estimate { range, .. }) = history.remaining(same, &going, &ALONE) {
                prop_assert!(range.p10 >= 0.0 && range.p10 <= range.p50 && range.p50 <= range.p90 && range.p90.is_finite());
            }
        }
    }
}
