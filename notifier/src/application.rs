//! Puts the notifier together.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use configuration::Config;
use runtime::Backends;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::compose::Composer;
use crate::notices::NoticeSender;
use crate::notify::{DeliveryOutcome, Notifier};
use crate::{consume, registry};

/// A notifier that is ready to run.
#[derive(Debug)]
pub struct Application {
    /// One a channel, so that a channel that is slow holds up no other.
    notifiers: Vec<Arc<Notifier>>,
    notices: NoticeSender,
    concurrency: u16,
    grace: Duration,
}

impl Application {
    /// Builds a notifier on places that are open.
    ///
    /// # Errors
    /// When the settings of a channel cannot work (its URL, the sender's address), those of brands, or the link secret.
    #[expect(clippy::unused_async, reason = "every service is built in the same way, and others connect here")]
    pub async fn build(config: &Config, backends: Backends) -> anyhow::Result<Self> {
        ensure!(
            !config.service.link_secret.is_empty(),
            "service.link_secret is empty: the links in mails could be guessed"
        );
        let channels = registry::open_all(config)?;
        let composer = Arc::new(Composer::new(config).context("prepare notifications")?);
        let notices = NoticeSender::new(config, backends.clone(), composer.clone(), channels.clone());
        let notifiers = channels.into_iter().map(|channel| {
            tracing::info!(channel = channel.channel().as_str(), backend = channel.backend(), "notifier is ready");
            declare_metrics(channel.channel().as_str());
            Arc::new(Notifier::new(config, backends.clone(), composer.clone(), channel))
        });
        Ok(Self {
            notifiers: notifiers.collect(),
            notices,
            concurrency: config.notifier.concurrency,
            grace: config.service.shutdown_grace,
        })
    }

    /// Sends until `stop`; then takes nothing new and lets what is being sent end, within `service.shutdown_grace`.
    ///
    /// # Errors
    /// When a channel's loop ends by panicking: then all end. What fails to be sent is tried again.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> anyhow::Result<()> {
        let stop = stop.child_token();
        let mut checks = JoinSet::new();
        let mut consumers = JoinSet::new();
        let notices = tokio::spawn(self.notices.run_until_stopped(stop.clone()));
        for notifier in self.notifiers {
            let checked = Arc::clone(&notifier);
            checks.spawn(async move { checked.check_channel().await });
            consumers.spawn(consume::consume(notifier, self.concurrency, self.grace, stop.clone()));
        }
        let mut ended = Ok(());
        while let Some(consumer) = consumers.join_next().await {
            // A consumer ends before it is told to only by a fault; the others are not to hide it.
            stop.cancel();
            ended = ended.and(consumer.context("consume deliveries"));
        }
        stop.cancel();
        ended.and(notices.await.context("send notices of schedules"))
    }
}

/// Makes what alerts rest on be there from the start: a counter that is first seen at one was, to Prometheus, never raised.
fn declare_metrics(channel: &'static str) {
    metrics::counter!("waitless_sender_refused_total", "channel" => channel).increment(0);
    for outcome in [DeliveryOutcome::Sent, DeliveryOutcome::RetryLater, DeliveryOutcome::Failed] {
        metrics::counter!("waitless_deliveries_total", "channel" => channel, "outcome" => outcome.as_str())
            .increment(0);
    }
}
