// Over 300 lines: one path of a delivery, from its claim to its settlement.
//! The event becomes a mail, once: claim the delivery, compose, send, settle. The same for every channel.
//!
//! **The unknown window.** SMTP has no transactions, and HTTP has none either. When a connection is lost after a notification was
//! handed over and before the answer came, nobody can know whether it arrived ([`SendError::Unknown`]). The delivery is then tried
//! again with the very same identity (a mail's `Message-ID`) and content, so that the other side can see that it is one. The same
//! holds for a notifier that is killed between the answer and the commit of [`DeliveryEnding::Sent`]. There is no other way to a
//! second one: claims are leased and numbered, and a try whose lease is over settles nothing.

use std::sync::Arc;
use std::time::Duration;

use configuration::Config;
use model::backoff::Backoff;
use model::delivery::{Channel, Delivery, DeliveryEvent};
use model::job::Job;
use model::retry_schedule::{RetryDelay, RetrySchedule};
use model::schedule::OnEmpty;
use parking_lot::Mutex;
use runtime::Backends;
use store::{DeliveryEnding, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::channel::{DeliveryAttempt, DeliveryChannel, SendError};
use crate::compose::{ComposeError, Composer, facts, wish_of};
use crate::waiting_lines::{LinePlace, WaitingLines};

/// Time beyond the bound on sending that a claim lasts: for composing before it and settling after it.
const LEASE_MARGIN: Duration = Duration::from_secs(30);
/// Whether a channel's other side answers is said after this time at the latest.
const CHECK_WITHIN: Duration = Duration::from_secs(5);

/// An alarm that goes on is said again after this time.
const ALARM_EVERY: Duration = Duration::from_secs(60);

/// How one look at a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The receiver accepted it, and the store knows.
    Sent,
    /// It did not work and is due again later.
    RetryLater,
    /// It will not work, or was tried too often.
    Failed,
    /// Its job ended first, or has no rows and its schedule is not to tell of that: there is nothing to tell.
    Overtaken,
    /// Already sent, being sent, not due, or unknown.
    NothingToDo,
    /// The lease was over before the store heard of the ending: somebody else has it now.
    TooLate,
    /// The store could not be asked or told; the sweeper rings again.
    StoreUnavailable,
}

