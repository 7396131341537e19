//! Mail: a notification as a message to one address, over SMTP or into a folder.

mod diagnose;
mod folder;
mod message;
mod recipient;
mod refusal;
mod render;
mod smtp;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use configuration::Config;
use model::delivery::Channel;

use crate::channel::{DeliveryAttempt, DeliveryChannel, NoticeAttempt, SendError};

pub use diagnose::diagnose_channel;
pub use folder::FolderTransport;
pub use render::{RenderError, Renderer};
pub use smtp::SmtpTransport;
pub use transport::{MAIL_URLS, MailKind, MailTransport, OutgoingMail, check_url};

/// The channel of mails.
#[derive(Debug)]
pub struct EmailChannel {
    renderer: Renderer,
    transport: Box<dyn MailTransport>,
    time_limit: Duration,
}

/// Opens the channel on what `mail.url` names.
///
/// # Errors
/// Says what is wrong with the URL, without the password in it, or with the sender's address.
pub fn open(config: &Config) -> anyhow::Result<Arc<dyn DeliveryChannel>> {
    let transport = transport::open(&config.mail).context("open mail.url")?;
    let renderer = Renderer::new(&config.mail).context("prepare mails")?;
    Ok(Arc::new(EmailChannel { renderer, transport, time_limit: config.mail.timeout }))
}

#[async_trait]
impl DeliveryChannel for EmailChannel {
    fn channel(&self) -> Channel {
        Channel::Email
    }

    fn backend(&self) -> &'static str {
        self.transport.kind()
    }

    fn time_limit(&self) -> Duration {
        self.time_limit
    }

    async fn send(&self, attempt: DeliveryAttempt<'_>) -> Result<(), SendError> {
        let mail = self.renderer.render(attempt)?;
        self.transport.send(&mail).await
    }

    async fn send_notice(&self, attempt: NoticeAttempt<'_>) -> Result<(), SendError> {
        let mail = self.renderer.render_notice(attempt)?;
        self.transport.send(&mail).await
    }

    async fn check(&self) -> Result<(), String> {
        self.transport.check().await.map_err(|error| error.to_string())
    }
}
