//! The seam between the notifier and what carries a notification to its recipient. Each channel is a folder beside this file and one
//! line in [`crate::registry`].

use std::time::Duration;

use async_trait::async_trait;
use model::delivery::{Channel, Delivery};
use model::retry_schedule::RetrySchedule;
use model::schedule::Notice;
use uuid::Uuid;

use crate::compose::facts::Facts;
use crate::compose::{Brand, Content, NoticeContent};

/// One attempt at a delivery: everything that a channel is given.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryAttempt<'a> {
    /// Recipient, tenant, event, and the number of the attempt.
    pub delivery: &'a Delivery,
    /// What there is to tell, as data: the job with its artifacts, the report, the failure.
    pub facts: &'a Facts,
    /// The same in words, with links: in the recipient's language, by their clock.
    pub content: &'a Content<'a>,
    /// How the tenant's notifications look.
    pub brand: &'a Brand,
}

impl DeliveryAttempt<'_> {
    /// Returns the identity under which the notification goes out. It is the same at every attempt, so that whoever gets two can
    /// see that they are one.
    #[must_use]
    pub const fn idempotency_id(&self) -> Uuid {
        self.delivery.id
    }
}

/// One attempt at a notice of a schedule: everything that a channel is given.
#[derive(Debug, Clone, Copy)]
pub struct NoticeAttempt<'a> {
    /// Recipient, tenant, kind. Its id is the same at every attempt.
    pub notice: &'a Notice,
    /// The same in words.
    pub content: &'a NoticeContent<'a>,
    /// How the tenant's notifications look.
    pub brand: &'a Brand,
}

/// How long a delivery is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// After how long; the last one is repeated.
    pub delays: RetrySchedule,
    /// It is given up after this many tries.
    pub max_attempts: i32,
}

/// Why an attempt is not known to have delivered. What is not an error here was delivered: the receiver answered for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Refused for good: no later attempt at this recipient or this content can succeed.
    #[error("{0}")]
    Rejected(String),
    /// The other side refuses us, whoever the recipient is: our quota, our credentials, its policy. Nothing was delivered. A later
    /// attempt may succeed, once somebody has mended it.
    #[error("{0}")]
    SenderRefused(String),
    /// A later attempt may succeed; nothing was delivered.
    #[error("{reason}")]
    Retry {
        /// What happened, in one line, for people.
        reason: String,
        /// How long the receiver asks to be left alone, where it does.
        after: Option<Duration>,
    },
    /// It was handed over and no answer came: it may have arrived. Tried again under the same identity.
    #[error("{0}")]
    Unknown(String),
}

impl SendError {
    /// Makes an error that may pass, where the receiver does not say when.
    #[must_use]
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { reason: reason.into(), after: None }
    }
}

/// A way to tell somebody. Implementations pass one set of conformance tests (`tests/it/channel_conformance.rs`):
/// * `Ok` means that the receiver answered for it: a final 2xx, or bytes that survive a loss of power.
/// * A recipient that is refused is [`SendError::Rejected`]; what may pass is [`SendError::Retry`]; where we are refused, it is
///   [`SendError::SenderRefused`].
/// * A call ends within [`DeliveryChannel::time_limit`] and a second or two, whatever the other side does.
/// * Sending the same attempt again is safe: it carries the same identity and content.
/// * Where no answer came to what was handed over, it is [`SendError::Unknown`] and never a refusal.
#[async_trait]
pub trait DeliveryChannel: Send + Sync + std::fmt::Debug {
    /// Names the channel. Its queue, its name in metrics and in the API, and what production refuses derive from it.
    fn channel(&self) -> Channel;
    /// Names what it sends through, for people: `smtp` or `folder`.
    fn backend(&self) -> &'static str;
    /// Returns how long one call of [`DeliveryChannel::send`] may take. The lease of a delivery is made from it.
    fn time_limit(&self) -> Duration;
    /// Tells whether deliveries to one recipient wait for each other and for nobody else's, so that a recipient that does not answer
    /// holds up no other. Else all share the notifier's places.
    fn keeps_recipients_apart(&self) -> bool {
        false
    }
    /// Returns how many deliveries to one recipient may be under way at once, where recipients are kept apart.
    fn places_for(&self, _recipient: &str) -> u16 {
        1
    }
    /// Returns how long deliveries to a recipient are tried again, where that is not for `[notifier]` and `[broker]` to say.
    fn patience(&self, _recipient: &str) -> Option<&Patience> {
        None
    }
    /// Sends one notification to one recipient.
    async fn send(&self, attempt: DeliveryAttempt<'_>) -> Result<(), SendError>;
    /// Sends one notice of a schedule to one recipient.
    async fn send_notice(&self, attempt: NoticeAttempt<'_>) -> Result<(), SendError>;
    /// Tells whether the other side would take something now, as far as can be seen without sending; if not, why, in one line.
    async fn check(&self) -> Result<(), String>;
}