impl DeliveryOutcome {
    pub(crate) const fn as_str(self) -> &'static str {
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

/// Sends the deliveries of one channel.
#[derive(Debug)]
pub struct Notifier {
    backends: Backends,
    composer: Arc<Composer>,
    channel: Arc<dyn DeliveryChannel>,
    retry_schedule: RetrySchedule,
    max_attempts: i32,
    lease: Duration,
    /// When it was last said that we are refused.
    alarm: Mutex<Option<Instant>>,
    lines: WaitingLines,
}

impl Notifier {
    /// Builds a notifier from its parts.
    #[must_use]
    pub fn new(
        config: &Config,
        backends: Backends,
        composer: Arc<Composer>,
        channel: Arc<dyn DeliveryChannel>,
    ) -> Self {
        Self {
            backends,
            composer,
            retry_schedule: config.broker.retry_delays.clone(),
            max_attempts: config.notifier.max_attempts,
            lease: channel.time_limit() + LEASE_MARGIN,
            alarm: Mutex::new(None),
            lines: WaitingLines::default(),
            channel,
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

    /// Returns whose deliveries it sends.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.channel()
    }

    /// Says in the log whether the channel's other side answers. Nothing depends on it: deliveries wait for one that does not.
    pub(crate) async fn check_channel(&self) {
        let late = |_| Err(format!("no answer within {} s", CHECK_WITHIN.as_secs()));
        let checked = tokio::time::timeout(CHECK_WITHIN, self.channel.check()).await.unwrap_or_else(late);
        let (channel, backend) = (self.channel().as_str(), self.channel.backend());
        match checked {
            Ok(()) => tracing::info!(channel, backend, "the channel's other side answers"),
            Err(why) => {
                tracing::warn!(channel, backend, why, "the channel's other side does not answer; deliveries wait");
            }
        }
    }

    /// Hears of a delivery. Where recipients are kept apart, it has it stand in its recipient's line, and returns a place and the delivery
    /// that is to be sent from it, if one is free; else it sends it.
    pub(crate) async fn hear(&self, id: Uuid) -> Option<(LinePlace, Uuid)> {
        if !self.channel.keeps_recipients_apart() {
            self.notify(id).await;
            return None;
        }
        match self.backends.store.delivery_recipient(id).await {
            Ok(recipient) => {
                let recipient = recipient?;
                self.lines.enter(&recipient, self.channel.places_for(&recipient), id)
            }
            Err(error) => {
                tracing::warn!(delivery = %id, %error, "a delivery could not be read; it is rung again");
                None
            }
        }
    }

    /// Sends a delivery, and those that wait behind it, one after the other.
    pub(crate) async fn work_off(&self, place: LinePlace, first: Uuid, stop: &CancellationToken) {
        let mut next = Some((place, first));
        while let Some((place, id)) = next {
            self.notify(id).await;
            // What is left in the line is rung again.
            next = if stop.is_cancelled() { None } else { place.next() };
        }
    }

    /// Looks at one delivery and sends it if it is due and nobody else is at it.
    pub async fn notify(&self, id: Uuid) -> DeliveryOutcome {
        let started = Instant::now();
        let outcome = match self.backends.group_commit.claim_delivery(id, self.lease).await {
            Ok(Some(delivery)) => self.deliver(delivery, started + self.lease).await,
            Ok(None) => DeliveryOutcome::NothingToDo,
            Err(error) => {
                tracing::warn!(delivery = %id, %error, "a delivery could not be claimed; it is rung again");
                DeliveryOutcome::StoreUnavailable
            }
        };
        let channel = self.channel().as_str();
        metrics::counter!("waitless_deliveries_total", "channel" => channel, "outcome" => outcome.as_str())
            .increment(1);
        if outcome != DeliveryOutcome::NothingToDo {
            metrics::histogram!("waitless_delivery_seconds", "channel" => channel).record(started.elapsed());
        }
        outcome
    }

    async fn deliver(&self, delivery: Delivery, lease_ends: Instant) -> DeliveryOutcome {
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
                Err(AttemptError::Overtaken) => DeliveryEnding::Overtaken,
                Err(AttemptError::NotSent(error)) => self.ending_of(&delivery, error),
            };
            self.settle(&delivery, ending, lease_ends).await
        }
        .instrument(span)
        .await
    }

    async fn try_once(&self, delivery: &Delivery) -> Result<(), AttemptError> {
        let job = self.backends.store.job_by_id(delivery.job_id).await?;
        let job = job.ok_or_else(|| SendError::Rejected("its job is gone".to_owned()))?;
        continue_trace(&job);
        if delivery.event == DeliveryEvent::Late && job.clone().as_seen().state.is_final() {
            return Err(AttemptError::Overtaken);
        }
        let facts = facts::gather(self.backends.store.as_ref(), delivery, job).await?;
        let skips = wish_of(delivery, &facts.job.notify).is_some_and(|wish| wish.on_empty == Some(OnEmpty::Skip));
        if skips && facts.is_empty_report() {
            return Err(AttemptError::Overtaken);
        }
        let content = self.composer.compose(delivery, &facts)?;
        let brand = self.composer.brand(&delivery.tenant);
        self.channel.send(DeliveryAttempt { delivery, facts: &facts, content: &content, brand }).await?;
        Ok(())
    }

    /// Decides what becomes of a delivery that is not known to have been sent.
    fn ending_of(&self, delivery: &Delivery, error: SendError) -> DeliveryEnding {
        let (why, after) = match error {
            SendError::Rejected(why) => return DeliveryEnding::Failed(why),
            SendError::SenderRefused(why) => (self.raise_alarm(why), None),
            SendError::Retry { reason, after } => (reason, after),
            SendError::Unknown(why) => {
                tracing::warn!("the delivery may have arrived; it is tried again under the same identity");
                (why, None)
            }
        };
        let patience = self.channel.patience(&delivery.recipient);
        let max_attempts = patience.map_or(self.max_attempts, |patience| patience.max_attempts);
        // A delivery that failed and is sent again has as many tries as a new one.
        let tries = (delivery.attempt - 1).max(0) % max_attempts.max(1) + 1;
        if tries >= max_attempts {
            return DeliveryEnding::Failed(format!("given up after {tries} tries; the last: {why}"));
        }
        let delay = patience.map_or_else(
            || self.retry_delay(tries, after),
            |patience| self.delay_of_its_own(&patience.delays, tries, after),
        );
        DeliveryEnding::RetryLater(why, delay)
    }

