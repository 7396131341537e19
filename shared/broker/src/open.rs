//! Chooses the broker by the scheme of its URL.

use std::sync::Arc;

use super::{Broker, InProcess, RabbitMq};

/// Opens the broker that `broker.url` names. A RabbitMQ that cannot be reached is no error: the connection is tried for ever,
/// and `check` says what is wrong meanwhile.
///
/// # Errors
/// Says so when the URL is of no known kind or cannot be read.
pub async fn open(config: &configuration::Broker) -> anyhow::Result<Arc<dyn Broker>> {
    let scheme = config.url.expose().split(':').next().unwrap_or_default();
    match scheme {
        "in-process" => Ok(Arc::new(InProcess::new(config))),
        "amqp" | "amqps" => Ok(Arc::new(RabbitMq::open(config).await?)),
        _ => anyhow::bail!(
            "broker.url starts with `{scheme}:`; use in-process:, amqp://user:password@host:port/vhost or amqps://…"
        ),
    }
}
