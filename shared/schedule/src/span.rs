//! How far away: `3 days`, `1 month`.

use std::fmt;
use std::str::FromStr;

/// A stretch of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) number: u32,
    pub(crate) unit: Unit,
}

/// What stretches are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Minute,
    Hour,
    Day,
    WorkingDay,
    Week,
    Month,
    Quarter,
    Year,
}

/// Most of any unit.
const MOST: u32 = 10_000;

impl Unit {
    const ALL: [(&'static str, Self); 8] = [
        ("minute", Self::Minute),
        ("hour", Self::Hour),
        ("day", Self::Day),
        ("working day", Self::WorkingDay),
        ("week", Self::Week),
        ("month", Self::Month),
        ("quarter", Self::Quarter),
        ("year", Self::Year),
    ];

    /// Returns its length where it is one of months.
    pub(crate) const fn months(self) -> Option<u32> {
        match self {
            Self::Month => Some(1),
            Self::Quarter => Some(3),
            Self::Year => Some(12),
            Self::Minute | Self::Hour | Self::Day | Self::WorkingDay | Self::Week => None,
        }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no stretch of time; write a number and minutes, hours, days, working days, weeks, months, quarters or years"
            )
        };
        let (number, unit) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let number = number.parse().ok().filter(|number| *number <= MOST).ok_or_else(wrong)?;
        let unit = unit.trim();
        let unit = Unit::ALL.into_iter().find(|(name, _)| unit == *name || unit.strip_suffix('s') == Some(name));
        Ok(Self { number, unit: unit.ok_or_else(wrong)?.1 })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Unit::ALL.into_iter().find(|(_, unit)| *unit == self.unit).map_or("", |(name, _)| name);
        write!(f, "{} {name}{}", self.number, if self.number == 1 { "" } else { "s" })
    }
}
