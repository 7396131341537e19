pub mod postgres;
pub mod rabbitmq;

mod account;
mod eventually;
mod guard;
mod port;
mod run;
mod tree;

pub use eventually::{Look, eventually};
