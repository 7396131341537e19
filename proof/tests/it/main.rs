//! The checker walks every history of the model.
#![expect(clippy::print_stdout, reason = "a test says how far it looked")]

mod checked_system;
mod histories;
mod mutations;
