//! The outbox: what a transaction wants said is a row of it, and goes to the broker after the commit.

mod forget;
mod leftovers;
mod publish;
mod relay;
mod write;

pub use relay::Relay;
pub use write::{Outbox, OutboxReceiver};
