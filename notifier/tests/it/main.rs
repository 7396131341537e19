//! Tests of the notifier.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod compose;
mod facts;
mod mailer;
mod notify;
mod stage;
