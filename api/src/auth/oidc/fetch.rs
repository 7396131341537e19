//! Asks a provider, within bounds: it may be slow, send without end, or lead somewhere else.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use configuration::{Issuer, is_loopback};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use url::Url;

/// A whole question and its answer.
const WITHIN: Duration = Duration::from_secs(5);

/// Reaching the provider.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Largest answer. Providers with a hundred keys and their certificates stay below half of it.
const MAX_ANSWER: usize = 256 * 1024;

/// Makes what asks one provider. Redirects are not followed: they would lead to keys of whoever can make the provider redirect.
pub(super) fn client(settings: &Issuer) -> anyhow::Result<Client> {
    let mut builder = Client::builder()
        .redirect(Policy::none())
        .timeout(WITHIN)
        .connect_timeout(CONNECT_WITHIN)
        .user_agent(concat!("waitless/", env!("CARGO_PKG_VERSION")));
    if is_loopback(&settings.issuer) {
        builder = builder.no_proxy();
    }
    if let Some(file) = &settings.ca_file {
        let text = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&text)
            .with_context(|| format!("read the certificates in {}", file.display()))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().context("prepare to ask an identity provider")
}

/// Reads an address that a provider names, where it may be asked.
///
/// # Errors
/// When it is none, or would be asked without TLS.
pub(super) fn check_address(settings: &Issuer, text: &str) -> anyhow::Result<Url> {
    let url: Url = text.parse().with_context(|| format!("`{text}` is not an address"))?;
    let plain = url.scheme() == "http" && (settings.allow_http || is_loopback(text));
    ensure!(plain || url.scheme() == "https", "`{text}` is not an https:// address, and allow_http is not set");
    Ok(url)
}

/// Asks, and reads the JSON of an answer with status 200.
pub(crate) async fn fetch<T: DeserializeOwned>(request: RequestBuilder) -> anyhow::Result<T> {
    let answer = request.send().await.map_err(reqwest::Error::without_url).context("it does not answer")?;
    let status = answer.status();
    if status.is_redirection() {
        bail!("it leads somewhere else ({status}), and redirects are not followed");
    }
    let body = read(answer).await?;
    if !status.is_success() {
        // `{"error": "invalid_client", …}` of a token endpoint says what is wrong; a page of HTML does not.
        let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let said = said["error"].as_str().map(plain).unwrap_or_default();
        bail!("it answers {status} {said}");
    }
    serde_json::from_slice(&body).context("its answer is not what it should be")
}

/// What a provider says goes into logs: a word of it.
pub(crate) fn plain(text: &str) -> String {
    text.chars().take(100).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

async fn read(mut answer: Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    let too_large = || format!("its answer is larger than {} KiB", MAX_ANSWER / 1024);
    ensure!(answer.content_length().is_none_or(|length| length <= MAX_ANSWER as u64), too_large());
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url).context("its answer broke off")? {
        ensure!(body.len() + chunk.len() <= MAX_ANSWER, too_large());
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
