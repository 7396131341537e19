//! The event becomes a mail, once: claim the delivery, compose, send, settle.
//!
//! **The unknown window.** SMTP has no transactions. When a connection is lost after the content of a mail was sent and before
//! the answer came, nobody can know whether the server took it. The delivery is then tried again with the very same
//! `Message-ID` and content, so that mail servers and readers can see that it is one mail. The same holds for a notifier that
//! is killed between the server's answer and the commit of [`DeliveryEnding::Sent`]. There is no other way to a second mail:
//! claims are leased and numbered, and a try whose lease is over settles nothing.

use std::sync::Arc;
use std::time::Duration;

use configuration::Config;
use model::delivery::{Delivery, Occasion};
use model::job::Job;
use model::retry_schedule::RetrySchedule;
use runtime::Backends;
use store::{DeliveryEnding, StoreError};
use tokio::time::Instant;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::compose::{ComposeError, Composer, facts};
use crate::mail::{Mailer, SendError};

/// Time beyond the bound on sending that a claim lasts: for composing before it and settling after it.
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// How one look at a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The server accepted the mail, and the store knows.
    Sent,
    /// It did not work and is due again later.
    RetryLater,
    /// It will not work, or was tried too often.
    Failed,
    /// Its job ended first: there is nothing left to tell.
    Overtaken,
    /// Already sent, being sent, not due, or unknown.
    NothingToDo,
    /// The lease was over before the store heard of the ending: somebody else has it now.
    TooLate,
    /// The store could not be asked or told; the sweeper rings again.
    StoreUnavailable,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::RetryLater => "retry_later",
            Self::Failed => "failed",
            Self::Overtaken => "overtaken",
            Self::NothingToDo => "nothing_to_do",
            Self::TooLate => "too_late",
            Self::StoreUnavailable => "store_unavailable",
        }
    }
}

/// Sends deliveries.
#[derive(Debug)]
pub struct Notifier {
    backends: Backends,
    composer: Composer,
    mailer: Arc<dyn Mailer>,
    backoff: RetrySchedule,
    max_attempts: i32,
    lease: Duration,
}

impl Notifier {
    /// Builds a notifier from its parts.
    #[must_use]
    pub fn new(config: &Config, backends: Backends, composer: Composer, mailer: Arc<dyn Mailer>) -> Self {
        Self {
            backends,
            composer,
            mailer,
            backoff: config.broker.retry_delays.clone(),
            max_attempts: config.notifier.max_attempts,
            lease: config.mail.timeout + LEASE_MARGIN,
        }
    }

    /// Claims deliveries for `lease` and no longer. It must exceed the time that sending may take.
    #[must_use]
    pub const fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Returns where everything rests.
    #[must_use]
    pub const fn backends(&self) -> &Backends {
        &self.backends
    }

    /// Looks at one delivery and sends it if it is due and nobody else is at it.
    pub async fn notify(&self, id: Uuid) -> Outcome {
        let started = Instant::now();
        let outcome = match self.backends.group_commit.claim_delivery(id, self.lease).await {
            Ok(Some(delivery)) => self.deliver(delivery, started + self.lease).await,
            Ok(None) => Outcome::NothingToDo,
            Err(error) => {
                tracing::warn!(delivery = %id, %error, "a delivery could not be claimed; it is rung again");
                Outcome::StoreUnavailable
            }
        };
        metrics::counter!("waitless_deliveries_total", "channel" => "email", "outcome" => outcome.as_str())
            .increment(1);
        if outcome != Outcome::NothingToDo {
            metrics::histogram!("waitless_delivery_seconds", "channel" => "email").record(started.elapsed());
        }
        outcome
    }

    async fn deliver(&self, delivery: Delivery, lease_ends: Instant) -> Outcome {
        let span = tracing::info_span!(
            "deliver",
            delivery = %delivery.id,
            job = %delivery.job_id,
            tenant = %delivery.tenant,
            attempt = delivery.attempt,
        );
        async {
            let ending = match self.try_once(&delivery).await {
                Ok(()) => DeliveryEnding::Sent,
                Err(TryError::Overtaken) => DeliveryEnding::Overtaken,
                Err(TryError::Never(why)) => DeliveryEnding::Failed(why),
                Err(TryError::Later(why)) if delivery.attempt >= self.max_attempts => {
                    DeliveryEnding::Failed(format!("given up after {} tries; the last: {why}", delivery.attempt))
                }
                Err(TryError::Later(why)) => {
                    let tries = u32::try_from(delivery.attempt).unwrap_or(1);
                    DeliveryEnding::RetryLater(why, self.backoff.after(tries, rand::random()))
                }
            };
            self.settle(&delivery, ending, lease_ends).await
        }
        .instrument(span)
        .await
    }

    async fn try_once(&self, delivery: &Delivery) -> Result<(), TryError> {
        let job = self.backends.store.job_by_id(delivery.job_id).await?;
        let job = job.ok_or_else(|| TryError::Never("its job is gone".to_owned()))?;
        continue_trace(&job);
        if delivery.event == Occasion::Late && job.clone().as_seen().state.is_final() {
            return Err(TryError::Overtaken);
        }
        let facts = facts::gather(self.backends.store.as_ref(), delivery, job).await?;
        let mail = self.composer.compose(delivery, &facts)?;
        self.mailer.send(&mail).await?;
        Ok(())
    }

    /// Tells the store, again and again while the lease lasts: a mail that was sent and is not known to be would be sent twice.
    async fn settle(&self, delivery: &Delivery, ending: DeliveryEnding, lease_ends: Instant) -> Outcome {
        let outcome = match &ending {
            DeliveryEnding::Sent => Outcome::Sent,
            DeliveryEnding::RetryLater(..) => Outcome::RetryLater,
            DeliveryEnding::Failed(_) => Outcome::Failed,
            DeliveryEnding::Overtaken => Outcome::Overtaken,
        };
        let mut pause = Duration::from_millis(100);
        loop {
            match self.backends.group_commit.settle_delivery(delivery.id, delivery.attempt, ending.clone()).await {
                Ok(true) => {
                    log_ending(&ending);
                    return outcome;
                }
                Ok(false) => {
                    tracing::warn!("the lease was over before the delivery could be settled");
                    return Outcome::TooLate;
                }
                Err(error) if Instant::now() + pause >= lease_ends => {
                    tracing::error!(%error, ?outcome, "the store was not told how a delivery ended");
                    return Outcome::StoreUnavailable;
                }
                Err(error) => {
                    tracing::warn!(%error, "the store cannot be told how a delivery ended yet");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
            }
        }
    }
}

fn continue_trace(job: &Job) {
    runtime::telemetry::continue_trace(&tracing::Span::current(), job.traceparent.as_deref());
}

fn log_ending(ending: &DeliveryEnding) {
    match ending {
        DeliveryEnding::Sent => tracing::info!("delivered"),
        DeliveryEnding::RetryLater(why, delay) => tracing::warn!(%why, after = ?delay.due_after, "not delivered yet"),
        DeliveryEnding::Failed(why) => tracing::error!(%why, "not delivered"),
        DeliveryEnding::Overtaken => tracing::info!("the job ended before anybody was told that it is late"),
    }
}

/// Why one try did not work.
enum TryError {
    Later(String),
    Never(String),
    Overtaken,
}

impl From<StoreError> for TryError {
    fn from(error: StoreError) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<ComposeError> for TryError {
    fn from(error: ComposeError) -> Self {
        Self::Never(error.to_string())
    }
}

impl From<SendError> for TryError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::MayPass(why) => Self::Later(why),
            SendError::Refused(why) => Self::Never(why),
        }
    }
}
