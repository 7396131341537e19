//! Tests of what runs in every process.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod catalogue;
mod open_store;
mod probes;
mod relay;
mod sweep;
