//! Webhooks: a notification as a signed request to an endpoint that the configuration names (Standard Webhooks 1.0). The body is a
//! CloudEvent with links to the files, never the files.

mod answer;
mod breaker;
mod diagnose;
mod endpoint;
mod payload;
mod public_resolver;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use configuration::Config;
use model::delivery::Channel;
use tokio::task::JoinSet;

use crate::channel::{DeliveryAttempt, DeliveryChannel, NoticeAttempt, Patience, SendError};

pub use diagnose::diagnose_endpoint;

use endpoint::Endpoint;

/// What a delivery takes at most where no endpoint says otherwise.
const USUAL_TIME_LIMIT: Duration = Duration::from_secs(15);

/// The channel of webhooks.
#[derive(Debug)]
pub struct WebhookChannel {
    endpoints: BTreeMap<String, Arc<Endpoint>>,
}

/// Opens the channel on every endpoint of the configuration. Contacts none.
///
/// # Errors
/// Says which endpoint's settings cannot work, and why, without its secrets.
pub fn open(config: &Config) -> anyhow::Result<Arc<dyn DeliveryChannel>> {
    let open = |(name, settings): (&String, _)| {
        let endpoint = Endpoint::open(name, settings).with_context(|| format!("open webhooks.{name}"))?;
        Ok((name.clone(), Arc::new(endpoint)))
    };
    let endpoints = config.webhooks.iter().map(open).collect::<anyhow::Result<_>>()?;
    Ok(Arc::new(WebhookChannel { endpoints }))
}

impl WebhookChannel {
    /// Finds where a tenant's notification goes. The rules may have changed since the gateway let it in, and a row is only a row.
    fn endpoint_of(&self, name: &str, tenant: &str) -> Result<&Endpoint, SendError> {
        // May be known to the gateway already, and soon to this process too.
        let missing = || SendError::retry(format!("this notifier's configuration has no section [webhooks.{name}]"));
        let endpoint = self.endpoints.get(name).ok_or_else(missing)?;
        if endpoint.settings.is_for(tenant) {
            Ok(endpoint)
        } else {
            Err(SendError::Rejected(format!("webhooks.{name}.tenants does not list the tenant {tenant} any more")))
        }
    }
}

#[async_trait]
impl DeliveryChannel for WebhookChannel {
    fn channel(&self) -> Channel {
        Channel::Webhook
    }

    fn backend(&self) -> &'static str {
        "http"
    }

    fn time_limit(&self) -> Duration {
        self.endpoints.values().map(|endpoint| endpoint.settings.timeout).max().unwrap_or(USUAL_TIME_LIMIT)
    }

    fn keeps_recipients_apart(&self) -> bool {
        true
    }

    fn places_for(&self, recipient: &str) -> u16 {
        self.endpoints.get(recipient).map_or(1, |endpoint| endpoint.settings.concurrency)
    }

    fn patience(&self, recipient: &str) -> Option<&Patience> {
        self.endpoints.get(recipient).map(|endpoint| &endpoint.patience)
    }

    async fn send(&self, attempt: DeliveryAttempt<'_>) -> Result<(), SendError> {
        let endpoint = self.endpoint_of(&attempt.delivery.recipient, &attempt.delivery.tenant)?;
        endpoint.tell(attempt.idempotency_id(), &payload::of_delivery(&attempt)).await
    }

    async fn send_notice(&self, attempt: NoticeAttempt<'_>) -> Result<(), SendError> {
        let endpoint = self.endpoint_of(&attempt.notice.to.to, &attempt.notice.tenant)?;
        endpoint.tell(attempt.notice.id, &payload::of_notice(&attempt)).await
    }

    async fn check(&self) -> Result<(), String> {
        let mut looks = JoinSet::new();
        for (name, endpoint) in self.endpoints.clone() {
            looks.spawn(async move { endpoint.look().await.map_err(|why| format!("{name}: {why}")) });
        }
        let mut wrong: Vec<String> = looks.join_all().await.into_iter().filter_map(Result::err).collect();
        wrong.sort();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }
}
