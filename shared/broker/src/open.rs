//! Chooses the broker by the scheme of its URL.

use std::sync::Arc;

use configuration::UrlSchemes;
use model::finding::Findings;

use super::{Broker, InProcess, RabbitMq};

/// What `broker.url` leads to.
#[derive(Debug, Clone, Copy)]
pub enum BrokerKind {
    /// Within this process.
    InProcess,
    /// RabbitMQ, with or without TLS.
    RabbitMq,
}

/// Every way `broker.url` may begin.
pub const BROKER_URLS: UrlSchemes<BrokerKind> = UrlSchemes(&[
    ("in-process:", BrokerKind::InProcess),
    ("amqp://", BrokerKind::RabbitMq),
    ("amqps://", BrokerKind::RabbitMq),
]);

/// Opens the broker that `broker.url` names. A RabbitMQ that cannot be reached is no error: the connection is tried for ever,
/// and `check` says what is wrong meanwhile.
///
/// # Errors
/// Says so when the URL is of no known kind or cannot be read.
pub async fn open(config: &configuration::Broker) -> anyhow::Result<Arc<dyn Broker>> {
    match BROKER_URLS.find(config.url.expose()) {
        Ok(BrokerKind::InProcess) => Ok(Arc::new(InProcess::new(config))),
        Ok(BrokerKind::RabbitMq) => Ok(Arc::new(RabbitMq::open(config).await?)),
        Err(why) => anyhow::bail!("broker.url {why}"),
    }
}

/// Tells whether there is a kind of broker for a URL; the rest of it is judged when it is opened.
///
/// # Errors
/// Says how URLs begin, without the URL.
pub fn check_url(url: &str) -> Result<(), String> {
    BROKER_URLS.find(url).map(drop)
}

/// Looks at the broker that `broker.url` names and notes how it stands. Declares nothing that stays.
pub async fn diagnose(config: &configuration::Broker, findings: &mut Findings) {
    match BROKER_URLS.find(config.url.expose()) {
        Ok(BrokerKind::InProcess) => findings.ok("is within the process; nothing to reach"),
        Ok(BrokerKind::RabbitMq) => RabbitMq::diagnose(config, findings).await,
        Err(why) => findings.fail(why, "correct broker.url"),
    }
}
