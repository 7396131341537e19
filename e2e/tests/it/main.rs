//! Faults in whole systems: real processes on servers of their own, and a checker that judges the whole history of what
//! clients were promised.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod client;
mod history;
mod stack;

mod faults;
