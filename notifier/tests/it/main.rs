//! Tests of the notifier.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod compose;
mod facts;
mod mailer;
