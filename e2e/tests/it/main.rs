//! Whole systems: real processes on servers of their own, faults among them, and a checker that judges the whole history of
//! what clients were promised.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a helper that cannot go on fails its test, and the checker prints what it counted"
)]

use e2e::{client, coverage, history, rabbitmq, stack, watcher};

mod browser;
mod embedded;

mod capacity;
mod command_line;
mod faults;
mod front_door;
mod isolation;
mod memory;
mod operations;
mod pod_cost;
mod rights;
mod runs_at_once;
mod secrets;
mod sharing;
mod storm;
mod turns;
mod upgrade;
