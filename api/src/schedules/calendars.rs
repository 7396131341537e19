//! The calendars of the configuration, as schedules tell working days by them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use chrono::{DateTime, Datelike as _, Utc};
use schedule::Holidays;

/// Every calendar, by name.
#[derive(Debug, Default)]
pub struct Calendars(BTreeMap<String, Arc<Holidays>>);

/// A schedule names a calendar that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no calendar `{name}`: {known}")]
pub(super) struct NoCalendar {
    name: String,
    known: String,
}

impl Calendars {
    /// Reads their files.
    ///
    /// # Errors
    /// When one is not there any more, or is no calendar.
    pub fn read(config: &configuration::Config) -> anyhow::Result<Self> {
        let mut calendars = BTreeMap::new();
        for (name, calendar) in &config.calendars {
            let holidays = calendar.holidays().map_err(anyhow::Error::msg);
            calendars.insert(name.clone(), Arc::new(holidays.with_context(|| format!("read calendars.{name}"))?));
        }
        Ok(Self(calendars))
    }

    /// Finds one. Who names none has weekends off, and nothing else.
    pub(super) fn of(&self, name: Option<&str>) -> Result<Arc<Holidays>, NoCalendar> {
        let Some(name) = name else { return Ok(Arc::default()) };
        self.0.get(name).cloned().ok_or_else(|| NoCalendar { name: name.to_owned(), known: self.known() })
    }

    fn known(&self) -> String {
        let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        if names.is_empty() {
            "the configuration has none".to_owned()
        } else {
            format!("use one of {}", names.join(", "))
        }
    }

    /// Names those that say nothing of the year that begins within two months, each with the last that it says something of.
    pub(super) fn run_out(&self, now: DateTime<Utc>) -> Vec<(&str, i32)> {
        let soon = (now + chrono::TimeDelta::days(60)).year();
        let last = self.0.iter().filter_map(|(name, holidays)| Some((name.as_str(), holidays.last_year()?)));
        last.filter(|(_, year)| *year < soon).collect()
    }

    /// Says so in the log.
    pub(super) fn warn(&self, now: DateTime<Utc>) {
        for (calendar, last_year) in self.run_out(now) {
            tracing::warn!(
                calendar,
                last_year,
                "a calendar says nothing of the days after this year: add them, or they are no holidays"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_runs_out_two_months_before_the_first_year_that_it_says_nothing_of() {
        let of = |day: &str| Arc::new(std::iter::once(day.parse().unwrap()).collect::<Holidays>());
        let calendars =
            Calendars(BTreeMap::from([("at".to_owned(), of("2027-12-25")), ("de".to_owned(), of("2026-12-25"))]));
        let at = |day: &str| calendars.run_out(format!("{day}T00:00:00Z").parse().unwrap());
        assert_eq!(at("2026-10-31"), []);
        assert_eq!((at("2026-11-10"), at("2028-01-01")), (vec![("de", 2026)], vec![("at", 2027), ("de", 2026)]));
        assert_eq!(calendars.of(Some("fr")).unwrap_err().to_string(), "there is no calendar `fr`: use one of at, de");
        assert_eq!(
            Calendars::default().of(Some("fr")).unwrap_err().to_string(),
            "there is no calendar `fr`: the configuration has none"
        );
        assert!(calendars.of(None).unwrap().last_year().is_none());
    }
}
