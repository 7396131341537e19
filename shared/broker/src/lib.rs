//! The broker: doorbells. [`contract`] says what it does; `rabbitmq` and `in_process` do it.

mod broadcast_receiver;
mod contract;
mod in_process;
mod open;
mod rabbitmq;
mod topology;

pub use broadcast_receiver::BroadcastReceiver;
pub use contract::*;
pub use in_process::InProcess;
pub use open::{BROKER_URLS, BrokerKind, check_url, diagnose, open};
pub use rabbitmq::RabbitMq;
