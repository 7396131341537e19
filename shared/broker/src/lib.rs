//! The broker: doorbells. [`contract`] says what it does; `rabbitmq` and `in_process` do it.

mod contract;
mod in_process;
mod listening;
mod open;
mod rabbitmq;
mod topology;

pub use contract::*;
pub use in_process::InProcess;
pub use listening::BroadcastReceiver;
pub use open::open;
pub use rabbitmq::RabbitMq;
