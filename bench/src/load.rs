//! A load generator that costs little: keep-alive connections that send prepared bytes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

/// A request as bytes, and where it goes.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    address: String,
    bytes: Vec<u8>,
}

impl Request {
    /// Prepares a submit of `report` as CSV.
    pub(crate) fn submit(address: &str, key: &str, report: &str) -> Self {
        Self::submit_as(address, key, (report, "{}", "csv"))
    }

    /// Prepares a submit of a report with its parameters, as JSON, in a format.
    pub(crate) fn submit_as(address: &str, key: &str, (report, params, format): (&str, &str, &str)) -> Self {
        let body = format!(r#"{{"report":"{report}","params":{params},"formats":["{format}"]}}"#);
        Self::with_body(address, key, &body)
    }

    /// Prepares a submit of any body.
    pub(crate) fn with_body(address: &str, key: &str, body: &str) -> Self {
        Self::new(address, key, "POST /v1/jobs", body)
    }

    /// Prepares any request with a JSON body; `target` is method and path.
    pub(crate) fn new(address: &str, key: &str, target: &str, body: &str) -> Self {
        let head = format!(
            "{target} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        Self { address: address.to_owned(), bytes: format!("{head}{body}").into_bytes() }
    }

    /// Where it goes.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: BufStream<TcpStream>,
}

impl Connection {
    /// Connects, without delaying small packets.
    pub(crate) async fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufStream::new(stream) })
    }

    /// Sends the request and reads the answer: `(status, body)`.
    pub(crate) async fn send(&mut self, request: &Request) -> anyhow::Result<(u16, Vec<u8>)> {
        self.stream.write_all(&request.bytes).await?;
        self.stream.flush().await?;
        let (mut line, mut status, mut length) = (String::new(), 0, 0);
        loop {
            line.clear();
            ensure!(self.stream.read_line(&mut line).await? > 0, "the gateway closed the connection");
            let text = line.trim_end();
            if let Some(rest) = text.strip_prefix("HTTP/1.1 ") {
                status = rest.split(' ').next().unwrap_or_default().parse().context("read the status")?;
            } else if let Some(value) = text.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().context("read the length")?;
            } else if text.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok((status, body))
    }
}

/// What a run of the load generator saw.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// One a request, in milliseconds.
    pub(crate) latencies: Vec<f64>,
    /// First request to last answer.
    pub(crate) elapsed: Duration,
}

impl Run {
    /// Returns answers a second.
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }
}

/// Sends `total` requests over `connections`, each as fast as its answers come.
pub(crate) async fn flood(request: &Request, connections: usize, total: usize) -> anyhow::Result<Run> {
    run(request, connections, total / connections, None).await
}

/// Sends `rate` requests a second for `seconds`, spread over `connections`. Latency counts from when a request was due, so that
/// a stalled gateway cannot hide by slowing its own load.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "counts are small"
)]
pub(crate) async fn pace(request: &Request, connections: usize, rate: f64, seconds: u32) -> anyhow::Result<Run> {
    let each = (rate * f64::from(seconds) / connections as f64) as usize;
    run(request, connections, each, Some(Duration::from_secs_f64(connections as f64 / rate))).await
}

async fn run(request: &Request, connections: usize, each: usize, every: Option<Duration>) -> anyhow::Result<Run> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(Connection::open(&request.address).await?);
    }
    let start = Instant::now() + Duration::from_millis(20);
    let mut tasks = Vec::new();
    for (number, connection) in open.into_iter().enumerate() {
        // Spreads the first requests evenly over one period.
        let share = f64::from(u32::try_from(number)?) / f64::from(u32::try_from(connections)?);
        let offset = every.unwrap_or_default().mul_f64(share);
        tasks.push(tokio::spawn(drive(connection, request.clone(), each, start + offset, every)));
    }
    let mut latencies = Vec::with_capacity(each * connections);
    for task in tasks {
        latencies.append(&mut task.await??);
    }
    Ok(Run { latencies, elapsed: start.elapsed() })
}

async fn drive(
    mut connection: Connection,
    request: Request,
    each: usize,
    start: Instant,
    every: Option<Duration>,
) -> anyhow::Result<Vec<f64>> {
    let mut latencies = Vec::with_capacity(each);
    tokio::time::sleep_until(start.into()).await;
    for number in 0..each {
        let due = match every {
            Some(every) => {
                let due = start + every.mul_f64(f64::from(u32::try_from(number)?));
                tokio::time::sleep_until(due.into()).await;
                due
            }
            None => Instant::now(),
        };
        let (status, body) = connection.send(&request).await?;
        ensure!(status == 202, "the gateway answered {status}: {}", String::from_utf8_lossy(&body));
        latencies.push(due.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(latencies)
}
