//! A rule in words: days, months and times.

use std::fmt;

use chrono::{Datelike as _, NaiveDate, NaiveTime, TimeDelta, Timelike as _};

use super::days::{DayKind, DayOfPeriod, DayRule, Period};
use super::holidays::Holidays;

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WordRule {
    pub(crate) days: DayRule,
    /// January first; all of them where nothing was said of them.
    pub(crate) months: [bool; 12],
    pub(crate) times: Times,
}

/// The times of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Times {
    /// In order, each once.
    At(Vec<NaiveTime>),
    /// From one to the other, both included.
    Each { minutes: u32, from: NaiveTime, to: NaiveTime },
}

pub(crate) const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// Ordinals that are written as words; the others are numbers with an ending.
pub(crate) const ORDINALS: [&str; 10] =
    ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
const WORKDAYS: [bool; 7] = [true, true, true, true, true, false, false];
const WEEKEND: [bool; 7] = [false, false, false, false, false, true, true];

impl WordRule {
    /// Tells whether it has times on a day.
    pub(crate) fn is_on(&self, day: NaiveDate, holidays: &Holidays) -> bool {
        let in_month = usize::try_from(day.month0()).is_ok_and(|month| self.months.get(month) == Some(&true));
        in_month && self.days.is_on(day, holidays)
    }
}

impl Times {
    /// Returns all of them, in order.
    pub(crate) fn all(&self) -> Vec<NaiveTime> {
        match self {
            Self::At(times) => times.clone(),
            Self::Each { minutes, from, to } => {
                let step = |time: &NaiveTime| {
                    let (next, days) = time.overflowing_add_signed(TimeDelta::minutes(i64::from(*minutes)));
                    (days == 0).then_some(next)
                };
                std::iter::successors(Some(*from), step).take_while(|time| time <= to).collect()
            }
        }
    }
}

impl fmt::Display for WordRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.days_in_words();
        match &self.times {
            Times::At(times) => write!(f, "{days} at {}", join(times.iter().map(|time| clock(*time)))),
            Times::Each { minutes, from, to } => {
                match (minutes, minutes % 60) {
                    (1, _) => f.write_str("every minute")?,
                    (60, _) => f.write_str("every hour")?,
                    (_, 0) => write!(f, "every {} hours", minutes / 60)?,
                    _ => write!(f, "every {minutes} minutes")?,
                }
                if (from.num_seconds_from_midnight(), to.hour(), to.minute()) != (0, 23, 59) {
                    write!(f, " from {} to {}", clock(*from), clock(*to))?;
                }
                if days == "every day" { Ok(()) } else { write!(f, ", {days}") }
            }
        }
    }
}

impl WordRule {
    fn days_in_words(&self) -> String {
        let months = (self.months != [true; 12]).then(|| join(chosen(&self.months, &MONTHS)));
        let within = |days: String| months.as_ref().map_or(days.clone(), |months| format!("{days} in {months}"));
        match &self.days {
            DayRule::Every => within("every day".to_owned()),
            DayRule::Working => within("every working day".to_owned()),
            DayRule::Weekdays(WORKDAYS) => within("every weekday".to_owned()),
            DayRule::Weekdays(WEEKEND) => within("every weekend day".to_owned()),
            DayRule::Weekdays(days) => within(format!("every {}", join(chosen(days, &WEEKDAYS)))),
            DayRule::Of(days, period) => {
                let days = join(days.iter().map(ToString::to_string));
                match (period, months) {
                    (Period::Month, Some(months)) => format!("the {days} of {months}"),
                    (Period::Month, None) => format!("the {days} of every month"),
                    (Period::Quarter, _) => format!("the {days} of every quarter"),
                    (Period::Year, _) => format!("the {days} of every year"),
                }
            }
        }
    }
}

impl fmt::Display for DayOfPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from_end, self.number) {
            (true, 1) => f.write_str("last")?,
            (true, number) => write!(f, "{} last", ordinal(number))?,
            (false, number) => f.write_str(&ordinal(number))?,
        }
        match self.kind {
            DayKind::Day => f.write_str(" day"),
            DayKind::Working => f.write_str(" working day"),
            DayKind::Weekday(weekday) => {
                let name = usize::try_from(weekday.num_days_from_monday()).ok().and_then(|number| WEEKDAYS.get(number));
                write!(f, " {}", name.unwrap_or(&""))
            }
        }
    }
}

fn chosen<'n>(among: &[bool], names: &[&'n str]) -> impl Iterator<Item = &'n str> {
    let chosen: Vec<&str> = among.iter().zip(names).filter(|(chosen, _)| **chosen).map(|(_, name)| *name).collect();
    chosen.into_iter()
}

fn ordinal(number: u32) -> String {
    if let Some(word) = number.checked_sub(1).and_then(|index| ORDINALS.get(usize::try_from(index).ok()?)) {
        return (*word).to_owned();
    }
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn clock(time: NaiveTime) -> String {
    time.format("%H:%M").to_string()
}

fn join(words: impl Iterator<Item = impl Into<String>>) -> String {
    let mut words: Vec<String> = words.map(Into::into).collect();
    match words.pop() {
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} and {last}", words.join(", ")),
        None => String::new(),
    }
}
