//! The few calls of RabbitMQ's management API that tests need, by plain HTTP.

use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use serde_json::Value;

/// Where the management plugin listens.
#[derive(Debug, Clone)]
pub(super) struct Management {
    url: String,
    host: String,
    credentials: String,
}

impl Management {
    /// `url`: `http://user:password@host:port`
    pub(super) fn new(url: &str) -> anyhow::Result<Management> {
        let authority = url.strip_prefix("http://").context("the management URL must start with http://")?;
        let (user, host) =
            authority.trim_end_matches('/').rsplit_once('@').context("the management URL needs a user")?;
        let credentials = base64::engine::general_purpose::STANDARD.encode(user);
        Ok(Management { url: url.to_owned(), host: host.to_owned(), credentials })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) async fn create_vhost(&self, name: &str) -> anyhow::Result<()> {
        self.call("PUT", &format!("/api/vhosts/{name}"), None).await?;
        let user = self.call("GET", "/api/whoami", None).await?;
        let user = user.get("name").and_then(Value::as_str).context("the name of the RabbitMQ user")?;
        let all = serde_json::json!({"configure": ".*", "write": ".*", "read": ".*"});
        self.call("PUT", &format!("/api/permissions/{name}/{user}"), Some(&all)).await.map(drop)
    }

    pub(super) async fn delete_vhost(&self, name: &str) -> anyhow::Result<()> {
        self.call("DELETE", &format!("/api/vhosts/{name}"), None).await.map(drop)
    }

    /// Calls `path`, and returns the body of a 2xx answer.
    pub(super) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let headers = format!("Authorization: Basic {}\r\nContent-Type: application/json\r\n", self.credentials);
        let exchange = crate::http::exchange(&self.host, method, path, &headers, &body);
        let asked = tokio::time::timeout(Duration::from_secs(30), exchange).await;
        let (status, answer) = asked
            .context("RabbitMQ's management API does not answer")?
            .with_context(|| format!("ask RabbitMQ's management API: {method} {path}"))?;
        let accepted = (200..300).contains(&status);
        anyhow::ensure!(accepted, "RabbitMQ's management API answers {status} to {method} {path}: {answer}");
        if answer.is_empty() { Ok(Value::Null) } else { serde_json::from_str(&answer).context("read its answer") }
    }
}

/// A path segment with everything but letters, digits and a few marks escaped.
pub(super) fn escape(segment: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    segment
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
