//! Watching: who listens to which jobs, and how they are told. `jobs/watch.rs` and [`feed`] serve the two kinds of watchers,
//! [`socket`] carries either over a WebSocket.

pub mod ears;
pub mod feed;
mod followers;
pub mod frame;
mod hub;
pub mod socket;
pub mod ticket;
mod word;

pub use ears::{Ears, Heard};
pub use hub::{Hub, Subject};
pub use word::Word;
