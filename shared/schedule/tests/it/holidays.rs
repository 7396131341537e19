//! What becomes of times on holidays.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Europe::Berlin;
use schedule::{Holidays, OnHoliday, When};

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
    let holidays = easter();
    when.upcoming(after, Berlin, &holidays, rule).take(count).map(|found| found.nominal.to_string()).collect()
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
