//! Opens one connection.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::topology::Topology;

/// Bytes of a frame, unless the URL asks for others. A connection holds twice 32 frames for as long as it lives, which is 8 MiB
/// with the usual size; our messages are small.
const FRAME_MAX: u32 = 16 << 10;

/// Where the broker is, and what has to be there.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) uri: AMQPUri,
    /// For people: without user and password.
    pub(super) shown: String,
    pub(super) topology: Topology,
    /// Certificate authorities beside the system's.
    tls: OwnedTLSConfig,
    /// The bound on everything that is asked of the broker.
    pub(super) timeout: Duration,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Address {
    pub(super) fn parse(config: &configuration::Broker) -> anyhow::Result<Self> {
        // The parser's message repeats the URL, which holds a password.
        let mut uri: AMQPUri = config.url.expose().parse().ok().context(
            "broker.url cannot be read; write amqp://user:password@host:port/vhost, special characters as %XX",
        )?;
        let seconds = config.heartbeat.as_secs().clamp(1, u64::from(u16::MAX));
        uri.query.heartbeat = Some(u16::try_from(seconds).unwrap_or(u16::MAX));
        uri.query.frame_max.get_or_insert(FRAME_MAX);
        let shown = format!("{}:{}, virtual host {}", uri.authority.host, uri.authority.port, uri.vhost);
        let cert_chain = config.ca_file.as_deref().map(read_authorities).transpose()?;
        let tls = OwnedTLSConfig { identity: None, cert_chain };
        Ok(Self { uri, shown, topology: Topology::of(config), tls, timeout: config.timeout })
    }

    /// Connects, in bounded time: `lapin` has no bound of its own.
    pub(super) async fn connect(&self, purpose: &str) -> Result<Connection, String> {
        let properties = ConnectionProperties::default().with_connection_name(format!("waitless {purpose}").into());
        let runtime = lapin::runtime::default_runtime().map_err(|error| error.to_string())?;
        let connecting = Connection::connect_uri_with_config(self.uri.clone(), properties, self.tls.clone(), runtime);
        match tokio::time::timeout(self.timeout, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(format!("RabbitMQ at {} cannot be reached: {error}", self.shown)),
            Err(_) => Err(format!("RabbitMQ at {} does not answer", self.shown)),
        }
    }
}

/// Reads certificates, and looks that there are some: without this check a wrong file would only be noticed as a server that
/// nobody trusts.
fn read_authorities(path: &Path) -> anyhow::Result<String> {
    let named = || format!("broker.ca_file {}", path.display());
    let text = std::fs::read_to_string(path).with_context(named)?;
    let certificates = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.with_context(named)?;
    anyhow::ensure!(!certificates.is_empty(), "{}: there is no certificate in it", named());
    Ok(text)
}
