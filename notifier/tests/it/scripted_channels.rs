//! Channels that do what no real one can be made to do at an exact moment.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::delivery::Channel;
use notifier::channel::{DeliveryAttempt, DeliveryChannel, NoticeAttempt, SendError};
use tokio::sync::Notify;

/// Sends, and then never comes back: what the world sees of a process that is killed before it can settle.
#[derive(Debug)]
pub(crate) struct SendsThenHangs {
    pub(crate) channel: Arc<dyn DeliveryChannel>,
    pub(crate) sent: Arc<Notify>,
}

#[async_trait]
impl DeliveryChannel for SendsThenHangs {
    fn channel(&self) -> Channel {
        self.channel.channel()
    }

    fn backend(&self) -> &'static str {
        self.channel.backend()
    }

    fn time_limit(&self) -> Duration {
        self.channel.time_limit()
    }

    async fn send(&self, attempt: DeliveryAttempt<'_>) -> Result<(), SendError> {
        self.channel.send(attempt).await?;
        self.sent.notify_one();
        std::future::pending().await
    }

    async fn send_notice(&self, attempt: NoticeAttempt<'_>) -> Result<(), SendError> {
        self.channel.send_notice(attempt).await
    }

    async fn check(&self) -> Result<(), String> {
        self.channel.check().await
    }
}

/// Says this to everything.
#[derive(Debug)]
pub(crate) struct Answers(pub(crate) SendError);

#[async_trait]
impl DeliveryChannel for Answers {
    fn channel(&self) -> Channel {
        Channel::Email
    }

    fn backend(&self) -> &'static str {
        "a test"
    }

    fn time_limit(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn send(&self, _: DeliveryAttempt<'_>) -> Result<(), SendError> {
        Err(self.0.clone())
    }

    async fn send_notice(&self, _: NoticeAttempt<'_>) -> Result<(), SendError> {
        Err(self.0.clone())
    }

    async fn check(&self) -> Result<(), String> {
        Ok(())
    }
}
