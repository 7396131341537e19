//! What was used of a service that is shared: counted by the day, for each tenant, principal and report.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Utc};
use serde::{Deserialize, Serialize};

use crate::locale::Tz;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Usage {
    /// Jobs that were submitted, also those that an identical one answered.
    pub jobs: u64,
    /// Rows of jobs that are done.
    pub rows: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Recipients that were named.
    pub recipients: u64,
    /// Links to files that were asked for: one for each format.
    pub links: u64,
}

impl Usage {
    /// Returns what there is with more. Counts that are too large stay as large as can be.
    #[must_use]
    pub const fn plus(self, more: Self) -> Self {
        Self {
            jobs: self.jobs.saturating_add(more.jobs),
            rows: self.rows.saturating_add(more.rows),
            bytes: self.bytes.saturating_add(more.bytes),
            recipients: self.recipients.saturating_add(more.recipients),
            links: self.links.saturating_add(more.links),
        }
    }

    /// Returns what is left of it without some of it.
    #[must_use]
    pub const fn minus(self, less: Self) -> Self {
        Self {
            jobs: self.jobs.saturating_sub(less.jobs),
            rows: self.rows.saturating_sub(less.rows),
            bytes: self.bytes.saturating_sub(less.bytes),
            recipients: self.recipients.saturating_sub(less.recipients),
            links: self.links.saturating_sub(less.links),
        }
    }
}

impl std::iter::Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), Self::plus)
    }
}

/// Whose usage, within a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UsageSubject {
    /// Everybody's.
    Tenant,
    /// One principal's.
    Principal(String),
    /// Of one report.
    Report(String),
}

/// How the subject of a principal begins, where it is kept.
pub const OF_PRINCIPAL: &str = "principal:";
/// How the subject of a report begins, where it is kept.
pub const OF_REPORT: &str = "report:";

impl UsageSubject {
    /// Returns it as both stores keep it.
    #[must_use]
    pub fn kept(&self) -> String {
        match self {
            Self::Tenant => String::new(),
            Self::Principal(name) => format!("{OF_PRINCIPAL}{name}"),
            Self::Report(name) => format!("{OF_REPORT}{name}"),
        }
    }
}

/// What was used in a part of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsagePart {
    /// When it begins.
    pub since: DateTime<Utc>,
    /// What was used.
    pub usage: Usage,
}

/// Usage is counted in parts of this many seconds: days of every zone begin with one of them.
pub const PART_SECONDS: i64 = 15 * 60;

/// Returns the part of a day in which a time is.
#[must_use]
pub fn part_of(time: DateTime<Utc>) -> DateTime<Utc> {
    let seconds = time.timestamp().div_euclid(PART_SECONDS) * PART_SECONDS;
    DateTime::from_timestamp(seconds, 0).unwrap_or(time)
}

/// One day of a zone, which may have 23 or 25 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageDay {
    /// Which.
    pub date: NaiveDate,
    /// When it begins.
    pub starts: DateTime<Utc>,
    /// When the next one does.
    pub ends: DateTime<Utc>,
}

impl UsageDay {
    /// Returns the day in which a time is.
    #[must_use]
    pub fn at(time: DateTime<Utc>, zone: Tz) -> Self {
        Self::of(time.with_timezone(&zone).date_naive(), zone)
    }

    /// Returns the day of a date.
    #[must_use]
    pub fn of(date: NaiveDate, zone: Tz) -> Self {
        let next = date.checked_add_days(Days::new(1)).unwrap_or(date);
        Self { date, starts: start_of(date, zone), ends: start_of(next, zone) }
    }

    /// Returns the day so many days before it.
    #[must_use]
    pub fn before(self, days: u64, zone: Tz) -> Self {
        Self::of(self.date.checked_sub_days(Days::new(days)).unwrap_or(self.date), zone)
    }

    /// Tells whether a time is in it.
    #[must_use]
    pub fn holds(&self, time: DateTime<Utc>) -> bool {
        self.starts <= time && time < self.ends
    }
}

/// Where clocks are put forward at midnight, the day begins when there is a time again.
fn start_of(date: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = date.and_time(NaiveTime::MIN);
    let later = (0..=12).filter_map(|parts| {
        let local = midnight.checked_add_signed(TimeDelta::seconds(parts * PART_SECONDS))?;
        zone.from_local_datetime(&local).earliest()
    });
    later.map(|start| start.with_timezone(&Utc)).next().unwrap_or_else(|| midnight.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locale::time_zone;

    fn day(time: &str, zone: &str) -> (String, String, String) {
        let day = UsageDay::at(time.parse().unwrap(), time_zone(zone).unwrap());
        assert!(day.holds(time.parse().unwrap()));
        (day.date.to_string(), day.starts.to_rfc3339(), day.ends.to_rfc3339())
    }

    #[test]
    fn a_day_begins_at_midnight_of_its_zone_whatever_the_clocks_do() {
        let utc = day("2026-11-30T23:59:59Z", "UTC");
        assert_eq!(utc, ("2026-11-30".into(), "2026-11-30T00:00:00+00:00".into(), "2026-12-01T00:00:00+00:00".into()));
        let long = day("2026-10-25T12:00:00Z", "Europe/Berlin");
        assert_eq!((long.1.as_str(), long.2.as_str()), ("2026-10-24T22:00:00+00:00", "2026-10-25T23:00:00+00:00"));
        let quarter = day("2026-06-01T12:00:00Z", "Asia/Kathmandu");
        assert_eq!(quarter.1, "2026-05-31T18:15:00+00:00");
        // Midnight was skipped.
        let skipped = day("2018-11-04T12:00:00Z", "America/Sao_Paulo");
        assert_eq!(skipped.1, "2018-11-04T03:00:00+00:00");
    }

    #[test]
    fn every_day_of_every_zone_begins_with_a_part() {
        for zone in chrono_tz::TZ_VARIANTS {
            let mut day = UsageDay::of(NaiveDate::from_ymd_opt(2024, 1, 1).unwrap(), zone);
            for _ in 0..370 {
                assert_eq!(part_of(day.starts), day.starts, "{} {zone}", day.date);
                assert!(day.ends > day.starts, "{} {zone}", day.date);
                day = UsageDay::of(day.date.succ_opt().unwrap(), zone);
            }
        }
    }
}
