//! When a schedule fires.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

use model::schedule::OnHoliday;

use super::cron::CronRule;
use super::holidays::Holidays;
use super::moment::{Occurrence, moment_of, shown};
use super::parse_words::parse_words;
use super::words::WordRule;

/// When a schedule fires: a cron expression of five fields, with `L`, `W` and `#`, or words that a person reads. It is what it was
/// written as: two are the same when their texts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    text: String,
    rule: Rule,
    /// On each of its days, in order.
    times: Vec<NaiveTime>,
    holidays: Arc<Holidays>,
    on_holiday: OnHoliday,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Cron(Box<CronRule>),
    Words(WordRule),
}

/// What is wrong with a text, for people, with what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhenFault {
    /// For people.
    pub detail: String,
}

impl fmt::Display for WhenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for WhenFault {}

/// Longest text, in bytes.
const MAX_TEXT: usize = 300;
/// Calendars come again after 28 years, but for the turn of a century. What has no day within so many has none.
const DAYS_AHEAD: u64 = 41 * 366;

impl FromStr for When {
    type Err = WhenFault;

    fn from_str(text: &str) -> Result<Self, WhenFault> {
        let text = text.trim();
        let fault = |detail: String| WhenFault { detail };
        if text.len() > MAX_TEXT {
            return Err(fault(format!("use at most {MAX_TEXT} characters")));
        }
        let looks_like_cron =
            text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '*' | '@' | '+'));
        let (rule, times) = if looks_like_cron {
            let rule = CronRule::parse(text).map_err(fault)?;
            let times = rule.times();
            (Rule::Cron(Box::new(rule)), times)
        } else {
            let rule = parse_words(text).map_err(fault)?;
            let times = rule.times.all();
            (Rule::Words(rule), times)
        };
        let when = Self { text: text.to_owned(), rule, times, holidays: Arc::default(), on_holiday: OnHoliday::Run };
        let start = DateTime::UNIX_EPOCH;
        if when.next_after(start, Tz::UTC).is_none() {
            return Err(fault(format!("`{text}` never happens: no month has such a day")));
        }
        Ok(when)
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl When {
    /// Returns the same by a calendar: working days are counted without its holidays, and times on them do as `rule` says.
    #[must_use]
    pub fn by_calendar(self, holidays: Arc<Holidays>, rule: OnHoliday) -> Self {
        Self { holidays, on_holiday: rule, ..self }
    }

    /// Says it in English, for people: `every weekday at 07:30`. Words may be written in several ways, and are said in one.
    #[must_use]
    pub fn sentence(&self) -> String {
        match &self.rule {
            Rule::Cron(rule) => rule.sentence(),
            Rule::Words(rule) => rule.to_string(),
        }
    }

    /// Returns the first occurrence after a moment. `None`: none within the next forty years.
    #[must_use]
    pub fn next_after(&self, after: DateTime<Utc>, zone: Tz) -> Option<Occurrence> {
        let now = shown(after, zone);
        let days = (0..DAYS_AHEAD).map_while(|ahead| now.date().checked_add_days(Days::new(ahead)));
        let mut next: Option<Occurrence> = None;
        for day in days {
            // The clocks skip a day at most.
            if next.is_some_and(|found| day - found.nominal.date() > TimeDelta::days(2)) {
                return next;
            }
            for time in self.times_on(day) {
                let nominal = day.and_time(*time);
                if nominal <= now {
                    continue;
                }
                let occurrence = Occurrence { nominal, at: moment_of(nominal, zone) };
                match next {
                    // What the clocks showed an hour ago, and show again.
                    _ if occurrence.at <= after => {}
                    None => next = Some(occurrence),
                    // Of several times that the clocks skip at once, one is enough: the last.
                    Some(found) if found.at == occurrence.at => next = Some(occurrence),
                    Some(found) => return Some(found),
                }
            }
        }
        next
    }

    /// Returns the next occurrences after a moment.
    pub fn upcoming(&self, after: DateTime<Utc>, zone: Tz) -> impl Iterator<Item = Occurrence> {
        let next = move |found: &Occurrence| self.next_after(found.at, zone);
        std::iter::successors(self.next_after(after, zone), next)
    }

    /// Returns the times on a day, in order, each once.
    fn times_on(&self, day: NaiveDate) -> &[NaiveTime] {
        let sources = self.holidays.sources(day, self.on_holiday);
        if sources.into_iter().any(|source| self.is_on(source)) { &self.times } else { &[] }
    }

    fn is_on(&self, day: NaiveDate) -> bool {
        match &self.rule {
            Rule::Cron(rule) => rule.is_on(day),
            Rule::Words(rule) => rule.is_on(day, &self.holidays),
        }
    }
}
