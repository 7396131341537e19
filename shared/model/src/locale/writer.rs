//! Numbers, sizes and times as somebody reads them: in their language, by their clock.

use std::time::Duration;

use chrono::{DateTime, Datelike as _, NaiveDate, Offset as _, Utc};
use serde::Deserialize;

use super::{Language, Tz, grouped};

/// How one language writes numbers, sizes and times. A catalogue that lacks a key, or has one too many, is refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conventions {
    numbers: Numbers,
    units: Units,
    dates: Dates,
}

/// How digits are written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbers {
    /// Between whole and part.
    decimal: String,
    /// Between thousands.
    group: String,
    /// Fewest digits that are grouped.
    group_from: usize,
    /// Whether nothing is one thing: `0 ligne`.
    zero_is_one: bool,
}

/// What is counted.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Units {
    row: Counted,
    byte: Counted,
    scaled: [String; 4],
    seconds: String,
    minutes: String,
    whole_minutes: String,
    from_to: String,
    hours: String,
}

/// One thing, and several.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counted {
    one: String,
    other: String,
}

/// How dates are written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dates {
    months: [String; 12],
    day: String,
    moment: String,
    span: String,
}

const fn catalogue(language: Language) -> &'static str {
    match language {
        Language::En => include_str!("../../locales/en.toml"),
        Language::De => include_str!("../../locales/de.toml"),
        Language::Fr => include_str!("../../locales/fr.toml"),
        Language::Es => include_str!("../../locales/es.toml"),
        Language::Zh => include_str!("../../locales/zh.toml"),
    }
}

impl Conventions {
    /// Reads the conventions of a language.
    ///
    /// # Errors
    /// When the embedded catalogue is not as it should be; a test reads each.
    pub fn of(language: Language) -> Result<Self, toml::de::Error> {
        toml::from_str(catalogue(language))
    }
}

/// Writes for one reader: in their language, by their clock.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// Of their language.
    pub conventions: &'a Conventions,
    /// Where their clock is.
    pub zone: Tz,
}

