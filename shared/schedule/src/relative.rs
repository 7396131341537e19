//! Dates that are told from when something runs: `{"relative": "start_of_month", "minus": "1 month"}`.

use std::fmt;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::days::Period;
use super::holidays::Holidays;
use super::moment::moment_of;
use super::span::{Span, Unit};

/// A date, a point in time or a list of months, told from a nominal time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relative {
    anchor: Anchor,
    /// Whether it lies before, and how far.
    shift: Option<(bool, Span)>,
    /// Of [`Anchor::LastMonths`].
    count: u32,
}

/// How it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    relative: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    minus: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plus: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
}

/// What is wrong with one, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelativeFault {
    /// For people.
    pub detail: String,
}

/// What one is at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// A day, and the moments at which it begins and ends: for dates and for points in time. Both are the same for times of day.
    Point {
        /// The day.
        date: NaiveDate,
        /// The moment.
        at: DateTime<Utc>,
    },
    /// The first days of months, oldest first.
    Months(Vec<NaiveDate>),
}

/// Where to count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    Now,
    Today,
    Yesterday,
    Tomorrow,
    StartOf(Stretch),
    EndOf(Stretch),
    LastMonths,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stretch {
    Week,
    Of(Period),
}

const ANCHORS: [(&str, Anchor); 13] = [
    ("now", Anchor::Now),
    ("today", Anchor::Today),
    ("yesterday", Anchor::Yesterday),
    ("tomorrow", Anchor::Tomorrow),
    ("start_of_week", Anchor::StartOf(Stretch::Week)),
    ("start_of_month", Anchor::StartOf(Stretch::Of(Period::Month))),
    ("start_of_quarter", Anchor::StartOf(Stretch::Of(Period::Quarter))),
    ("start_of_year", Anchor::StartOf(Stretch::Of(Period::Year))),
    ("end_of_week", Anchor::EndOf(Stretch::Week)),
    ("end_of_month", Anchor::EndOf(Stretch::Of(Period::Month))),
    ("end_of_quarter", Anchor::EndOf(Stretch::Of(Period::Quarter))),
    ("end_of_year", Anchor::EndOf(Stretch::Of(Period::Year))),
    ("last_months", Anchor::LastMonths),
];

/// Most months of a list.
const MAX_MONTHS: u32 = 120;

impl Relative {
    /// Reads one. `None`: the object does not say `relative`, and is none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(value: &serde_json::Value) -> Option<Result<Self, RelativeFault>> {
        value.get("relative")?;
        Some(Self::parse(value).map_err(|detail| RelativeFault { detail }))
    }

    fn parse(value: &serde_json::Value) -> Result<Self, String> {
        let written = Written::deserialize(value).map_err(|fault| {
            format!("{fault}; write for example {{\"relative\": \"start_of_month\", \"minus\": \"1 month\"}}")
        })?;
        let anchor = ANCHORS.iter().find(|(name, _)| *name == written.relative).map(|(_, anchor)| *anchor);
        let anchor = anchor.ok_or_else(|| {
            let names: Vec<_> = ANCHORS.iter().map(|(name, _)| *name).collect();
            let nearest = names.iter().min_by_key(|name| strsim::damerau_levenshtein(name, &written.relative));
            let meant = nearest.map_or(String::new(), |name| format!(" (did you mean `{name}`?)"));
            format!("`{}` is not known{meant}; use one of {}", written.relative, names.join(", "))
        })?;
        let shift = match (&written.minus, &written.plus) {
            (Some(_), Some(_)) => return Err("give `minus` or `plus`, not both".to_owned()),
            (Some(span), None) => Some((true, span.parse()?)),
            (None, Some(span)) => Some((false, span.parse()?)),
            (None, None) => None,
        };
        match (anchor, written.count) {
            (Anchor::LastMonths, Some(count)) if (1..=MAX_MONTHS).contains(&count) && shift.is_none() => {
                Ok(Self { anchor, shift, count })
            }
            (Anchor::LastMonths, _) => {
                Err(format!("`last_months` takes a `count` of 1 to {MAX_MONTHS}, and nothing else"))
            }
            (_, Some(_)) => Err("only `last_months` takes a `count`".to_owned()),
            (_, None) => Ok(Self { anchor, shift, count: 0 }),
        }
    }

    /// Tells whether it is a list.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.anchor == Anchor::LastMonths
    }

    /// Returns what it is when a zone's clock shows `nominal`; `holidays` are no working days. `None`: no calendar reaches so far.
    ///
    /// Stretches as long as what is anchored, or longer, move it as a whole: the end of a month, minus a month, is the end of the month
    /// before. Shorter ones move the day.
    #[must_use]
    pub fn resolve(&self, nominal: NaiveDateTime, zone: Tz, holidays: &Holidays) -> Option<Resolved> {
        let today = nominal.date();
        if self.anchor == Anchor::LastMonths {
            let this = today.with_day(1)?;
            let months = (1..=self.count).rev().map(|back| this.checked_sub_months(Months::new(back)));
            return Some(Resolved::Months(months.collect::<Option<_>>()?));
        }
        let (whole, rest) = match self.shift {
            Some((back, span)) if self.anchor.moves_whole(span.unit) => (Some((back, span)), None),
            rest => (None, rest),
        };
        let base = shift(nominal, whole, holidays)?;
        let anchored = self.anchor.of(base)?;
        let moved = shift(anchored, rest, holidays)?;
        Some(Resolved::Point { date: moved.date(), at: moment_of(moved, zone) })
    }
}

