//! What an orchestrator asks of a process that serves nothing else: `/livez`, `/readyz` and `/metrics`; and on `telemetry.listen`, where
//! that is configured, profiles.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Backends;
use crate::memory_use;
use crate::profile::{ProfileError, ProfileFormat, ProfileRequest, take_profile};
use crate::telemetry;
use configuration::{Config, Telemetry};

/// Each place has this long to answer. Kubernetes' own default is one second, the manifests ask for five.
const CHECK_WITHIN: Duration = Duration::from_secs(3);
/// A client that does not finish its request in this time is cut off.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// Whether the places that a process works with answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// True when all do.
    pub ready: bool,
    /// `ok`, or what is wrong with the database, in one line.
    pub database: String,
    /// `ok`, or what is wrong with the broker, in one line.
    pub broker: String,
    /// `ok`, or what is wrong with the storage, in one line.
    pub storage: String,
}

impl Readiness {
    /// Asks database, broker and storage at the same time, each within a few seconds. A database that takes no writes is of no use.
    pub async fn look(backends: &Backends) -> Self {
        let database = within(async { backends.store.check_writable().await.map_err(|error| error.to_string()) });
        let broker = within(backends.broker.check());
        let storage = within(async { backends.storage.check().await.map_err(|error| error.to_string()) });
        let (database, broker, storage) = tokio::join!(database, broker, storage);
        let ready = [&database, &broker, &storage].into_iter().all(Result::is_ok);
        let [database, broker, storage] = [database, broker, storage].map(|answer| match answer {
            Ok(()) => "ok".to_owned(),
            Err(why) => why,
        });
        Self { ready, database, broker, storage }
    }
}

async fn within(check: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let late = || Err(format!("no answer within {} s", CHECK_WITHIN.as_secs()));
    tokio::time::timeout(CHECK_WITHIN, check).await.unwrap_or_else(|_| late())
}

/// The listener of a worker or notifier, or of a gateway's metrics.
#[derive(Debug)]
pub struct Probes {
    listener: TcpListener,
    backends: Backends,
    port: u16,
    /// Whether profiles are answered as well.
    profiling: bool,
}

impl Probes {
    /// Listens on an address of the configuration, whose key is told when that fails.
    ///
    /// # Errors
    /// When the address is taken or not this machine's.
    pub async fn bind(listen: SocketAddr, key: &str, backends: Backends) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("listen on {listen}, the address of {key}"))?;
        let port = listener.local_addr().context("read the port that was given")?.port();
        Ok(Self { listener, backends, port, profiling: false })
    }

    /// Listens on `http.listen`, and on `telemetry.listen` where that is set.
    ///
    /// # Errors
    /// As [`Probes::bind`].
    pub async fn bind_all(config: &Config, backends: &Backends) -> anyhow::Result<Vec<Self>> {
        let mut all = vec![Self::bind(config.http.listen, "http.listen", backends.clone()).await?];
        all.extend(Self::bind_telemetry(&config.telemetry, backends).await?);
        Ok(all)
    }

    /// Listens on `telemetry.listen`, where that is set.
    ///
    /// # Errors
    /// As [`Probes::bind`].
    pub async fn bind_telemetry(telemetry: &Telemetry, backends: &Backends) -> anyhow::Result<Option<Self>> {
        match telemetry.listen {
            Some(listen) => {
                let probes = Self::bind(listen, "telemetry.listen", backends.clone()).await?;
                Ok(Some(Self { profiling: telemetry.profiling, ..probes }))
            }
            None => Ok(None),
        }
    }

    /// Answers on all of these until stopped.
    pub async fn run_all_until_stopped(all: Vec<Self>, stop: CancellationToken) {
        futures_util::future::join_all(all.into_iter().map(|probes| probes.run_until_stopped(stop.clone()))).await;
    }

    /// Returns the port, also where any was asked for.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Answers until stopped.
    pub async fn run_until_stopped(self, stop: CancellationToken) {
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (backends, stop, profiling) = (self.backends.clone(), stop.clone(), self.profiling);
                    connections.spawn(async move {
                        tokio::select! {
                            () = serve(stream, &backends, profiling) => {}
                            () = stop.cancelled() => {}
                        }
                    });
                }
                Err(error) => {
                    // Out of file descriptors, say: accepting again at once would only spin.
                    tracing::warn!(%error, "a probe's connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        connections.close();
        connections.wait().await;
    }
}

async fn serve(stream: TcpStream, backends: &Backends, profiling: bool) {
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(answer(&request, backends, profiling).await)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_WITHIN)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a probe's connection ended early");
    }
}

async fn answer(request: &Request<Incoming>, backends: &Backends, profiling: bool) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return response(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET is answered here\n".to_owned());
    }
    match request.uri().path() {
        "/livez" => response(StatusCode::OK, "text/plain", "ok\n".to_owned()),
        "/readyz" => {
            let readiness = Readiness::look(backends).await;
            let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            response(status, "application/json", serde_json::to_string_pretty(&readiness).unwrap_or_default() + "\n")
        }
        "/metrics" => response(StatusCode::OK, "text/plain; version=0.0.4", telemetry::render_metrics()),
        "/debug/pprof/profile" if profiling => answer_profile(request.uri().query().unwrap_or_default()).await,
        "/debug/memory" if profiling => response(StatusCode::OK, "text/plain", memory_use::describe_memory()),
        _ => {
            let more = if profiling { ", /debug/pprof/profile and /debug/memory" } else { "" };
            let there_are = format!("here are only /livez, /readyz and /metrics{more}\n");
            response(StatusCode::NOT_FOUND, "text/plain", there_are)
        }
    }
}

async fn answer_profile(query: &str) -> Response<Full<Bytes>> {
    let request = match ProfileRequest::parse(query) {
        Ok(request) => request,
        Err(wrong) => return response(StatusCode::BAD_REQUEST, "text/plain", wrong + "\n"),
    };
    let kind = match request.format {
        ProfileFormat::Pprof => "application/octet-stream",
        ProfileFormat::Folded => "text/plain",
    };
    tracing::info!(seconds = request.length.as_secs(), "a profile of this process is being taken");
    match take_profile(request).await {
        Ok(profile) => response(StatusCode::OK, kind, profile),
        Err(error @ ProfileError::Busy) => response(StatusCode::CONFLICT, "text/plain", format!("{error}\n")),
        Err(error @ ProfileError::Failed(_)) => {
            response(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", format!("{error}\n"))
        }
    }
}

fn response(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-store"));
    response
}
