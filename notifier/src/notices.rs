//! What the people of schedules are told beside their reports: looked for in the store, and sent once.
//!
//! There are few of them, and nobody waits for one: they need no queue. A notice is claimed with a lease and a fencing token, as a
//! delivery is, and has the same identity at every try.

use std::sync::Arc;
use std::time::Duration;

use configuration::Config;
use model::schedule::Notice;
use runtime::Backends;
use store::{NoticeEnding, StoreError};
use tokio_util::sync::CancellationToken;

use crate::channel::{DeliveryChannel, NoticeAttempt, SendError};
use crate::compose::Composer;

/// Looks for notices this often.
const EVERY: Duration = Duration::from_secs(2);
/// Sent one after the other, so many a look.
const AT_ONCE: u32 = 20;
/// Time beyond the bound on sending that a claim lasts.
const LEASE_MARGIN: Duration = Duration::from_secs(30);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Sends notices over the channels that there are.
#[derive(Debug)]
pub(crate) struct NoticeSender {
    backends: Backends,
    composer: Arc<Composer>,
    channels: Vec<Arc<dyn DeliveryChannel>>,
    max_attempts: i32,
    lease: Duration,
}

impl NoticeSender {
    pub(crate) fn new(
        config: &Config,
        backends: Backends,
        composer: Arc<Composer>,
        channels: Vec<Arc<dyn DeliveryChannel>>,
    ) -> Self {
        let longest = channels.iter().map(|channel| channel.time_limit()).max().unwrap_or_default();
        let lease = longest * AT_ONCE + LEASE_MARGIN;
        Self { backends, composer, channels, max_attempts: config.notifier.max_attempts, lease }
    }

    /// Sends until `stop`. Nothing that fails ends it.
    pub(crate) async fn run_until_stopped(self, stop: CancellationToken) {
        loop {
            match self.send_due(&stop).await {
                Ok(sent) if sent >= AT_ONCE as usize && !stop.is_cancelled() => continue,
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "notices of schedules cannot be looked for"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn send_due(&self, stop: &CancellationToken) -> Result<usize, StoreError> {
        let claimed = self.backends.store.claim_notices(AT_ONCE, self.lease).await?;
        for notice in &claimed {
            if stop.is_cancelled() {
                break;
            }
            let ending = self.ending_of(notice, self.send(notice).await);
            let outcome = match &ending {
                NoticeEnding::Sent => "sent",
                NoticeEnding::RetryLater(..) => "retry_later",
                NoticeEnding::Failed(_) => "failed",
            };
            if let NoticeEnding::RetryLater(why, _) | NoticeEnding::Failed(why) = &ending {
                tracing::warn!(schedule = %notice.schedule_id, kind = notice.kind.as_str(), %why, outcome, "a notice was not sent");
            }
            metrics::counter!("waitless_schedule_notices_total", "kind" => notice.kind.as_str(), "outcome" => outcome)
                .increment(1);
            self.backends.store.settle_notice(notice.id, notice.attempt, ending).await?;
        }
        Ok(claimed.len())
    }

    async fn send(&self, notice: &Notice) -> Result<(), SendError> {
        let channel = self.channels.iter().find(|channel| channel.channel() == notice.to.channel);
        let channel = channel.ok_or_else(|| SendError::Rejected("there is no such channel".to_owned()))?;
        let content = self.composer.compose_notice(notice).map_err(|error| SendError::Rejected(error.to_string()))?;
        let brand = self.composer.brand(&notice.tenant);
        channel.send_notice(NoticeAttempt { notice, content: &content, brand }).await
    }

    fn ending_of(&self, notice: &Notice, sent: Result<(), SendError>) -> NoticeEnding {
        let why = match sent {
            Ok(()) => return NoticeEnding::Sent,
            Err(SendError::Rejected(why)) => return NoticeEnding::Failed(why),
            Err(SendError::SenderRefused(why) | SendError::Unknown(why)) => why,
            Err(SendError::Retry { reason, .. }) => reason,
        };
        if notice.attempt >= self.max_attempts {
            return NoticeEnding::Failed(format!("given up after {} tries; the last: {why}", notice.attempt));
        }
        let doublings = u32::try_from(notice.attempt).unwrap_or(1).min(10);
        NoticeEnding::RetryLater(why, (Duration::from_secs(5) * 2_u32.pow(doublings)).min(LONGEST_PAUSE))
    }
}
