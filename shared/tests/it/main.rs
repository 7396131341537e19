//! Tests of what all processes agree on.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod broker_in_process;
mod broker_rabbitmq;
mod catalogue;
mod definition;
mod documents;
mod params;
mod probes;
mod query;
mod relay;
mod rules;
mod storage;
mod store_follow;
mod store_postgres;
mod store_sqlite;
mod sweep;
mod tls;
