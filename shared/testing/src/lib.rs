pub mod postgres;
pub mod rabbitmq;
pub mod store_conformance;

mod account;
mod eventually;
mod guard;
mod port;
mod run;
mod tree;

pub use eventually::{Look, eventually};
