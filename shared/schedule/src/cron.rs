//! Cron expressions of five fields, with `L`, `W` and `#`, as `croner` reads them. Times are told by [`super::moment`], not by it.

use chrono::{Datelike as _, NaiveDate, NaiveTime};
use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, Weekday};

/// A cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CronRule(Cron);

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

    pub(crate) fn sentence(&self) -> String {
        let said = self.0.describe();
        let mut letters = said.chars();
        let first = letters.next().into_iter().flat_map(char::to_lowercase);
        first.chain(letters).collect::<String>().trim_end_matches('.').to_owned()
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
