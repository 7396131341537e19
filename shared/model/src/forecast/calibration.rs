//! What was told at the submit, and whether it came true.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Estimate, LoadLevel};

/// What a submit was told; kept with the job, so that a repeat is told the same and the truth can be held against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Forecast {
    /// Position in the lane's queue; 1 is next.
    pub position: u32,
    /// When it will be ready, where that could be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<Eta>,
    /// How many were expected to run beside it; kept as `company`.
    #[serde(rename = "company", default, skip_serializing_if = "LoadLevel::is_alone")]
    pub load: LoadLevel,
}

/// When something will be ready, in whole milliseconds after a moment that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eta {
    /// Earlier in one case of ten.
    pub p10: u64,
    /// Earlier in half of the cases.
    pub p50: u64,
    /// Later in one case of ten.
    pub p90: u64,
    /// Runs it was learned from.
    pub runs: u32,
}

/// Where the truth fell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accuracy {
    /// Before `p10`.
    Early,
    /// From `p10` to `p90`.
    Inside,
    /// After `p90`.
    Late,
}

impl Eta {
    /// Rounds an estimate outwards.
    #[must_use]
    pub fn of(estimate: &Estimate) -> Self {
        let range = estimate.range;
        let (p10, p50, p90) = (range.p10.floor() as u64, range.p50.round() as u64, range.p90.ceil() as u64);
        Self { p10, p50: p50.max(p10), p90: p90.max(p50), runs: estimate.runs }
    }

    /// Returns the moments, counted from `start`: `(p10, p50, p90)`.
    #[must_use]
    pub fn after(self, start: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>, DateTime<Utc>) {
        let at = |ms: u64| {
            let by = TimeDelta::try_milliseconds(i64::try_from(ms).unwrap_or(i64::MAX)).unwrap_or(TimeDelta::MAX);
            start.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC)
        };
        (at(self.p10), at(self.p50), at(self.p90))
    }

    /// Says where a time fell that took `ms`.
    #[must_use]
    pub const fn judge(self, ms: u64) -> Accuracy {
        if ms < self.p10 {
            Accuracy::Early
        } else if ms <= self.p90 {
            Accuracy::Inside
        } else {
            Accuracy::Late
        }
    }
}

impl Accuracy {
    /// Returns the name used in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::Inside => "inside",
            Self::Late => "late",
        }
    }
}

/// How often the truth fell where it was told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Calibration {
    /// Jobs that were told a time and are done.
    pub forecasts: u32,
    /// Done before `p10`.
    pub early: u32,
    /// Done between `p10` and `p90`.
    pub inside: u32,
    /// Done after `p90`.
    pub late: u32,
    /// Done by `p50`.
    pub by_p50: u32,
}

impl Calibration {
    /// Counts one job.
    pub fn add(&mut self, eta: Eta, ms: u64) {
        self.forecasts += 1;
        self.by_p50 += u32::from(ms <= eta.p50);
        match eta.judge(ms) {
            Accuracy::Early => self.early += 1,
            Accuracy::Inside => self.inside += 1,
            Accuracy::Late => self.late += 1,
        }
    }

    /// Counts what another one has counted.
    pub fn merge(&mut self, other: &Self) {
        self.forecasts += other.forecasts;
        self.early += other.early;
        self.inside += other.inside;
        self.late += other.late;
        self.by_p50 += other.by_p50;
    }

    /// Returns a count's share of all forecasts, in percent with one decimal; `None` for none.
    #[must_use]
    pub fn percent(&self, count: u32) -> Option<f64> {
        let all = f64::from(self.forecasts);
        (self.forecasts > 0).then(|| (f64::from(count) / all * 1000.0).round() / 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::Range;

    #[test]
    fn a_forecast_is_kept_in_few_bytes_and_read_back() {
        let eta = Eta::of(&Estimate { range: Range { p10: 10.9, p50: 20.4, p90: 30.1 }, runs: 7 });
        let forecast = Forecast { position: 2, eta: Some(eta), load: LoadLevel::of(5) };
        let text = serde_json::to_string(&forecast).unwrap();
        assert_eq!(text, r#"{"position":2,"eta":{"p10":10,"p50":20,"p90":31,"runs":7},"company":3}"#);
        assert_eq!(serde_json::from_str::<Forecast>(&text).unwrap(), forecast);
        assert_eq!(
            serde_json::from_str::<Forecast>(r#"{"position":1}"#).unwrap(),
            Forecast { position: 1, ..Forecast::default() }
        );
    }

    #[test]
    fn truth_is_counted_where_it_fell() {
        let eta = Eta { p10: 10, p50: 20, p90: 30, runs: 9 };
        let mut calibration = Calibration::default();
        assert_eq!(calibration.percent(0), None);
        for ms in [9, 10, 20, 21, 30, 31] {
            calibration.add(eta, ms);
        }
        let mut twice = calibration;
        twice.merge(&calibration);
        assert_eq!((twice.early, twice.inside, twice.late, twice.by_p50, twice.forecasts), (2, 8, 2, 6, 12));
        assert_eq!(twice.percent(twice.inside), Some(66.7));
    }
}
