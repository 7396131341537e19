//! What becomes of times on holidays.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Europe::Berlin;
use model::schedule::OnHoliday;
use schedule::{Holidays, When};

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Easter of 2024: Friday the 29th of March to Monday the 1st of April.
fn easter() -> Holidays {
    ["2024-03-29", "2024-04-01", "2024-05-01"].into_iter().map(day).collect()
}

fn days(when: &str, rule: OnHoliday, count: usize) -> Vec<String> {
    let when: When = when.parse().unwrap();
    let after: DateTime<Utc> = "2024-03-27T12:00:00Z".parse().unwrap();
    let when = when.by_calendar(Arc::new(easter()), rule);
    when.upcoming(after, Berlin).take(count).map(|found| found.nominal.to_string()).collect()
}

#[test]
fn a_time_on_a_holiday_fires_is_left_out_or_moves_to_the_working_day_beside_it() {
    let monthly = "the first day of the month at 08:00";
    assert_eq!(days(monthly, OnHoliday::Run, 2), ["2024-04-01 08:00:00", "2024-05-01 08:00:00"]);
    assert_eq!(days(monthly, OnHoliday::Skip, 2), ["2024-06-01 08:00:00", "2024-07-01 08:00:00"]);
    assert_eq!(days(monthly, OnHoliday::Before, 2), ["2024-03-28 08:00:00", "2024-04-30 08:00:00"]);
    assert_eq!(days(monthly, OnHoliday::After, 2), ["2024-04-02 08:00:00", "2024-05-02 08:00:00"]);
}

#[test]
fn a_time_that_moves_to_a_day_that_has_it_anyway_comes_once() {
    let daily = "every weekday at 08:00";
    assert_eq!(days(daily, OnHoliday::After, 3), ["2024-03-28 08:00:00", "2024-04-02 08:00:00", "2024-04-03 08:00:00"]);
    assert_eq!(
        days(daily, OnHoliday::Before, 3),
        ["2024-03-28 08:00:00", "2024-04-02 08:00:00", "2024-04-03 08:00:00"]
    );
}

#[test]
fn working_days_are_counted_without_holidays() {
    assert_eq!(
        days("last working day of the month at 18:00", OnHoliday::Run, 2),
        ["2024-03-28 18:00:00", "2024-04-30 18:00:00"]
    );
    assert_eq!(
        days("second working day of the month at 08:00", OnHoliday::Run, 2),
        ["2024-04-03 08:00:00", "2024-05-03 08:00:00"]
    );
    assert_eq!(
        days("every working day at 08:00", OnHoliday::Run, 3),
        ["2024-03-28 08:00:00", "2024-04-02 08:00:00", "2024-04-03 08:00:00"]
    );
}

fn read(text: &str) -> Result<Vec<String>, String> {
    let days = |holidays: Holidays| holidays.days().map(|day| day.to_string()).collect();
    Holidays::read(text).map(days).map_err(|fault| fault.to_string())
}

#[test]
fn a_file_of_days_has_one_a_line_with_whatever_is_said_of_it() {
    let text = "\u{feff}# Germany\n2026-12-25 Christmas Day\n\n 2026-01-01\r\n2026-12-25\n";
    assert_eq!(read(text).unwrap(), ["2026-01-01", "2026-12-25"]);
    assert_eq!(
        read("2026-12-25\n25.12.2026\n").unwrap_err(),
        "line 2: `25.12.2026` is no day; write for example 2026-12-25"
    );
    assert_eq!(read("# nothing yet\n").unwrap_err(), "names no day");
}

#[test]
fn a_calendar_that_programs_exchange_is_read_event_by_event() {
    let event = |inner: &str| {
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n{inner}END:VEVENT\r\nEND:VCALENDAR\r\n")
    };
    let folded = "DTSTART;VALUE=DATE:2026\r\n 1225\r\nDTEND;VALUE=DATE:20261227\r\nSUMMARY:Christmas: both days\r\n";
    assert_eq!(read(&event(folded)).unwrap(), ["2026-12-25", "2026-12-26"]);
    assert_eq!(read(&event("DTSTART:20261225\r\n")).unwrap(), ["2026-12-25"]);
    assert_eq!(read(&event("DTSTART:20261225\r\nSTATUS:CANCELLED\r\n")).unwrap_err(), "names no day");
    for (inner, expected) in [
        ("DTSTART:20261225T080000Z\r\n", "line 4: `20261225T080000Z` is no whole day"),
        ("SUMMARY:x\r\n", "line 3: this event has no DTSTART"),
        ("DTSTART:20261225\r\nRRULE:FREQ=YEARLY\r\n", "line 5: RRULE is not read; write an event for each year"),
        ("DTSTART:20260101\r\nDTEND:20270101\r\n", "line 3: this event takes more than 60 days"),
    ] {
        let told = read(&event(inner)).unwrap_err();
        assert!(told.starts_with(expected), "{told}");
    }
    let cut = event("DTSTART:20261225\r\n").replace("END:VEVENT\r\n", "");
    assert_eq!(read(&cut).unwrap_err(), "line 3: an event begins here and does not end");
}
