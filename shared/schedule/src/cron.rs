//! Cron expressions of five fields, with `L`, `W` and `#`, as `croner` reads them. Times are told by [`super::moment`], not by it.

use chrono::{Datelike as _, NaiveDate, NaiveTime, TimeDelta};
use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, Weekday};

use super::days::{DayKind, DayOfPeriod, DayRule, Period};
use super::words::{Times, WordRule};

/// A cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CronRule(Cron);

/// Most times of a day that are told one by one.
const MOST_TIMES: usize = 4;
const END_OF_DAY: Option<NaiveTime> = NaiveTime::from_hms_opt(23, 59, 0);

const WEEKDAYS: [Weekday; 7] = [
    Weekday::Sunday,
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
];

impl CronRule {
    /// Reads an expression, or says for people what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        parser.parse(text).map(Self).map_err(|fault| {
            format!("`{text}` is no cron expression of five fields (minute, hour, day, month, weekday): {fault}")
        })
    }

    /// Says it in words: those of the rules in words, where they have some for it.
    pub(crate) fn sentence(&self) -> String {
        if let Some(words) = self.in_words() {
            return words.to_string();
        }
        // `croner` has words for everything, but wrong ones for some (`LW`).
        format!("by the cron expression `{}`", self.0.as_str())
    }

    fn in_words(&self) -> Option<WordRule> {
        let pattern = &self.0.pattern;
        let marked = pattern.days.has_modifiers() || pattern.days_of_week.has_modifiers();
        let days = match (pattern.is_dom_wildcard(), pattern.is_dow_wildcard()) {
            _ if marked => DayRule::Of(vec![self.marked_day()?], Period::Month),
            (true, true) => DayRule::Every,
            (true, false) => DayRule::Weekdays(chosen(pattern.days_of_week.values(), 6)),
            (false, true) => {
                let day = |number: u16| DayOfPeriod { kind: DayKind::Day, number: number.into(), from_end: false };
                DayRule::Of(pattern.days.values().into_iter().map(day).collect(), Period::Month)
            }
            (false, false) => return None,
        };
        Some(WordRule { days, months: chosen(pattern.months.values(), -1), times: self.times_in_words()? })
    }

    /// Finds what stands for a single day with a mark, where there are words for it: `L`, `5L`, `MON#2`.
    fn marked_day(&self) -> Option<DayOfPeriod> {
        let mut fields = self.0.as_str().split_whitespace().skip(2);
        let (day, weekday) = (fields.next()?, fields.nth(1)?);
        match (day, weekday) {
            ("L", "*") => Some(DayOfPeriod { kind: DayKind::Day, number: 1, from_end: true }),
            ("*", weekday) => {
                let (name, number, from_end) = match weekday.split_once('#') {
                    Some((name, "L")) => (name, 1, true),
                    Some((name, number)) => (name, number.parse().ok()?, false),
                    None => (weekday.strip_suffix('L')?, 1, true),
                };
                Some(DayOfPeriod { kind: DayKind::Weekday(weekday_of(name)?), number, from_end })
            }
            _ => None,
        }
    }

    /// Finds how its times would be said: a few, or each so many minutes of some hours.
    fn times_in_words(&self) -> Option<Times> {
        let times = self.times();
        let (first, last) = (*times.first()?, *times.last()?);
        if times.len() <= MOST_TIMES {
            return Some(Times::At(times));
        }
        let step = times.get(1)?.signed_duration_since(first);
        let minutes = u32::try_from(step.num_minutes()).ok()?;
        let to = if last.signed_duration_since(first) + step >= TimeDelta::days(1) { END_OF_DAY? } else { last };
        let each = Times::Each { minutes, from: first, to };
        (each.all() == times).then_some(each)
    }

    /// Tells whether it has times on a day.
    pub(crate) fn is_on(&self, day: NaiveDate) -> bool {
        let pattern = &self.0.pattern;
        let weekday =
            usize::try_from(day.weekday().num_days_from_sunday()).ok().and_then(|number| WEEKDAYS.get(number));
        weekday.is_some_and(|weekday| {
            pattern.month_match(day.month()).unwrap_or(false)
                && pattern.day_match(day.year(), day.month(), day.day(), *weekday).unwrap_or(false)
        })
    }

    /// Returns its times on each of its days.
    pub(crate) fn times(&self) -> Vec<NaiveTime> {
        let minutes = self.0.pattern.minutes.values();
        let hours = self.0.pattern.hours.values();
        hours
            .into_iter()
            .flat_map(|hour| {
                minutes.iter().filter_map(move |minute| NaiveTime::from_hms_opt(hour.into(), (*minute).into(), 0))
            })
            .collect()
    }
}

/// Marks numbers, each moved by `ahead`, among so many.
fn chosen<const N: usize>(numbers: Vec<u16>, ahead: isize) -> [bool; N] {
    let mut chosen = [false; N];
    for number in numbers {
        let place = usize::from(number).checked_add_signed(ahead).map(|place| place % N);
        if let Some(chosen) = place.and_then(|place| chosen.get_mut(place)) {
            *chosen = true;
        }
    }
    chosen
}

/// Reads a weekday of cron: `5`, `FRI`.
fn weekday_of(name: &str) -> Option<chrono::Weekday> {
    match name.parse::<u8>() {
        Ok(number) if number <= 7 => ((number + 6) % 7).try_into().ok(),
        Ok(_) => None,
        Err(_) => name.parse().ok().filter(|_| name.len() == 3),
    }
}
