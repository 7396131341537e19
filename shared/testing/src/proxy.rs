//! A TCP proxy that does to connections what networks do to them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How one direction treats what is sent. Nothing is ever lost on an open connection: TCP would send it again.
#[derive(Debug, Clone, Copy, Default)]
struct Direction {
    held: bool,
    delay: Duration,
    bytes_per_second: Option<u32>,
}

/// What the proxy does at present.
#[derive(Debug, Clone, Copy, Default)]
struct LinkConditions {
    /// New connections are closed at once.
    refusing: bool,
    requests: Direction,
    answers: Direction,
    /// Connections made under a lower number are over.
    generation: u64,
    /// They end with a reset rather than in order.
    reset: bool,
}

/// A running proxy. Ends, with all its connections, when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    conditions: watch::Sender<LinkConditions>,
    connections: Arc<AtomicUsize>,
    open: Arc<()>,
    accepting: tokio::task::JoinHandle<()>,
}

/// Starts a proxy to `target` (`host:port`).
///
/// # Errors
/// When no port is free.
pub async fn start(target: impl Into<String>) -> anyhow::Result<Proxy> {
    let (listener, target) = (TcpListener::bind(("127.0.0.1", 0)).await.context("start the proxy")?, target.into());
    let address = listener.local_addr()?;
    let conditions = watch::Sender::new(LinkConditions::default());
    let connections = Arc::new(AtomicUsize::new(0));
    let open = Arc::new(());
    let accepting = tokio::spawn(accept(listener, target, conditions.subscribe(), (connections.clone(), open.clone())));
    Ok(Proxy { address, conditions, connections, open, accepting })
}

impl Proxy {
    /// The port clients connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The same URL, through this proxy.
    #[must_use]
    pub fn url(&self, original: &str) -> String {
        let start = original.find("://").map_or(0, |at| at + 3);
        let end = original[start..].find(['/', '?']).map_or(original.len(), |at| start + at);
        let host = original[start..end].rfind('@').map_or(start, |at| start + at + 1);
        format!("{}{}{}", &original[..host], self.address, &original[end..])
    }

