//! Tests of the notifier.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod channel_conformance;
mod channels;
mod compose;
mod facts;
mod fixture;
mod notify;
mod schedules;
mod scripted_channels;
mod transports;
mod webhook_answers;
mod webhooks;
