//! Watching: who subscribes to which jobs, and how they are told. `jobs/watch.rs` and [`feed`] serve the two kinds of watchers,
//! [`socket`] carries either over a WebSocket.

pub mod feed;
mod followers;
pub mod frame;
mod hub;
mod hub_message;
mod poll_pace;
mod registration;
pub mod socket;
mod subscribers;
pub mod subscription;
pub mod ticket;
mod visible_jobs;

pub use hub::Hub;
pub use hub_message::HubMessage;
pub use subscribers::Topic;
pub use subscription::{Signal, Subscription};
pub use visible_jobs::VisibleJobs;
