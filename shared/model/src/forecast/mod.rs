//! When a job will be ready: a range, learned from runs of the same report, and silence where there is nothing to learn from.
//!
//! Four parts, each pure: how long a run takes ([`History`]), more so in company ([`Slowdown`]), how long it waits for its turn ([`QueueModel`]), and what was told and
//! whether it came true ([`Forecast`], [`Calibration`]). Times are milliseconds.

mod calibration;
mod history;
mod load;
mod queue;
mod range;
mod remaining;

pub use calibration::{Accuracy, Calibration, Eta, Forecast};
pub use history::{FinishedRun, History, MIN_RUNS, RunKey};
pub use load::{Conditions, LoadLevel, LoadSample, Slowdown};
pub use queue::{Backlog, QueueModel};
pub use range::Range;
pub use remaining::RunProgress;

/// A range and how many runs it was learned from; none where only the row count speaks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// From now, or from the submit.
    pub range: Range,
    /// Runs it was learned from.
    pub runs: u32,
}
