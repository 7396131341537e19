//! How much a system carries, on paper: a model of arrivals, lanes, KEDA and workers, and what a million jobs cost.
//!
//! The model is held against what `make scale-test` measured, and the costs are sums of what `make bench-core` measured: see
//! `docs/CAPACITY.md`, whose tables a test computes again.

mod costs;
mod load;
mod simulate;

pub use costs::{Costs, MeasuredJobs, page};
pub use load::{Load, Planned, RunTimes};
pub use simulate::{Pods, Prediction, System, simulate};
