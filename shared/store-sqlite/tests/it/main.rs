//! Tests of the store on SQLite.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod histories;
mod store_sqlite;
