//! Opens one connection.

use std::time::Duration;

use anyhow::Context as _;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};

use crate::broker::topology::Topology;
use crate::config;

/// Where the broker is, and what has to be there.
#[derive(Clone)]
pub(super) struct Address {
    uri: AMQPUri,
    /// For people: without user and password.
    pub(super) shown: String,
    pub(super) topology: Topology,
    /// The bound on everything that is asked of the broker.
    pub(super) timeout: Duration,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Address {
    pub(super) fn parse(config: &config::Broker) -> anyhow::Result<Self> {
        // The parser's message repeats the URL, which holds a password.
        let mut uri: AMQPUri = config.url.expose().parse().ok().context(
            "broker.url cannot be read; write amqp://user:password@host:port/vhost, special characters as %XX",
        )?;
        let seconds = config.heartbeat.as_secs().clamp(1, u64::from(u16::MAX));
        uri.query.heartbeat = Some(u16::try_from(seconds).unwrap_or(u16::MAX));
        let shown = format!("{}:{}, virtual host {}", uri.authority.host, uri.authority.port, uri.vhost);
        Ok(Self { uri, shown, topology: Topology::of(config), timeout: config.timeout })
    }

    /// Connects, in bounded time: `lapin` has no bound of its own.
    pub(super) async fn connect(&self, purpose: &str) -> Result<Connection, String> {
        let properties = ConnectionProperties::default().with_connection_name(format!("waitless {purpose}").into());
        match tokio::time::timeout(self.timeout, Connection::connect_uri(self.uri.clone(), properties)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(format!("RabbitMQ at {} cannot be reached: {error}", self.shown)),
            Err(_) => Err(format!("RabbitMQ at {} does not answer", self.shown)),
        }
    }
}
