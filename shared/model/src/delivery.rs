//! Deliveries: one notification to one recipient over one channel.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::forecast::Eta;
use crate::job::{JobState, UnknownName};
use crate::progress::Progress;
use crate::recipient::{self, RecipientError};
use crate::schedule::OnEmpty;

/// What is known of a channel in every process: its row in the table of channels.
#[derive(Debug, Clone, Copy)]
struct ChannelRow {
    name: &'static str,
    recipient: &'static str,
    check_recipient: fn(&str, &[String]) -> Result<(), RecipientError>,
    write_recipient: fn(&str) -> Result<String, RecipientError>,
}

/// Declares the channels: the closed set, and what is known of each.
macro_rules! channels {
    ($($(#[$doc:meta])* $channel:ident => $row:expr,)+) => {
        /// How somebody is told. Queues, routes, metrics and names in the API derive from it; the notifier has one folder for each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Channel {
            $($(#[$doc])* $channel,)+
        }

        impl Channel {
            /// Every channel.
            pub const ALL: [Self; [$(stringify!($channel)),+].len()] = [$(Self::$channel),+];

            const fn row(self) -> ChannelRow {
                match self {
                    $(Self::$channel => $row,)+
                }
            }
        }
    };
}

channels! {
    /// A mail with a link.
    Email => ChannelRow {
        name: "email",
        recipient: "one mail address, such as \"ana@example.com\"",
        check_recipient: recipient::check_recipient,
        write_recipient: recipient::write_recipient,
    },
    /// A signed request to an endpoint that the configuration names.
    Webhook => ChannelRow {
        name: "webhook",
        recipient: "the name of a webhook, such as \"erp\"",
        check_recipient: recipient::check_webhook,
        write_recipient: recipient::write_webhook,
    },
}

impl Channel {
    /// Returns the name used in queues, routing keys, metrics, the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().name
    }

    /// Says what its recipients look like, with an example.
    #[must_use]
    pub const fn recipient(self) -> &'static str {
        self.row().recipient
    }

    /// Writes a recipient as it travels: of a mail address, a domain beyond ASCII as `xn--…`.
    ///
    /// # Errors
    /// When it cannot be written so.
    pub fn write_recipient(self, to: &str) -> Result<String, RecipientError> {
        (self.row().write_recipient)(to)
    }

    /// Checks a recipient's form, and that the channel's rules (`mail.allow` for mail, `webhook:<name>` for webhooks) let a notification
    /// go there. The gateway asks
    /// before it promises anything, the notifier before it sends: the rules may have changed since, and a row is only a row.
    ///
    /// # Errors
    /// Says which of the two it is.
    pub fn check_recipient(self, to: &str, allow: &[String]) -> Result<(), RecipientError> {
        (self.row().check_recipient)(to, allow)
    }
}

impl std::str::FromStr for Channel {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|c| c.as_str() == name).ok_or_else(|| UnknownName::new("channel", name))
    }
}

/// A wish to be told, as submitted with a job.
///
/// Language and time zone are kept as they were asked for: the gateway has checked them, and a writer that does not know one
/// falls back to the tenant's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Notify {
    /// How.
    pub channel: Channel,
    /// Whom: a mail address, or the name of a webhook.
    pub to: String,
    /// The reader's language, such as `de`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The reader's time zone: an IANA name such as `Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// What they get when the report has no rows; the report when absent. Only schedules say something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_empty: Option<OnEmpty>,
}

impl Notify {
    /// Wishes for a mail, in the language and time zone of the tenant.
    #[must_use]
    pub fn by_email(to: impl Into<String>) -> Self {
        Self { channel: Channel::Email, to: to.into(), language: None, time_zone: None, on_empty: None }
    }

    /// Wishes for a request to the webhook of this name.
    #[must_use]
    pub fn by_webhook(name: impl Into<String>) -> Self {
        Self { channel: Channel::Webhook, ..Self::by_email(name) }
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waiting, or due again at `next_attempt_at`.
    Pending,
    /// A notifier is at it, until `leased_until`.
    Sending,
    /// Final: the server accepted it.
    Sent,
    /// Final: refused for good, or too often.
    Failed,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Sending, Self::Sent, Self::Failed];

    /// Returns the name used in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

impl std::str::FromStr for DeliveryState {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|s| s.as_str() == name).ok_or_else(|| UnknownName::new("delivery state", name))
    }
}

/// What somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryEvent {
    /// The report is ready.
    Done,
    /// The report could not be made.
    Failed,
    /// The report takes longer than was told.
    Late,
}

impl DeliveryEvent {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Done, Self::Failed, Self::Late];

    /// Returns the name used in the database and the API. Those of final events are the events' own.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Late => "late",
        }
    }
}

impl std::str::FromStr for DeliveryEvent {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|event| event.as_str() == name)
            .ok_or_else(|| UnknownName::new("delivery event", name))
    }
}

/// How far a job was when it was found to take longer than was told. Kept with the delivery, so that every try says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lateness {
    /// Where the job stood.
    pub state: JobState,
    /// How far its attempt was.
    pub progress: Progress,
    /// When it would be ready, counted from the delivery's `created_at`; `None` where nobody could say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<Eta>,
}

/// One notification to one recipient over one channel. Unique per job, event, channel and recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Fresh UUIDv7; the mail's `Message-ID` is made from it, and the request's `webhook-id` is it: the same at every try.
    pub id: Uuid,
    /// The job it is about.
    pub job_id: Uuid,
    /// The job's tenant.
    pub tenant: String,
    /// What it tells: the final event, or that it takes longer.
    pub event: DeliveryEvent,
    /// Number of that event: a replayed job that ends again tells again. 0: it tells of no event, and is the only one of its job
    /// and recipient.
    pub seq: i64,
    /// How.
    pub channel: Channel,
    /// Whom.
    pub recipient: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Fencing token of the notifier's claims; only grows.
    pub attempt: i32,
    /// When it is due again.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// What the server said last.
    pub error: Option<String>,
    /// Database time.
    pub created_at: DateTime<Utc>,
    /// Database time.
    pub sent_at: Option<DateTime<Utc>>,
    /// How far the job was; only where it tells that the job is late.
    pub late: Option<Lateness>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_called_the_same_everywhere() {
        for channel in Channel::ALL {
            assert_eq!(serde_json::to_value(channel).unwrap(), channel.as_str());
            assert_eq!(channel.as_str().parse(), Ok(channel));
        }
        assert!("pigeon".parse::<Channel>().is_err());
    }

    #[test]
    fn the_example_of_a_recipient_is_one() {
        for channel in Channel::ALL {
            let example = channel.recipient().split('"').nth(1).unwrap();
            assert_eq!(channel.check_recipient(example, &["*".to_owned()]), Ok(()), "{channel:?}");
            assert_eq!(
                channel.check_recipient("\r\n", &["*".to_owned()]),
                Err(match channel {
                    Channel::Email => RecipientError::NotAnAddress,
                    Channel::Webhook => RecipientError::NotAName,
                }),
                "{channel:?}"
            );
        }
    }
}
