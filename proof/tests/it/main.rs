//! The checker walks every history of the model.
#![expect(clippy::panic, clippy::print_stdout, reason = "a test fails by panicking, and says how far it looked")]

mod checked_system;
mod histories;
mod mutations;
