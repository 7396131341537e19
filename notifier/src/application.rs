//! Puts the notifier together.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use configuration::Config;
use runtime::Backends;
use tokio_util::sync::CancellationToken;

use crate::compose::Composer;
use crate::notify::Notifier;
use crate::{consume, mail};

/// A notifier that is ready to run.
#[derive(Debug)]
pub struct Application {
    notifier: Arc<Notifier>,
    concurrency: u16,
    grace: Duration,
}

impl Application {
    /// Builds a notifier on places that are open.
    ///
    /// # Errors
    /// When the mail settings cannot work: the URL, the sender's address, the link secret.
    #[expect(clippy::unused_async, reason = "every service is built in the same way, and others connect here")]
    pub async fn build(config: &Config, backends: Backends) -> anyhow::Result<Self> {
        ensure!(
            !config.service.link_secret.expose().is_empty(),
            "service.link_secret is empty: the links in mails could be guessed"
        );
        let mailer = mail::open(&config.mail).context("open mail.url")?;
        let composer = Composer::new(config).context("prepare mails")?;
        tracing::info!(mail = mailer.kind(), "notifier is ready");
        Ok(Self {
            notifier: Arc::new(Notifier::new(config, backends, composer, mailer)),
            concurrency: config.notifier.concurrency,
            grace: config.service.shutdown_grace,
        })
    }

    /// Sends until `stop`; then takes nothing new and lets what is being sent end, within `service.shutdown_grace`.
    ///
    /// # Errors
    /// Never: what fails is tried again.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> anyhow::Result<()> {
        consume::consume(self.notifier, self.concurrency, self.grace, stop).await;
        Ok(())
    }
}