impl Writer<'_> {
    /// Returns `1234567` as `1,234,567`, `1.234.567` or `1 234 567`.
    #[must_use]
    pub fn number(&self, value: u64) -> String {
        let numbers = &self.conventions.numbers;
        let enough = value.checked_ilog10().unwrap_or(0) as usize + 1 >= numbers.group_from;
        grouped(value, if enough { &numbers.group } else { "" })
    }

    /// Returns `1 row`, `2 rows`.
    #[must_use]
    pub fn rows(&self, value: u64) -> String {
        self.counted(&self.conventions.units.row, value)
    }

    fn counted(&self, noun: &Counted, value: u64) -> String {
        let one = value == 1 || (value == 0 && self.conventions.numbers.zero_is_one);
        fill(if one { &noun.one } else { &noun.other }, &[("n", &self.number(value))])
    }

    /// Returns a size with three digits at least where they matter: `512 bytes`, `12.3 MB`, `1.05 GB`. Units are of 1000, as in
    /// file managers.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    pub fn bytes(&self, value: u64) -> String {
        if value < 1000 {
            return self.counted(&self.conventions.units.byte, value);
        }
        let mut size = value as f64;
        let mut unit = "{n}";
        for next in &self.conventions.units.scaled {
            // 999,950 would be written 1000.0 kB.
            if size < 999.5 {
                break;
            }
            size /= 1000.0;
            unit = next;
        }
        let digits = match size {
            size if size < 9.995 => format!("{size:.2}"),
            size if size < 99.95 => format!("{size:.1}"),
            size => format!("{size:.0}"),
        };
        fill(unit, &[("n", &self.decimal(&digits))])
    }

    fn decimal(&self, digits: &str) -> String {
        digits.replace('.', &self.conventions.numbers.decimal)
    }

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
    pub fn about(&self, value: Duration) -> String {
        let (seconds, units) = (value.as_secs(), &self.conventions.units);
        match seconds {
            0..60 => fill(&units.seconds, &[("s", &seconds.max(1).to_string())]),
            60..3570 => fill(&units.whole_minutes, &[("m", &((seconds + 30) / 60).to_string())]),
            _ => self.duration(value.max(Duration::from_secs(3600))),
        }
    }

    /// Returns `4 min to 6 min`, or `4 min` where both ends read the same.
    #[must_use]
    pub fn about_between(&self, from: Duration, to: Duration) -> String {
        let (from, to) = (self.about(from), self.about(to));
        if from == to { from } else { fill(&self.conventions.units.from_to, &[("from", &from), ("to", &to)]) }
    }

    /// Returns `22 November 2026, 17:10 to 17:25 CET`, with both dates where they differ.
    #[must_use]
    pub fn span(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> String {
        let (first, last) = (from.with_timezone(&self.zone), to.with_timezone(&self.zone));
        if first.date_naive() != last.date_naive() || first.offset().fix() != last.offset().fix() {
            return fill(&self.conventions.units.from_to, &[("from", &self.moment(from)), ("to", &self.moment(to))]);
        }
        let (from, to) = (first.format("%H:%M").to_string(), last.format("%H:%M").to_string());
        if from == to {
            return self.moment(last.to_utc());
        }
        let (date, zone) = (self.date(first.date_naive()), zone_of(first));
        fill(&self.conventions.dates.span, &[("date", &date), ("from", &from), ("to", &to), ("zone", &zone)])
    }

    /// Returns `22 November 2026, 17:10 CET`, by the reader's clock and with its name.
    #[must_use]
    pub fn moment(&self, value: DateTime<Utc>) -> String {
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

/// Puts values in the places of `{name}`. What is put in is never looked at again, so that a value cannot name another.
#[must_use]
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len() + 40);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            filled.push('{');
            rest = after;
            continue;
        };
        filled.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
        rest = behind;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::super::time_zone;
    use super::*;

    fn speaks<T>(language: Language, say: impl Fn(Writer<'_>) -> T) -> T {
        let zone = time_zone("Europe/Berlin").unwrap();
        say(Writer { conventions: &Conventions::of(language).unwrap(), zone })
    }

    #[test]
    fn every_language_fills_in_the_same() {
        let read = |language| toml::from_str::<toml::Table>(catalogue(language)).unwrap();
        let english = read(Language::En);
        for (language, own) in Language::ALL.map(|language| (language, read(language))) {
            for (section, keys) in &english {
                for (key, text) in keys.as_table().unwrap() {
                    let places = |value: &toml::Value| {
                        let text = value.to_string();
                        let mut names: Vec<String> = text
                            .split("{")
                            .skip(1)
                            .filter_map(|rest| Some(rest.split_once('}')?.0.to_owned()))
                            .collect();
                        names.sort_unstable();
                        names.dedup();
                        names
                    };
                    let told = &own[section][key];
                    assert!(text.is_table() || places(told) == places(text), "{language}: {section}.{key}");
                }
            }
        }
    }

    #[test]
    fn sizes_have_a_unit_people_know() {
        let sizes = [0, 1, 999, 1000, 12_340, 999_949, 999_950, 12_300_000, 1_050_000_000, 20_000_000_000_000];
        let said = speaks(Language::En, |writer| sizes.map(|size| writer.bytes(size)).join("; "));
        assert_eq!(said, "0 bytes; 1 byte; 999 bytes; 1.00 kB; 12.3 kB; 1.00 MB; 1.00 MB; 12.3 MB; 1.05 GB; 20.0 TB");
    }

    #[test]
    fn each_language_writes_numbers_its_own_way() {
        let said = Language::ALL.map(|language| {
            speaks(language, |writer| {
                [writer.rows(0), writer.rows(1), writer.rows(1234), writer.rows(1_234_567), writer.bytes(12_300_000)]
                    .join("; ")
            })
        });
        assert_eq!(
            said,
            [
                "0 rows; 1 row; 1,234 rows; 1,234,567 rows; 12.3 MB",
                "0 Zeilen; 1 Zeile; 1.234 Zeilen; 1.234.567 Zeilen; 12,3 MB",
                "0 ligne; 1 ligne; 1\u{202f}234 lignes; 1\u{202f}234\u{202f}567 lignes; 12,3 Mo",
                "0 filas; 1 fila; 1234 filas; 1.234.567 filas; 12,3 MB",
                "0 行; 1 行; 1,234 行; 1,234,567 行; 12.3 MB",
            ]
        );
    }

    #[test]
    fn durations_are_short() {
        let said = speaks(Language::De, |writer| {
            [400, 9_940, 45_000, 125_000, 12_000_000].map(|ms| writer.duration(Duration::from_millis(ms)))
        });
        assert_eq!(said, ["0,4 s", "9,9 s", "45 s", "2 Min. 5 s", "3 Std. 20 Min."]);
    }

    #[test]
    fn what_is_only_about_known_is_said_roughly() {
        let said = speaks(Language::En, |writer| {
            [400, 45_000, 80_000, 95_000, 3_569_000, 3_580_000, 12_000_000]
                .map(|ms| writer.about(Duration::from_millis(ms)))
        });
        assert_eq!(said, ["1 s", "45 s", "1 min", "2 min", "59 min", "1 h 0 min", "3 h 20 min"]);
        let between = |from, to| speaks(Language::De, |writer| writer.about_between(from, to));
        let minutes = |count: u64| Duration::from_secs(count * 60);
        assert_eq!(between(minutes(4), minutes(6)), "4 Min. bis 6 Min.");
        assert_eq!(between(minutes(4), minutes(4)), "4 Min.");
    }

    #[test]
    fn a_span_names_the_day_once() {
        let span = |language, from: &str, to: &str| {
            speaks(language, |writer| writer.span(from.parse().unwrap(), to.parse().unwrap()))
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
        let said = Language::ALL.map(|language| speaks(language, |writer| writer.moment(winter)));
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
        assert_eq!(speaks(Language::En, |writer| writer.moment(summer)), "2 July 2026, 01:30 CEST");
        let far = Writer {
            conventions: &Conventions::of(Language::En).unwrap(),
            zone: time_zone("America/Sao_Paulo").unwrap(),
        };
        assert_eq!(far.moment(winter), "22 November 2026, 13:10 UTC-03");
    }

    #[test]
    fn what_is_put_in_is_not_read_again() {
        assert_eq!(fill("{a}, {b}{c}!", &[("a", "{b}"), ("b", "2")]), "{b}, 2!");
        assert_eq!(fill("{", &[]), "{");
    }
}
