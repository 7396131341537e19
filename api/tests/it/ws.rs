//! A client's side of a WebSocket, and a second gateway to open one at.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use runtime::Backends;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tokio_util::sync::CancellationToken;

use crate::api::{Api, Stack};

const PATIENCE: Duration = Duration::from_secs(20);

/// What came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Event(Value),
    Ping,
    Closed(u16, String),
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
    /// The subprotocol the gateway chose.
    pub(crate) protocol: Option<String>,
}

impl Socket {
    /// Opens a connection, or says with which status it was refused.
    pub(crate) async fn try_open(url: &str, path: &str, headers: &[(&str, &str)]) -> Result<Self, (u16, Value)> {
        let address = url.strip_prefix("http://").unwrap();
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        match tokio::time::timeout(PATIENCE, client_async(request, stream)).await.expect("an answer in time") {
            Ok((stream, answer)) => {
                let protocol = answer.headers().get("sec-websocket-protocol");
                let protocol = protocol.map(|name| name.to_str().unwrap().to_owned());
                Ok(Self { stream, protocol })
            }
            Err(Error::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                Err((answer.status().as_u16(), serde_json::from_slice(body).unwrap_or_default()))
            }
            Err(other) => panic!("no handshake: {other}"),
        }
    }

    pub(crate) async fn open(url: &str, path: &str, key: &str) -> Self {
        Self::try_open(url, path, &[("authorization", &format!("Bearer {key}"))]).await.expect("it opens")
    }

    pub(crate) async fn next(&mut self) -> Said {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("something in time");
            match message {
                Some(Ok(Message::Text(text))) => return Said::Event(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_))) => return Said::Ping,
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Said::Closed(frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(Message::Pong(_))) => {}
                other => panic!("not expected: {other:?}"),
            }
        }
    }

    /// Returns the next message that is an event or progress; none when the connection is closed.
    pub(crate) async fn next_event(&mut self) -> Option<Value> {
        loop {
            match self.next().await {
                Said::Event(said) if said["event"] != "position" => return Some(said),
                Said::Event(_) | Said::Ping => {}
                Said::Closed(..) => return None,
            }
        }
    }

    /// Returns the next state event: what has an id.
    pub(crate) async fn next_state(&mut self) -> Option<Value> {
        loop {
            let said = self.next_event().await?;
            if !said["id"].is_null() {
                return Some(said);
            }
        }
    }

    /// Returns why the gateway closes, whatever it says before.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Said::Closed(code, reason) = self.next().await {
                return (code, reason);
            }
        }
    }

    pub(crate) async fn say(&mut self, text: String) {
        self.stream.send(Message::text(text)).await.unwrap();
    }

    /// Gives up the protocol: what comes is not even answered.
    pub(crate) fn fall_silent(self) -> TcpStream {
        self.stream.into_inner()
    }
}

/// A second gateway on the same database and broker: a process of its own but for the process.
pub(crate) struct Neighbour {
    pub(crate) url: String,
    stop: CancellationToken,
    running: Vec<JoinHandle<()>>,
}

impl Neighbour {
    pub(crate) async fn start(api: &Api, stack: Stack) -> Self {
        let stop = CancellationToken::new();
        let mut running = Vec::new();
        let backends = if stack == Stack::Embedded {
            // The embedded broker is within one process.
            api.backends.clone()
        } else {
            let (backends, background) = Backends::open(&api.config).await.unwrap();
            running.push(tokio::spawn(background.run_until_stopped(stop.clone())));
            backends
        };
        let application = ::api::Application::build(&api.config, backends).await.unwrap();
        let url = format!("http://127.0.0.1:{}", application.port());
        let stopped = stop.clone();
        running.push(tokio::spawn(async move { application.run_until_stopped(stopped).await.unwrap() }));
        Self { url, stop, running }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        for task in self.running {
            task.await.unwrap();
        }
    }
}
