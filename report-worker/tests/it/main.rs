//! The report worker's integration tests: one module a step of a job's path.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod stack;

mod attempts;
mod bad_input;
mod cancels;
mod digits;
mod failures;
mod five_million;
mod limits;
mod losses;
mod made_from;
mod memory;
mod preview;
mod read_back;
mod refusals;
mod storage_faults;
