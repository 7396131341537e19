//! The checker walks every history of the model.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod checked_system;
mod histories;
mod mutations;
