//! An endpoint of webhooks that does what no real one does when it is asked to: refuses, is silent, sends without end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What the endpoint does with a request.
#[derive(Debug, Clone)]
pub enum EndpointBehaviour {
    /// Answers with this status, these header lines (each ended by CR LF) and this body.
    Answer(u16, String, String),
    /// Reads the request and says nothing, ever.
    Silence,
    /// Takes it, and closes without a word.
    TakeThenClose,
    /// Answers with this status, and then sends bytes without end: as fast as they are read, or one each so often.
    Endless(u16, Option<Duration>),
    /// Answers with this status, announces a long body, and closes in the middle of it.
    CutInAnswer(u16),
}

impl EndpointBehaviour {
    /// Answers with this status and nothing else.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Answer(status, String::new(), String::new())
    }

    fn takes(&self) -> bool {
        match self {
            Self::Answer(status, ..) | Self::Endless(status, _) | Self::CutInAnswer(status) => {
                (200..300).contains(status)
            }
            Self::TakeThenClose => true,
            Self::Silence => false,
        }
    }
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRequest {
    /// `POST /path HTTP/1.1`
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it came.
    pub body: String,
}

impl EndpointRequest {
    /// Returns a header; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

#[derive(Debug, Default)]
struct Seen {
    /// What is done with the next ones.
    next: VecDeque<EndpointBehaviour>,
    always: Option<EndpointBehaviour>,
    asked: Vec<EndpointRequest>,
    taken: Vec<EndpointRequest>,
    /// Nobody is answered any more, also on connections that are open.
    is_gone: bool,
    under_way: usize,
    most_under_way: usize,
}

/// An endpoint on a free port of this machine. Ends with its connections when dropped.
#[derive(Debug)]
pub struct WebhookEndpoint {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    accepting: JoinHandle<()>,
}

/// Starts an endpoint that takes everything.
///
/// # Errors
/// When no port is free.
pub async fn start() -> anyhow::Result<WebhookEndpoint> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("listen for webhooks")?;
    let address = listener.local_addr()?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let known = seen.clone();
    let accepting = tokio::spawn(async move {
        let mut running = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            running.spawn(serve(stream, known.clone()));
        }
    });
    Ok(WebhookEndpoint { address, seen, accepting })
}

impl WebhookEndpoint {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address, without TLS.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hooks/waitless?of=tests", self.address)
    }

    /// Does this with the next `times` requests.
    pub fn behave(&self, behaviour: EndpointBehaviour, times: usize) {
        self.seen.lock().next.extend(std::iter::repeat_n(behaviour, times));
    }

    /// Does this with every request from now on; `None`: takes them.
    pub fn always_behave(&self, behaviour: Option<EndpointBehaviour>) {
        self.seen.lock().always = behaviour;
    }

    /// Every request that came whole.
    #[must_use]
    pub fn asked(&self) -> Vec<EndpointRequest> {
        self.seen.lock().asked.clone()
    }

    /// Those that it took, in its own view.
    #[must_use]
    pub fn taken(&self) -> Vec<EndpointRequest> {
        self.seen.lock().taken.clone()
    }

    /// How many requests were there at once, at most.
    #[must_use]
    pub fn most_under_way(&self) -> usize {
        self.seen.lock().most_under_way
    }
}

impl Drop for WebhookEndpoint {
    fn drop(&mut self) {
        self.seen.lock().is_gone = true;
        self.accepting.abort();
    }
}

async fn serve(stream: TcpStream, seen: Arc<Mutex<Seen>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await? {
        if seen.lock().is_gone {
            break;
        }
        if request.line.starts_with("HEAD") {
            stream.write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n").await?;
            continue;
        }
        let behaviour = note(&mut seen.lock(), request);
        let goes_on = act(&mut stream, behaviour).await;
        seen.lock().under_way -= 1;
        if !goes_on? {
            break;
        }
    }
    Ok(())
}

fn note(seen: &mut Seen, request: EndpointRequest) -> EndpointBehaviour {
    let usual = EndpointBehaviour::Answer(204, String::new(), String::new());
    let behaviour = seen.next.pop_front().or_else(|| seen.always.clone()).unwrap_or(usual);
    seen.under_way += 1;
    seen.most_under_way = seen.most_under_way.max(seen.under_way);
    seen.asked.push(request.clone());
    if behaviour.takes() {
        seen.taken.push(request);
    }
    behaviour
}

/// Reads one request. `None` where the connection ends instead.
async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<EndpointRequest>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(EndpointRequest { line: line.trim().to_owned(), headers, body }))
}

/// Tells whether the connection goes on.
async fn act(stream: &mut BufReader<TcpStream>, behaviour: EndpointBehaviour) -> std::io::Result<bool> {
    match behaviour {
        EndpointBehaviour::Answer(status, headers, body) => {
            let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
            let answer = format!("HTTP/1.1 {status} Answer\r\n{headers}{length}\r\n{body}");
            stream.write_all(answer.as_bytes()).await?;
            Ok(true)
        }
        EndpointBehaviour::Silence => {
            // Until the other side has had enough.
            let _closed = stream.read_u8().await;
            Ok(false)
        }
        EndpointBehaviour::TakeThenClose => Ok(false),
        EndpointBehaviour::Endless(status, every) => {
            stream.write_all(format!("HTTP/1.1 {status} Answer\r\nConnection: close\r\n\r\n").as_bytes()).await?;
            loop {
                match every {
                    Some(every) => {
                        stream.write_all(b"x").await?;
                        tokio::time::sleep(every).await;
                    }
                    None => stream.write_all(&[b'x'; 16 * 1024]).await?,
                }
            }
        }
        EndpointBehaviour::CutInAnswer(status) => {
            let answer = format!("HTTP/1.1 {status} Answer\r\nContent-Length: 1000\r\n\r\nhalf an answer");
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
            Ok(false)
        }
    }
}
