//! Tells people how their reports ended: takes deliveries from the broker and sends each once.

mod application;
mod consume;
mod notify;

pub mod compose;
pub mod mail;

pub use application::Application;
pub use notify::{Notifier, Outcome};
