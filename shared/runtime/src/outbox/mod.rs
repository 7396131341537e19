//! The outbox: what a transaction wants said is a row of it, and goes to the broker after the commit.

mod delete;
mod hand_over;
mod publish;
mod recover;
mod relay;

pub use hand_over::{Outbox, OutboxReceiver};
pub use relay::Relay;
