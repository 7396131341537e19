//! When a schedule fires, and what its relative dates are then. Pure: no clock, no input or output.
//!
//! This is the interface; it is being filled in.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use chrono_tz::Tz;

/// When a schedule fires: cron with `L`, `W`, `#`, or words.
#[derive(Debug, Clone, PartialEq)]
pub struct When;

/// One time at which a schedule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// What the schedule's clock on the wall is to show: names the firing.
    pub nominal: NaiveDateTime,
    /// The moment: the first at which the zone's clock shows that time or a later one.
    pub at: DateTime<Utc>,
}

/// What is wrong with a text, for people: what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhenFault {
    pub detail: String,
}

/// Days on which nothing, or something else, happens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holidays(pub std::collections::BTreeSet<NaiveDate>);

/// What becomes of a time on a holiday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnHoliday {
    /// Fires all the same.
    Run,
    /// Does not fire.
    Skip,
    /// Fires on the last day before that is neither holiday nor weekend.
    Before,
    /// Fires on the next such day.
    After,
}

impl When {
    pub fn parse(_text: &str) -> Result<Self, WhenFault> {
        Err(WhenFault { detail: String::new() })
    }

    /// In English, for people: `every weekday at 07:30`.
    #[must_use]
    pub fn sentence(&self) -> String {
        String::new()
    }

    /// The first occurrence after `after`.
    #[must_use]
    pub fn next_after(
        &self,
        _after: DateTime<Utc>,
        _zone: Tz,
        _holidays: (&Holidays, OnHoliday),
    ) -> Option<Occurrence> {
        None
    }
}