impl Anchor {
    /// Tells whether a stretch moves what is anchored as a whole.
    fn moves_whole(self, unit: Unit) -> bool {
        match self {
            Self::StartOf(Stretch::Week) | Self::EndOf(Stretch::Week) => unit == Unit::Week,
            Self::StartOf(Stretch::Of(period)) | Self::EndOf(Stretch::Of(period)) => {
                unit.months().is_some_and(|months| months >= period.months())
            }
            _ => false,
        }
    }

    /// Returns it, as a zone's clock shows it: days begin at midnight, and what ends does so at the last microsecond.
    fn of(self, nominal: NaiveDateTime) -> Option<NaiveDateTime> {
        let today = nominal.date();
        let begins = |day: NaiveDate| day.and_time(NaiveTime::MIN);
        Some(match self {
            Self::Now | Self::LastMonths => nominal,
            Self::Today => begins(today),
            Self::Yesterday => begins(today.checked_sub_days(Days::new(1))?),
            Self::Tomorrow => begins(today.checked_add_days(Days::new(1))?),
            Self::StartOf(stretch) => begins(stretch.around(today)?.0),
            Self::EndOf(stretch) => begins(stretch.around(today)?.1).checked_sub_signed(TimeDelta::microseconds(1))?,
        })
    }
}

impl Stretch {
    /// Returns its first day, and that of the next.
    fn around(self, day: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
        match self {
            Self::Week => {
                let monday = day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into()))?;
                Some((monday, monday.checked_add_days(Days::new(7))?))
            }
            Self::Of(period) => period.around(day),
        }
    }
}

/// Moves a time. Months are kept to: a month before the 31st of March is the last of February.
fn shift(from: NaiveDateTime, shift: Option<(bool, Span)>, holidays: &Holidays) -> Option<NaiveDateTime> {
    let Some((back, Span { number, unit })) = shift else { return Some(from) };
    if let Some(months) = unit.months() {
        let months = Months::new(number.checked_mul(months)?);
        return if back { from.checked_sub_months(months) } else { from.checked_add_months(months) };
    }
    let number = i64::from(number);
    let far = match unit {
        Unit::Minute => TimeDelta::minutes(number),
        Unit::Hour => TimeDelta::hours(number),
        Unit::Week => TimeDelta::weeks(number),
        Unit::WorkingDay => return working_days(from, back, number, holidays),
        Unit::Day | Unit::Month | Unit::Quarter | Unit::Year => TimeDelta::days(number),
    };
    from.checked_add_signed(if back { -far } else { far })
}

fn working_days(from: NaiveDateTime, back: bool, number: i64, holidays: &Holidays) -> Option<NaiveDateTime> {
    let (mut at, mut left) = (from, number);
    let day = TimeDelta::days(if back { -1 } else { 1 });
    while left > 0 {
        at = at.checked_add_signed(day)?;
        if holidays.is_working_day(at.date()) {
            left -= 1;
        }
    }
    Some(at)
}

impl fmt::Display for Relative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name =
            ANCHORS.iter().find(|(_, anchor)| *anchor == self.anchor).map_or("", |(name, _)| name).replace('_', " ");
        match self.shift {
            _ if self.is_list() => write!(f, "last {} months", self.count),
            None => f.write_str(&name),
            Some((back, span)) => write!(f, "{name} {} {span}", if back { "minus" } else { "plus" }),
        }
    }
}

impl fmt::Display for RelativeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for RelativeFault {}
