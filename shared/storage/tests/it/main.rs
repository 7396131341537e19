//! Tests of the storage.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod storage;
