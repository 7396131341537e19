//! Whole systems of real processes on real servers, and what faults do to them.
//!
//! The tests in `tests/` do one thing to a system and look; the program `soak` does everything to it at random for as long as one likes.
//! Both start the same [`stack`], speak to it by the same [`client`], and have their whole [`history`] judged by one checker.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a helper that cannot go on fails its test, and the checker prints what it counted"
)]

pub mod capacity;
pub mod client;
pub mod coverage;
pub mod history;
pub mod measure;
pub mod rabbitmq;
pub mod scaling;
pub mod soak;
pub mod stack;
pub mod watcher;
