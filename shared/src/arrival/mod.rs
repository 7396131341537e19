//! When a job will be ready: a range, learned from runs of the same report, and silence where there is nothing to learn from.
//!
//! Four parts, each pure: how long a run takes ([`History`]), more so in company ([`Stretch`]), how long it waits for its turn ([`Line`]), and what was told and
//! whether it came true ([`Forecast`], [`Calibration`]). Times are milliseconds.

mod company;
mod forecast;
mod going;
mod history;
mod line;
mod range;

pub use company::{Company, Compared, Pace, Stretch};
pub use forecast::{Calibration, Eta, Fell, Forecast};
pub use going::Going;
pub use history::{FinishedRun, History, Likeness, MIN_RUNS};
pub use line::{Crowd, Line};
pub use range::Range;

/// A range and how many runs it was learned from; none where only the row count speaks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// From now, or from the submit.
    pub range: Range,
    /// Runs it was learned from.
    pub runs: u32,
}
