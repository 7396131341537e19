//! Schedules: reports that come by themselves, and their firings, one for each nominal time.

mod firing;
mod notice;
mod settings;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::job::{Caller, UnknownName};

pub use firing::{Firing, FiringOutcome, FiringRecord};
pub use notice::{NewNotice, Notice, NoticeKind, NoticeText};
pub use settings::{ON_EVENT, OnEmpty, OnHoliday, Overlap, ScheduleSettings};

/// Declares a closed set of names, as the API and the database have them.
macro_rules! names {
    ($(#[$doc:meta])* $set:ident, $what:literal { $($(#[$name_doc:meta])* $name:ident => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $set {
            $($(#[$name_doc])* $name,)+
        }

        impl $set {
            /// Every one.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$name),+];

            /// Returns the name used in the database and the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }

        impl std::str::FromStr for $set {
            type Err = $crate::job::UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Self::ALL
                    .into_iter()
                    .find(|one| one.as_str() == name)
                    .ok_or_else(|| $crate::job::UnknownName::new($what, name))
            }
        }
    };
}
pub(crate) use names;

names! {
    /// Whether a schedule fires.
    ScheduleState, "schedule state" {
        /// It fires at its times.
        Active => "active",
        /// It does not, until somebody says that it is to go on.
        Paused => "paused",
    }
}

names! {
    /// Why a schedule is paused.
    PauseReason, "reason of a pause" {
        /// Somebody asked for it.
        Asked => "asked",
        /// It failed too often in a row.
        Failures => "failures",
        /// Its owner may not run reports any more.
        OwnerGone => "owner_gone",
    }
}

/// The next time at which a schedule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextFiring {
    /// What the clock on the wall shows in the schedule's zone. It names the firing.
    pub nominal: NaiveDateTime,
    /// The moment it is due, with the schedule's spread.
    pub due: DateTime<Utc>,
}

/// The place in the catalogue that a schedule comes from. With the tenant it is the schedule's identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CataloguePlace {
    /// The name of the report, and of its file without `.toml`.
    pub report: String,
    /// Names the schedule within the file.
    pub name: String,
}

impl std::fmt::Display for CataloguePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.report, self.name)
    }
}

impl std::str::FromStr for CataloguePlace {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let (report, name) = text.split_once('/').ok_or_else(|| UnknownName::new("place in the catalogue", text))?;
        Ok(Self { report: report.to_owned(), name: name.to_owned() })
    }
}

/// A schedule, as the store has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Fresh UUIDv7.
    pub id: Uuid,
    /// Its owner: its jobs run in their name.
    pub owner: Caller,
    /// What was asked for.
    pub settings: ScheduleSettings,
    /// Whether it fires.
    pub state: ScheduleState,
    /// Why not.
    pub paused_why: Option<PauseReason>,
    /// Firings in a row that did not end well.
    pub failures: i32,
    /// Grows with each change that somebody made.
    pub version: i64,
    /// When it fires next; `None`: never, or only when it is asked to.
    pub next: Option<NextFiring>,
    /// Its next firing waits for the job of the one before.
    pub waiting: bool,
    /// The job of its newest firing.
    pub last_job_id: Option<Uuid>,
    /// When a job of it was done last.
    pub last_sent_at: Option<DateTime<Utc>>,
    /// It has sent nothing for longer than it may.
    pub silent: bool,
    /// Where in the catalogue it comes from; `None`: somebody made it.
    pub catalogue: Option<CataloguePlace>,
    /// It stands in the catalogue no more: it does not fire, and what it did stays.
    pub ended: bool,
    /// Database time.
    pub created_at: DateTime<Utc>,
    /// Database time.
    pub updated_at: DateTime<Utc>,
}

/// How a nominal time is written in the database and the API: no zone, so that it sorts and compares as text.
pub const NOMINAL: &str = "%Y-%m-%dT%H:%M:%S";

/// Writes a nominal time.
#[must_use]
pub fn write_nominal(nominal: NaiveDateTime) -> String {
    nominal.format(NOMINAL).to_string()
}

/// Reads a nominal time.
///
/// # Errors
/// When it is none.
pub fn read_nominal(text: &str) -> Result<NaiveDateTime, UnknownName> {
    NaiveDateTime::parse_from_str(text, NOMINAL).map_err(|_| UnknownName::new("nominal time", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_json_and_in_the_database() {
        fn check<T: Serialize + Copy + std::fmt::Debug + PartialEq + std::str::FromStr>(
            all: &[T],
            text: fn(T) -> &'static str,
        ) {
            for one in all {
                assert_eq!(serde_json::to_value(one).unwrap(), text(*one));
                assert_eq!(text(*one).parse().ok(), Some(*one));
            }
        }
        check(&ScheduleState::ALL, ScheduleState::as_str);
        check(&PauseReason::ALL, PauseReason::as_str);
        check(&FiringOutcome::ALL, FiringOutcome::as_str);
        check(&NoticeKind::ALL, NoticeKind::as_str);
        check(&OnEmpty::ALL, OnEmpty::as_str);
        check(&OnHoliday::ALL, OnHoliday::as_str);
        check(&Overlap::ALL, Overlap::as_str);
        assert!("soon".parse::<ScheduleState>().is_err());
        let place = CataloguePlace { report: "sales".to_owned(), name: "monthly".to_owned() };
        assert_eq!((place.to_string().as_str(), "sales/monthly".parse().ok()), ("sales/monthly", Some(place)));
        assert!("sales".parse::<CataloguePlace>().is_err());
    }

    #[test]
    fn nominal_times_sort_as_text() {
        let times = ["2026-03-08T07:30:00", "2026-03-08T18:00:00", "2026-12-01T00:00:00"];
        for text in times {
            assert_eq!(write_nominal(read_nominal(text).unwrap()), text);
        }
        assert!(times.is_sorted());
        assert!(read_nominal("tomorrow").is_err());
    }
}