    /// How many connections it has carried so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many connections it carries at present.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        // One is its own, another that of its listener.
        Arc::strong_count(&self.open).saturating_sub(2)
    }

    /// Closes every connection; new ones are welcome.
    pub fn cut(&self) {
        self.conditions.send_modify(|now| (now.generation, now.reset) = (now.generation + 1, false));
    }

    /// Resets every connection; new ones are welcome.
    pub fn reset(&self) {
        self.conditions.send_modify(|now| (now.generation, now.reset) = (now.generation + 1, true));
    }

    /// Closes every connection, and new ones at once, until healed.
    pub fn refuse(&self) {
        self.cut();
        self.conditions.send_modify(|now| now.refusing = true);
    }

    /// Keeps connections open and takes new ones, but nothing arrives, until healed: a black hole.
    pub fn hold(&self) {
        self.conditions.send_modify(|now| (now.requests.held, now.answers.held) = (true, true));
    }

    /// Requests arrive and answers do not, until healed. Cut before healing, and the answers are lost for ever.
    pub fn hold_answers(&self) {
        self.conditions.send_modify(|now| now.answers.held = true);
    }

    /// Everything takes this much longer, each way.
    pub fn delay(&self, by: Duration) {
        self.conditions.send_modify(|now| (now.requests.delay, now.answers.delay) = (by, by));
    }

    /// Each way carries at most this many bytes a second and connection.
    pub fn throttle(&self, bytes_per_second: u32) {
        let limit = Some(bytes_per_second);
        self.conditions
            .send_modify(|now| (now.requests.bytes_per_second, now.answers.bytes_per_second) = (limit, limit));
    }

    /// Carries everything again. What was held arrives now.
    pub fn heal(&self) {
        self.conditions
            .send_modify(|now| *now = LinkConditions { generation: now.generation, ..LinkConditions::default() });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(
    listener: TcpListener,
    target: String,
    conditions: watch::Receiver<LinkConditions>,
    (connections, open): (Arc<AtomicUsize>, Arc<()>),
) {
    while let Ok((client, _)) = listener.accept().await {
        if conditions.borrow().refusing {
            continue;
        }
        connections.fetch_add(1, Ordering::SeqCst);
        let (target, conditions, open) = (target.clone(), conditions.clone(), open.clone());
        tokio::spawn(async move {
            forward(client, target, conditions).await;
            drop(open);
        });
    }
}

async fn forward(mut client: TcpStream, target: String, conditions: watch::Receiver<LinkConditions>) {
    let generation = conditions.borrow().generation;
    let Ok(mut server) = TcpStream::connect(&target).await else { return };
    let _nodelay = client.set_nodelay(true).and(server.set_nodelay(true));
    {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let both = async {
            tokio::join!(
                copy(from_client, to_server, conditions.clone(), |now| now.requests),
                copy(from_server, to_client, conditions.clone(), |now| now.answers)
            )
        };
        tokio::select! {
            _ = both => {}
            () = generation_ended(conditions.clone(), generation) => {}
        }
    }
    let now = *conditions.borrow();
    if now.generation != generation && now.reset {
        let _best_effort = client.set_zero_linger().and(server.set_zero_linger());
    }
}

/// Waits until connections of this generation are to end.
async fn generation_ended(mut conditions: watch::Receiver<LinkConditions>, generation: u64) {
    // An error means that the proxy itself is gone.
    let _gone = conditions.wait_for(|now| now.generation != generation).await;
}

async fn copy(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut conditions: watch::Receiver<LinkConditions>,
    direction: impl Fn(&LinkConditions) -> Direction,
) {
    let mut buffer = vec![0_u8; 16 * 1024];
    while let Ok(count) = from.read(&mut buffer).await {
        // The conditions may have changed while it was read; what is held waits here, unlost.
        let Ok(now) = conditions.wait_for(|now| !direction(now).held).await.map(|now| direction(&now)) else { return };
        if count == 0 {
            break;
        }
        tokio::time::sleep(now.delay + transmission_time(count, now.bytes_per_second)).await;
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    let _half_closed = to.shutdown().await;
}

fn transmission_time(bytes: usize, bytes_per_second: Option<u32>) -> Duration {
    let bytes = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
    bytes_per_second.map_or(Duration::ZERO, |limit| Duration::from_secs_f64(bytes / f64::from(limit.max(1))))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// A server that sends everything back.
    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn connect(proxy: &Proxy) -> TcpStream {
        TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap()
    }

    async fn say(stream: &mut TcpStream) -> std::io::Result<[u8; 5]> {
        stream.write_all(b"hello").await?;
        let mut answer = [0; 5];
        tokio::time::timeout(LIMIT, stream.read_exact(&mut answer)).await.unwrap().map(|_| answer)
    }

    #[tokio::test]
    async fn a_cut_connection_ends_and_the_next_one_works() {
        let proxy = start(echo().await).await.unwrap();
        let mut stream = connect(&proxy).await;
        assert_eq!(&say(&mut stream).await.unwrap(), b"hello");
        proxy.cut();
        assert!(say(&mut stream).await.is_err());
        assert!(say(&mut connect(&proxy).await).await.is_ok());
        proxy.refuse();
        assert!(say(&mut connect(&proxy).await).await.is_err());
        proxy.heal();
        assert!(say(&mut connect(&proxy).await).await.is_ok());
        assert_eq!(proxy.connections(), 3);
        drop(stream);
        crate::eventually(LIMIT, "every connection is over", async || proxy.open_connections() == 0).await;
    }

    #[tokio::test]
    async fn a_reset_is_a_reset() {
        let proxy = start(echo().await).await.unwrap();
        let mut stream = connect(&proxy).await;
        say(&mut stream).await.unwrap();
        proxy.reset();
        let error = tokio::time::timeout(LIMIT, stream.read_u8()).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn held_answers_arrive_when_healed() {
        let proxy = start(echo().await).await.unwrap();
        let mut stream = connect(&proxy).await;
        say(&mut stream).await.unwrap();
        proxy.hold_answers();
        let early = tokio::time::timeout(Duration::from_millis(200), say(&mut stream)).await;
        assert!(early.is_err(), "it came: {early:?}");
        proxy.heal();
        let mut answer = [0; 5];
        tokio::time::timeout(LIMIT, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"hello");
    }

    #[tokio::test]
    async fn a_delay_and_a_throttle_take_their_time() {
        let proxy = start(echo().await).await.unwrap();
        let mut stream = connect(&proxy).await;
        proxy.delay(Duration::from_millis(60));
        let start = Instant::now();
        say(&mut stream).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(120));
        proxy.heal();
        proxy.throttle(50);
        let start = Instant::now();
        say(&mut stream).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(150));
    }

    #[tokio::test]
    async fn a_url_is_led_through_the_proxy() {
        let proxy = start("127.0.0.1:1").await.unwrap();
        let port = proxy.port();
        assert_eq!(proxy.url("amqp://a:b@host:5672/v"), format!("amqp://a:b@127.0.0.1:{port}/v"));
        assert_eq!(proxy.url("http://host:1"), format!("http://127.0.0.1:{port}"));
        assert_eq!(proxy.url("postgres://u@h?x=1"), format!("postgres://u@127.0.0.1:{port}?x=1"));
    }
}
