//! Tests of what all processes agree on.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod catalogue;
mod definition;
mod documents;
mod params;
mod query;
mod rules;
mod store_sqlite;
