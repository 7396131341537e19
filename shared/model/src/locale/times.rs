//! Durations, dates and times as somebody reads them: in their language, by their clock.

use std::time::Duration;

use chrono::{DateTime, Datelike as _, NaiveDate, Offset as _, Utc};

use super::{Localizer, Tz, fill};

impl Localizer<'_> {
    /// Returns `0.4 s`, `45 s`, `2 min 5 s` or `3 h 20 min`.
    #[must_use]
    pub fn duration(&self, value: Duration) -> String {
        let (seconds, units) = (value.as_secs(), &self.conventions.units);
        match seconds {
            0..10 => fill(&units.seconds, &[("s", &self.decimal(&format!("{:.1}", value.as_secs_f64())))]),
            10..60 => fill(&units.seconds, &[("s", &seconds.to_string())]),
            60..3600 => fill(&units.minutes, &[("m", &(seconds / 60).to_string()), ("s", &(seconds % 60).to_string())]),
            _ => fill(&units.hours, &[("h", &self.number(seconds / 3600)), ("m", &(seconds % 3600 / 60).to_string())]),
        }
    }

    /// Returns `45 s`, `12 min` or `3 h 20 min`: no more exactly than anybody plans by.
    #[must_use]
    pub fn rough_duration(&self, value: Duration) -> String {
        let (seconds, units) = (value.as_secs(), &self.conventions.units);
        match seconds {
            0..60 => fill(&units.seconds, &[("s", &seconds.max(1).to_string())]),
            60..3570 => fill(&units.whole_minutes, &[("m", &((seconds + 30) / 60).to_string())]),
            _ => self.duration(value.max(Duration::from_secs(3600))),
        }
    }

    /// Returns `4 min to 6 min`, or `4 min` where both ends read the same.
    #[must_use]
    pub fn rough_duration_range(&self, from: Duration, to: Duration) -> String {
        let (from, to) = (self.rough_duration(from), self.rough_duration(to));
        if from == to { from } else { fill(&self.conventions.units.from_to, &[("from", &from), ("to", &to)]) }
    }

    /// Returns `22 November 2026, 17:10 to 17:25 CET`, with both dates where they differ.
    #[must_use]
    pub fn date_time_range(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> String {
        let (first, last) = (from.with_timezone(&self.zone), to.with_timezone(&self.zone));
        if first.date_naive() != last.date_naive() || first.offset().fix() != last.offset().fix() {
            return fill(
                &self.conventions.units.from_to,
                &[("from", &self.date_time(from)), ("to", &self.date_time(to))],
            );
        }
        let (from, to) = (first.format("%H:%M").to_string(), last.format("%H:%M").to_string());
        if from == to {
            return self.date_time(last.to_utc());
        }
        let (date, zone) = (self.date(first.date_naive()), zone_of(first));
        fill(&self.conventions.dates.span, &[("date", &date), ("from", &from), ("to", &to), ("zone", &zone)])
    }

    /// Returns `22 November 2026, 17:10 CET`, by the reader's clock and with its name.
    #[must_use]
    pub fn date_time(&self, value: DateTime<Utc>) -> String {
        let local = value.with_timezone(&self.zone);
        let (date, time, zone) = (self.date(local.date_naive()), local.format("%H:%M").to_string(), zone_of(local));
        fill(&self.conventions.dates.moment, &[("date", &date), ("time", &time), ("zone", &zone)])
    }

    /// Returns `22 November 2026`.
    #[must_use]
    pub fn date(&self, value: NaiveDate) -> String {
        let month = self.conventions.dates.months.get(value.month0() as usize).map_or("", String::as_str);
        let (day, year) = (value.day().to_string(), value.year().to_string());
        fill(&self.conventions.dates.day, &[("day", &day), ("month", month), ("year", &year)])
    }
}

/// Where a zone has no letters of its own it is called by its distance: `+08`.
fn zone_of(local: DateTime<Tz>) -> String {
    let zone = local.format("%Z").to_string();
    if zone.starts_with(['+', '-']) { format!("UTC{zone}") } else { zone }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locale::{Conventions, Language, in_language, time_zone};

    #[test]
    fn durations_are_short() {
        let said = in_language(Language::De, |localizer| {
            [400, 9_940, 45_000, 125_000, 12_000_000].map(|ms| localizer.duration(Duration::from_millis(ms)))
        });
        assert_eq!(said, ["0,4 s", "9,9 s", "45 s", "2 Min. 5 s", "3 Std. 20 Min."]);
    }

    #[test]
    fn what_is_only_about_known_is_said_roughly() {
        let said = in_language(Language::En, |localizer| {
            [400, 45_000, 80_000, 95_000, 3_569_000, 3_580_000, 12_000_000]
                .map(|ms| localizer.rough_duration(Duration::from_millis(ms)))
        });
        assert_eq!(said, ["1 s", "45 s", "1 min", "2 min", "59 min", "1 h 0 min", "3 h 20 min"]);
        let between = |from, to| in_language(Language::De, |localizer| localizer.rough_duration_range(from, to));
        let minutes = |count: u64| Duration::from_secs(count * 60);
        assert_eq!(between(minutes(4), minutes(6)), "4 Min. bis 6 Min.");
        assert_eq!(between(minutes(4), minutes(4)), "4 Min.");
    }

    #[test]
    fn a_span_names_the_day_once() {
        let span = |language, from: &str, to: &str| {
            in_language(language, |localizer| localizer.date_time_range(from.parse().unwrap(), to.parse().unwrap()))
        };
        let (early, late, next) = ("2026-11-22T16:10:07Z", "2026-11-22T16:25:00Z", "2026-11-22T23:05:00Z");
        let said = Language::ALL.map(|language| span(language, early, late));
        assert_eq!(
            said,
            [
                "22 November 2026, 17:10 to 17:25 CET",
                "22. November 2026, 17:10 bis 17:25 Uhr CET",
                "22 novembre 2026, de 17:10 à 17:25 CET",
                "22 de noviembre de 2026, de 17:10 a 17:25 CET",
                "2026年11月22日 17:10 至 17:25（CET）",
            ]
        );
        assert_eq!(span(Language::En, early, "2026-11-22T16:10:50Z"), "22 November 2026, 17:10 CET");
        assert_eq!(span(Language::En, early, next), "22 November 2026, 17:10 CET to 23 November 2026, 00:05 CET");
    }

    #[test]
    fn times_are_of_the_reader_s_clock_in_summer_and_winter() {
        let (winter, summer) = ("2026-11-22T16:10:07Z".parse().unwrap(), "2026-07-01T23:30:00Z".parse().unwrap());
        let said = Language::ALL.map(|language| in_language(language, |localizer| localizer.date_time(winter)));
        assert_eq!(
            said,
            [
                "22 November 2026, 17:10 CET",
                "22. November 2026, 17:10 Uhr CET",
                "22 novembre 2026 à 17:10 CET",
                "22 de noviembre de 2026, 17:10 CET",
                "2026年11月22日 17:10（CET）",
            ]
        );
        assert_eq!(in_language(Language::En, |localizer| localizer.date_time(summer)), "2 July 2026, 01:30 CEST");
        let far = Localizer {
            conventions: &Conventions::of(Language::En).unwrap(),
            zone: time_zone("America/Sao_Paulo").unwrap(),
        };
        assert_eq!(far.date_time(winter), "22 November 2026, 13:10 UTC-03");
    }
}
