//! One call to a gateway.

use std::time::Duration;

use anyhow::{Context as _, bail};
use configuration::is_loopback;
use model::problem::StoredProblem;
use reqwest::header::{HeaderValue, LOCATION, RANGE};
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Of answers that are not streams.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// A gateway and the key to it. The key goes to the gateway's own address only: wherever that sends somebody on to, it does not
/// follow, and where the gateway is on this machine, no proxy comes between.
#[derive(Clone)]
pub(crate) struct GatewayClient {
    http: reqwest::Client,
    base: Url,
    key: String,
}

/// Why a call has no answer of use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No answer, or only half of one. May pass.
    #[error("no answer from {0}: {1}")]
    Unreachable(String, String),
    /// The gateway says what is wrong.
    #[error("{}", describe(.0))]
    Problem(Box<StoredProblem>),
    /// Something else than a gateway answers there.
    #[error("{0}")]
    Unexpected(String),
}

impl ClientError {
    /// Tells whether the same call may succeed in a while.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(..) => true,
            Self::Problem(problem) => problem.status == 429 || problem.status >= 500,
            Self::Unexpected(_) => false,
        }
    }
}

fn describe(problem: &StoredProblem) -> String {
    // With one field, the detail says it all.
    if problem.errors.len() < 2 {
        return format!("{}: {}", problem.title, problem.detail);
    }
    let fields: Vec<String> =
        problem.errors.iter().map(|error| format!("  {} {}", error.pointer, error.detail)).collect();
    format!("{}:\n{}", problem.title, fields.join("\n"))
}

impl GatewayClient {
    /// Prepares calls; connects to nothing yet.
    pub(crate) fn new(base: &str, key: String) -> anyhow::Result<Self> {
        let mut base: Url = base.parse().with_context(|| format!("`{base}` is not the address of a gateway"))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            bail!("`{base}` is not the address of a gateway; write for example http://127.0.0.1:8080");
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let http = prepare(base.as_str()).redirect(Policy::none()).build().context("prepare the HTTP client")?;
        Ok(Self { http, base, key })
    }

    /// Returns the gateway's address, without a slash at its end.
    pub(crate) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Begins a call to `path`, without a slash at its start.
    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base);
        self.http.request(method, url).bearer_auth(&self.key)
    }

    /// Sends a call and reads its JSON answer.
    pub(crate) async fn answer<T: DeserializeOwned>(&self, call: RequestBuilder) -> Result<T, ClientError> {
        let answer = self.send(call.timeout(RESPONSE_TIMEOUT)).await?;
        let bytes = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let address = self.address();
            ClientError::Unexpected(format!(
                "{address} answers, but not as a Waitless gateway of this version: {error}"
            ))
        })
    }

    /// Reads `path`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.answer(self.call(Method::GET, path)).await
    }

    /// Sends a call and returns its answer, when it is a good one.
    pub(crate) async fn send(&self, call: RequestBuilder) -> Result<Response, ClientError> {
        let (http, request) = call.build_split();
        let request = request.map_err(|error| self.unreachable(&error))?;
        let range = request.headers().get(RANGE).cloned();
        let mut answer = http.execute(request).await.map_err(|error| self.unreachable(&error))?;
        if let Some(place) = place_of(&answer) {
            answer = fetch_elsewhere(place, range).await.map_err(|error| self.unreachable(&error))?;
        }
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(self.problem(answer).await)
    }

    async fn problem(&self, answer: Response) -> ClientError {
        let status = answer.status();
        let bytes = answer.bytes().await.unwrap_or_default();
        match serde_json::from_slice::<StoredProblem>(&bytes) {
            Ok(problem) => ClientError::Problem(Box::new(problem)),
            Err(_) if may_be_a_proxy(status) => {
                ClientError::Unreachable(self.address().to_owned(), format!("a proxy says {status}"))
            }
            Err(_) => ClientError::Unexpected(format!("{} answers {status}, and not as Waitless", self.address())),
        }
    }

    /// Says why there is no answer, down to the cause: the outer error only says that there is none.
    pub(crate) fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        ClientError::Unreachable(self.address().to_owned(), cause.to_string())
    }
}

/// Begins a client for a URL: this machine is never asked by way of a proxy, which would get to see what only this machine may.
pub(crate) fn prepare(url: &str) -> ClientBuilder {
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("waitless/", env!("CARGO_PKG_VERSION")));
    if is_loopback(url) { client.no_proxy() } else { client }
}

/// Fetches what needs no key: a file that a storage signed for, a link.
pub(crate) async fn fetch_elsewhere(url: Url, range: Option<HeaderValue>) -> reqwest::Result<Response> {
    let mut call = prepare(url.as_str()).build()?.get(url);
    if let Some(range) = range {
        call = call.header(RANGE, range);
    }
    call.send().await
}

/// Returns where an answer says that something is.
fn place_of(answer: &Response) -> Option<Url> {
    let place = answer.headers().get(LOCATION).filter(|_| answer.status().is_redirection())?;
    answer.url().join(place.to_str().ok()?).ok()
}

fn may_be_a_proxy(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}
