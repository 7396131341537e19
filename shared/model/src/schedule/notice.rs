//! What the people of a schedule are told beside its reports: that something did not come.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::names;
use crate::delivery::Notify;

names! {
    /// What somebody is told of a schedule.
    NoticeKind, "notice" {
        /// The job of a firing failed or was cancelled.
        Failed => "failed",
        /// Firings were missed, or the event of one did not come in time.
        Missed => "missed",
        /// No job could be made.
        Refused => "refused",
        /// It has sent nothing for longer than it may.
        Silent => "silent",
        /// It is paused.
        Paused => "paused",
    }
}

/// What a notice says. Kept with it, so that every try says the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeText {
    /// What people call the schedule.
    pub title: String,
    /// The nominal times it is about, in the schedule's zone: the first, and the last where there are several.
    pub from: Option<String>,
    /// See `from`.
    pub until: Option<String>,
    /// How many nominal times it is about.
    pub count: u32,
    /// Why, in the words of the service (English).
    pub why: Option<String>,
    /// Of what was missed: its event had not come. A notifier of a version that does not know it says that it was missed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_event: bool,
}

/// A notice before it is written: one row a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotice {
    /// What is told.
    pub kind: NoticeKind,
    /// In what words.
    pub text: NoticeText,
    /// Whom.
    pub to: Vec<Notify>,
}

/// A notice to one recipient, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Fresh UUIDv7; the mail's `Message-ID` is made from it.
    pub id: Uuid,
    /// The schedule it is about.
    pub schedule_id: Uuid,
    /// The schedule's tenant.
    pub tenant: String,
    /// What is told.
    pub kind: NoticeKind,
    /// In what words.
    pub text: NoticeText,
    /// Whom.
    pub to: Notify,
    /// Fencing token; only grows.
    pub attempt: i32,
    /// Database time.
    pub created_at: DateTime<Utc>,
}
