//! The report worker's integration tests: one module a step of a job's path.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod ground;

mod demo_catalogue;
mod format_csv;
mod format_jsonl;
mod source;
mod source_postgres;
mod source_sqlite;
