//! Holidays are read from a file: one day a line, or a calendar as programs exchange it (iCalendar, RFC 5545).

use std::fmt;

use chrono::{Days, NaiveDate};

use super::holidays::Holidays;

/// Most days of one event: whoever gives a year off means something else.
const LONGEST_EVENT: u64 = 60;

/// What is wrong with a file of holidays, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolidayFault {
    /// From 1; 0: all of it.
    pub line: usize,
    /// For people.
    pub detail: String,
}

impl fmt::Display for HolidayFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { f.write_str(&self.detail) } else { write!(f, "line {}: {}", self.line, self.detail) }
    }
}

impl std::error::Error for HolidayFault {}

impl Holidays {
    /// Reads a text: an iCalendar file, or a day such as `2026-12-25` a line, whatever stands behind it; `#` begins a remark.
    ///
    /// # Errors
    /// The first line that is none, or that there is no day at all.
    pub fn read(text: &str) -> Result<Self, HolidayFault> {
        let text = text.trim_start_matches('\u{feff}');
        let found = if text.trim_start().starts_with("BEGIN:VCALENDAR") { read_events(text) } else { read_days(text) }?;
        if found.last_year().is_none() {
            return Err(HolidayFault { line: 0, detail: "names no day".to_owned() });
        }
        Ok(found)
    }
}

fn fault(line: usize, detail: impl Into<String>) -> HolidayFault {
    HolidayFault { line, detail: detail.into() }
}

fn read_days(text: &str) -> Result<Holidays, HolidayFault> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let read = |(number, line): (usize, &str)| {
        let day = line.split_whitespace().next().unwrap_or_default();
        day.parse::<NaiveDate>().map_err(|_| fault(number, format!("`{day}` is no day; write for example 2026-12-25")))
    };
    lines.map(read).collect()
}

/// One event under way.
#[derive(Default)]
struct HolidayEvent {
    line: usize,
    first: Option<NaiveDate>,
    /// The day after its last.
    end: Option<NaiveDate>,
    cancelled: bool,
}

fn read_events(text: &str) -> Result<Holidays, HolidayFault> {
    let mut found = Holidays::default();
    let mut event: Option<HolidayEvent> = None;
    for (number, line) in unfold(text) {
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        let (name, options) = name.split_once(';').unwrap_or((name, ""));
        match (name.to_ascii_uppercase().as_str(), &mut event) {
            ("BEGIN", None) if value.eq_ignore_ascii_case("VEVENT") => {
                event = Some(HolidayEvent { line: number, ..HolidayEvent::default() });
            }
            ("DTSTART", Some(event)) => event.first = Some(whole_day(number, options, value)?),
            ("DTEND", Some(event)) => event.end = Some(whole_day(number, options, value)?),
            ("STATUS", Some(event)) => event.cancelled = value.eq_ignore_ascii_case("CANCELLED"),
            ("RRULE" | "RDATE" | "DURATION", Some(_)) => {
                return Err(fault(
                    number,
                    format!("{name} is not read; write an event for each year, with DTEND where it is longer"),
                ));
            }
            ("END", Some(_)) if value.eq_ignore_ascii_case("VEVENT") => {
                found.extend(event.take().as_ref().map(days_of).transpose()?.unwrap_or_default());
            }
            _ => {}
        }
    }
    match event {
        Some(event) => Err(fault(event.line, "an event begins here and does not end")),
        None => Ok(found),
    }
}

/// Joins lines that go on with a space, each with the number of its first.
fn unfold(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some((_, last))) => last.push_str(rest),
            _ => lines.push((index + 1, line.trim_end().to_owned())),
        }
    }
    lines
}

fn whole_day(line: usize, options: &str, value: &str) -> Result<NaiveDate, HolidayFault> {
    let is_time = value.contains('T') || options.to_ascii_uppercase().contains("VALUE=DATE-TIME");
    NaiveDate::parse_from_str(value, "%Y%m%d").ok().filter(|_| !is_time && value.len() == 8).ok_or_else(|| {
        fault(line, format!("`{value}` is no whole day; holidays are written like DTSTART;VALUE=DATE:20261225"))
    })
}

fn days_of(event: &HolidayEvent) -> Result<Vec<NaiveDate>, HolidayFault> {
    let Some(first) = event.first else { return Err(fault(event.line, "this event has no DTSTART")) };
    if event.cancelled {
        return Ok(Vec::new());
    }
    let end = event.end.unwrap_or(first).max(first + Days::new(1));
    let days: Vec<NaiveDate> =
        first.iter_days().take_while(|day| *day < end).take(LONGEST_EVENT as usize + 1).collect();
    if days.len() > LONGEST_EVENT as usize {
        return Err(fault(event.line, format!("this event takes more than {LONGEST_EVENT} days")));
    }
    Ok(days)
}
