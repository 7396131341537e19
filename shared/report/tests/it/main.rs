//! Tests of report definitions.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod attributes;
mod definition;
mod every_fault;
mod params;
mod query;
mod schedules;
