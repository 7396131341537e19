//! What somebody asked a schedule to do.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::names;
use crate::artifact::Format;
use crate::delivery::Notify;
use crate::job::Params;
use crate::refusal::OnRefusal;

names! {
    /// What recipients are sent when a report has no rows.
    OnEmpty, "answer to an empty report" {
        /// The report, as always.
        Send => "send",
        /// Nothing.
        Skip => "skip",
        /// A line that says that there is nothing to report.
        Tell => "tell",
    }
}

names! {
    /// What becomes of a firing while the job of the one before has not ended.
    Overlap, "overlap" {
        /// It is skipped.
        Skip => "skip",
        /// It waits; those that come while one waits are skipped.
        QueueOne => "queue_one",
        /// It fires all the same.
        Allow => "allow",
    }
}

names! {
    /// What becomes of a time on a holiday.
    OnHoliday, "answer to a holiday" {
        /// It fires all the same.
        Run => "run",
        /// It does not fire.
        Skip => "skip",
        /// It fires at the same time of the last working day before.
        Before => "before",
        /// It fires at the same time of the next working day.
        After => "after",
    }
}

/// The `when` of a schedule that fires once its data are there, which a pipeline says.
pub const ON_EVENT: &str = "on event";

/// What somebody asked for: kept as one value, so that a setting that is new needs no column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleSettings {
    /// What people call it.
    pub title: Option<String>,
    /// Name of the report.
    pub report: String,
    /// As they were given, relative dates included; sensitive ones sealed.
    pub params: Params,
    /// As they were given: the report's first when there are none.
    pub formats: Option<Vec<Format>>,
    /// What becomes of a job when a format cannot hold the rows.
    pub on_refusal: OnRefusal,
    /// Who gets the report.
    pub notify: Vec<Notify>,
    /// Who hears of what goes wrong; those of `notify` when absent.
    pub alert: Option<Vec<Notify>>,
    /// Words, cron, or [`ON_EVENT`]; `None`: it fires only when it is asked to.
    pub when: Option<String>,
    /// Of what fires by event: at what times its event is there at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<String>,
    /// IANA name.
    pub zone: String,
    /// Whose days off count; only weekends are where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    /// What becomes of a time on a holiday of the calendar.
    #[serde(default = "run")]
    pub on_holiday: OnHoliday,
    /// Not before.
    pub starts_at: Option<DateTime<Utc>>,
    /// Not after.
    pub ends_at: Option<DateTime<Utc>>,
    /// What recipients get when there are no rows.
    pub on_empty: OnEmpty,
    /// What becomes of a firing while the one before runs.
    pub overlap: Overlap,
    /// A firing that is later than this is missed.
    pub catch_up: Duration,
    /// Firings are spread over this time from their nominal one on.
    pub within: Duration,
    /// Alarm when nothing was sent for so long.
    pub alarm_after: Option<Duration>,
    /// It pauses after so many firings in a row that did not end well; 0: never.
    pub pause_after: i32,
}

/// What schedules say that were written before there were calendars.
const fn run() -> OnHoliday {
    OnHoliday::Run
}

impl ScheduleSettings {
    /// Tells whether it fires once its data are there.
    #[must_use]
    pub fn is_by_event(&self) -> bool {
        self.when.as_deref() == Some(ON_EVENT)
    }

    /// Returns who hears of what goes wrong.
    #[must_use]
    pub fn alerted(&self) -> &[Notify] {
        self.alert.as_deref().unwrap_or(&self.notify)
    }
}
