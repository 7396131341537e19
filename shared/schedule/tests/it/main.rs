//! When schedules fire, held against tables and against a second way of finding it out.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod holidays;
mod relative;
mod words;
mod zones;
