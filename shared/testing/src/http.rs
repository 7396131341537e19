//! Just enough HTTP/1.0 to ask a server something.

use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Asks for a URL, and returns status and body.
pub(crate) async fn get(url: &str) -> anyhow::Result<(u16, String)> {
    let rest = url.strip_prefix("http://").context("the URL must start with http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = format!("/{path}");
    let asked = exchange(host, "GET", &path, "", "");
    tokio::time::timeout(Duration::from_secs(5), asked).await.context("no answer in five seconds")?
}

/// Sends one request. `headers` are whole lines, each ended by CR LF.
pub(crate) async fn exchange(
    host: &str,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect(host).await?;
    // HTTP/1.0: the answer ends where the connection ends, and is never chunked.
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("an HTTP answer")?;
    let status = head.split_whitespace().nth(1).context("an HTTP status")?.parse()?;
    Ok((status, body.to_owned()))
}
