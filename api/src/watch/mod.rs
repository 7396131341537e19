//! Watching: who listens to which jobs, and how they are told. `jobs/watch.rs` and [`feed`] serve the two kinds of watchers,
//! [`socket`] carries either over a WebSocket.

pub mod ears;
pub mod feed;
mod followers;
pub mod frame;
mod hub;
mod seats;
pub mod socket;
pub mod ticket;
mod word;

pub use ears::{Ears, Heard};
pub use hub::Hub;
pub use seats::Subject;
pub use word::Word;
