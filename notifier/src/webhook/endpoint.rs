//! One endpoint: signs, asks within bounds, and says how it went.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use chrono::Utc;
use configuration::{Webhook, is_public};
use model::units::write_duration;
use model::webhook::WebhookSecret;
use parking_lot::Mutex;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use url::{Host, Url};
use uuid::Uuid;

use super::answer::EndpointAnswer;
use super::breaker::{Breaker, Exchange};
use super::payload::WebhookPayload;
use super::public_resolver::PublicResolver;
use crate::channel::{Patience, SendError};
use crate::compose::single_line;

/// Reaching an endpoint takes at most so long, of its whole time.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// An endpoint of the configuration, ready to be told something.
#[derive(Debug)]
pub(super) struct Endpoint {
    name: String,
    pub(super) settings: Webhook,
    pub(super) patience: Patience,
    url: Url,
    secrets: Vec<WebhookSecret>,
    client: Client,
    breaker: Mutex<Breaker>,
}

impl Endpoint {
    /// Prepares what asks it. Contacts nobody.
    ///
    /// # Errors
    /// When its settings cannot work.
    pub(super) fn open(name: &str, settings: &Webhook) -> anyhow::Result<Self> {
        let url: Url = settings.url.expose().parse().context("read its url")?;
        refuse_inner(settings, &url)?;
        let secrets = settings.secrets.iter().map(|secret| WebhookSecret::read(secret.expose()));
        let secrets: Result<Vec<_>, _> = secrets.collect();
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .https_only(!settings.allow_http)
            .timeout(settings.timeout)
            .connect_timeout(CONNECT_WITHIN.min(settings.timeout))
            .pool_max_idle_per_host(settings.concurrency.into())
            .user_agent(concat!("waitless/", env!("CARGO_PKG_VERSION")));
        if !settings.allow_private {
            builder = builder.dns_resolver(PublicResolver);
        }
        if let Some(file) = &settings.ca_file {
            let text = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&text)
                .with_context(|| format!("read the certificates in {}", file.display()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self {
            name: name.to_owned(),
            patience: Patience { delays: settings.retry_delays.clone(), max_attempts: settings.max_attempts },
            url,
            secrets: secrets.map_err(anyhow::Error::msg)?,
            client: builder.build().context("prepare to send requests")?,
            breaker: Mutex::new(Breaker::new(settings.timeout)),
            settings: settings.clone(),
        })
    }

    /// Sends one request, unless the endpoint is to be left alone.
    pub(super) async fn tell(&self, id: Uuid, payload: &WebhookPayload) -> Result<(), SendError> {
        if let Err(left) = self.breaker.lock().enter(Instant::now()) {
            metrics::counter!("waitless_webhooks_spared_total", "webhook" => self.name.clone()).increment(1);
            let left_text = write_duration(Duration::from_secs(left.as_secs().max(1)));
            let reason =
                format!("the endpoint asked for it, or did not answer before, and is left alone for {left_text}");
            return Err(SendError::Retry { reason, after: Some(left) });
        }
        let answer = match self.post(id, payload).await {
            Ok(response) => EndpointAnswer::read(response, &payload.link_tokens).await,
            Err(error) => {
                self.breaker.lock().leave(Instant::now(), Exchange::Failed);
                return Err(self.explain(error));
            }
        };
        let mut breaker = self.breaker.lock();
        breaker.leave(Instant::now(), answer.exchange());
        if let Some(after) = answer.after {
            breaker.leave_alone(Instant::now(), after);
        }
        drop(breaker);
        answer.judge()
    }

    /// Sees whether it answers, whatever it says. Tells it nothing.
    pub(super) async fn look(&self) -> Result<(), String> {
        let answered = self.client.head(self.url.clone()).send().await;
        answered.map(drop).map_err(|error| why(&error))
    }

    async fn post(&self, id: Uuid, payload: &WebhookPayload) -> Result<Response, reqwest::Error> {
        let (id, timestamp) = (id.to_string(), Utc::now().timestamp());
        let signatures = self.secrets.iter().map(|secret| secret.sign(&id, timestamp, payload.body.as_bytes()));
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/cloudevents+json; charset=utf-8")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures.collect::<Vec<_>>().join(" "));
        request.body(payload.body.clone()).send().await
    }

    /// Says what happened where no answer came: nothing arrived if nobody was reached, and else nobody knows.
    fn explain(&self, error: reqwest::Error) -> SendError {
        let error = error.without_url();
        if error.is_connect() || error.is_builder() {
            return SendError::retry(format!("the endpoint cannot be reached: {}", why(&error)));
        }
        if error.is_timeout() {
            let limit = write_duration(self.settings.timeout);
            return SendError::Unknown(format!("the endpoint took the request and did not answer within {limit}"));
        }
        SendError::Unknown(format!("the endpoint did not answer: {}", why(&error)))
    }
}

/// Refuses an address that is written out and not public. Names are looked at when they are resolved.
fn refuse_inner(settings: &Webhook, url: &Url) -> anyhow::Result<()> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    if !settings.allow_private && !is_public(address) {
        bail!("its url leads to {address}, which is no address of the public internet; see allow_private");
    }
    Ok(())
}

/// Returns the innermost reason, in one line: the outer ones say that something went wrong with a request.
fn why(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    single_line(&inner.to_string(), 300)
}
