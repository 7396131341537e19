//! Tells people how their reports ended: takes deliveries from the broker and sends each once.

mod application;
mod consume;
mod notices;
mod notify;

pub mod channel;
pub mod compose;
pub mod registry;

// The channels, a folder each.
pub mod email;

pub use application::Application;
pub use notify::{DeliveryOutcome, Notifier};
