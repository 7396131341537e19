//! The broker: doorbells. [`contract`] says what it does; `rabbitmq` and `in_process` do it.

mod contract;

pub use contract::*;
