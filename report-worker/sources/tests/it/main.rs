//! The tests of sources: one contract for all of them, and what only one kind does.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod source;

mod attributes;
mod contract;
mod demo_catalogue;
mod dialects;
mod faults;
mod mysql;
mod neighbours;
mod postgres;
mod postgres_params;
mod postgres_types;
mod row_security;
mod sqlite;
mod sqlite_files;
mod sqlite_times;
mod tenants;