    /// Tells operators that every delivery waits for them: counted each time, said now and then.
    fn raise_alarm(&self, why: String) -> String {
        let channel = self.channel().as_str();
        metrics::counter!("waitless_sender_refused_total", "channel" => channel).increment(1);
        let mut raised = self.alarm.lock();
        if raised.is_none_or(|raised| raised.elapsed() >= ALARM_EVERY) {
            *raised = Some(Instant::now());
            tracing::error!(
                channel,
                %why,
                "the other side refuses us, whoever the recipient is; deliveries wait until that is mended"
            );
        }
        why
    }

    /// Returns our own delay after this attempt, or the receiver's where that is longer; never more than the longest configured.
    fn retry_delay(&self, attempt: i32, asked: Option<Duration>) -> RetryDelay {
        let own = self.retry_schedule.after(u32::try_from(attempt).unwrap_or(1), rand::random());
        let Some(asked) = asked.filter(|asked| *asked > own.due_after) else { return own };
        let queue = self.queue_of(asked);
        RetryDelay { queue, due_after: asked.min(queue) }
    }

    /// Returns the delay that a recipient has of their own, or the one they ask for where that is longer. Where no queue is so long, the
    /// sweeper rings when it is over.
    fn delay_of_its_own(&self, delays: &RetrySchedule, attempt: i32, asked: Option<Duration>) -> RetryDelay {
        let own = delays.after(u32::try_from(attempt).unwrap_or(1), rand::random()).due_after;
        let due_after = asked.map_or(own, |asked| asked.max(own));
        RetryDelay { queue: self.queue_of(due_after), due_after }
    }

    /// Finds the queue that holds a message for so long, or the longest.
    fn queue_of(&self, delay: Duration) -> Duration {
        let delays = self.retry_schedule.delays();
        delays.iter().find(|queue| **queue >= delay).or(delays.last()).copied().unwrap_or(delay)
    }

    /// Tells the store, again and again while the lease lasts: what was sent and is not known to be would be sent twice.
    async fn settle(&self, delivery: &Delivery, ending: DeliveryEnding, lease_ends: Instant) -> DeliveryOutcome {
        let outcome = match &ending {
            DeliveryEnding::Sent => DeliveryOutcome::Sent,
            DeliveryEnding::RetryLater(..) => DeliveryOutcome::RetryLater,
            DeliveryEnding::Failed(_) => DeliveryOutcome::Failed,
            DeliveryEnding::Overtaken => DeliveryOutcome::Overtaken,
        };
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        loop {
            match self.backends.group_commit.settle_delivery(delivery.id, delivery.attempt, ending.clone()).await {
                Ok(true) => {
                    log_ending(&ending);
                    return outcome;
                }
                Ok(false) => {
                    tracing::warn!("the lease was over before the delivery could be settled");
                    return DeliveryOutcome::TooLate;
                }
                Err(error) => {
                    let pause = backoff.pause();
                    if Instant::now() + pause >= lease_ends {
                        tracing::error!(%error, ?outcome, "the store was not told how a delivery ended");
                        return DeliveryOutcome::StoreUnavailable;
                    }
                    tracing::warn!(%error, "the store cannot be told how a delivery ended yet");
                    tokio::time::sleep(pause).await;
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
        DeliveryEnding::Overtaken => tracing::info!("there is nothing to tell"),
    }
}

/// Why one try did not work.
enum AttemptError {
    NotSent(SendError),
    /// There is nothing to tell.
    Overtaken,
}

impl From<SendError> for AttemptError {
    fn from(error: SendError) -> Self {
        Self::NotSent(error)
    }
}

impl From<StoreError> for AttemptError {
    fn from(error: StoreError) -> Self {
        Self::NotSent(SendError::retry(error.to_string()))
    }
}

impl From<ComposeError> for AttemptError {
    fn from(error: ComposeError) -> Self {
        Self::NotSent(SendError::Rejected(error.to_string()))
    }
}
