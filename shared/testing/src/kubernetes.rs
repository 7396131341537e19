//! As much of the Kubernetes API as a pod needs that annotates itself: over TLS, with the token of a service account.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;

use crate::tls::CertificateAuthority;

/// How requests are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApiMood {
    /// As they should be.
    #[default]
    Obliging,
    /// Answered with this status.
    Answer(u16),
    /// Never answered.
    Silent,
}

#[derive(Debug, Default)]
struct State {
    mood: ApiMood,
    requests: usize,
    patches: Vec<(String, String)>,
}

/// A running server. Ends when dropped.
#[derive(Debug)]
pub struct KubernetesApi {
    port: u16,
    folder: tempfile::TempDir,
    state: Arc<Mutex<State>>,
    serving: tokio::task::JoinHandle<()>,
}

/// Starts a server.
///
/// # Errors
/// When no port is free or files cannot be written.
pub async fn start() -> anyhow::Result<KubernetesApi> {
    let authority = CertificateAuthority::of(&["127.0.0.1"])?;
    let folder = crate::environment::own_folder("kubernetes")?;
    std::fs::copy(authority.ca_file(), folder.path().join("ca.crt"))?;
    std::fs::write(folder.path().join("token"), format!("{TOKEN}\n"))?;
    std::fs::write(folder.path().join("namespace"), "reports")?;
    let (acceptor, state) = (authority.acceptor()?, Arc::<Mutex<State>>::default());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("start the Kubernetes API")?;
    let port = listener.local_addr()?.port();
    let shared = state.clone();
    let serving = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, state) = (acceptor.clone(), shared.clone());
            connections.spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let answer = service_fn(move |request| answer(request, state.clone()));
                let http = hyper::server::conn::http1::Builder::new();
                let _broken = http.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    Ok(KubernetesApi { port, folder, state, serving })
}

const TOKEN: &str = "token-of-a-service-account";

impl KubernetesApi {
    /// `https://127.0.0.1:<port>`
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The folder that would be mounted into a pod: `token`, `namespace` and `ca.crt`.
    #[must_use]
    pub fn account(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Treats requests like this from now on.
    pub fn behave(&self, mood: ApiMood) {
        self.state.lock().mood = mood;
    }

    /// How many requests there were.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state.lock().requests
    }

    /// What each merge patch of this pod in the account's namespace said, oldest first.
    #[must_use]
    pub fn patches(&self, pod: &str) -> Vec<String> {
        let path = format!("/api/v1/namespaces/reports/pods/{pod}");
        let state = self.state.lock();
        state.patches.iter().filter(|(at, _)| *at == path).map(|(_, body)| body.clone()).collect()
    }
}

impl Drop for KubernetesApi {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let mood = {
        let mut state = state.lock();
        state.requests += 1;
        state.mood
    };
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let status = match mood {
        ApiMood::Silent => std::future::pending().await,
        ApiMood::Answer(status) => status,
        ApiMood::Obliging if header("authorization") != format!("Bearer {TOKEN}") => 401,
        ApiMood::Obliging if request.method() != Method::PATCH => 405,
        ApiMood::Obliging if header("content-type") != "application/merge-patch+json" => 415,
        ApiMood::Obliging => {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await?.to_bytes();
            state.lock().patches.push((path, String::from_utf8_lossy(&body).into_owned()));
            200
        }
    };
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    Ok(response)
}
