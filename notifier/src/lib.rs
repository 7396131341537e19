//! Tells people how their reports ended: takes deliveries from the broker and sends each once.

mod application;
mod consume;
mod notices;
mod notify;
mod waiting_lines;

pub mod channel;
pub mod compose;
pub mod registry;

// The channels, a folder each.
pub mod email;
pub mod webhook;

pub use application::Application;
pub use notify::{DeliveryOutcome, Notifier};
