//! Tests of both brokers.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod broker_in_process;
mod broker_rabbitmq;
mod tls;
