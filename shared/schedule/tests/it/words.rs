//! What people write, what it is called, and when it fires.

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use schedule::When;

fn at(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap().and_utc()
}

fn times(when: &str, after: &str, count: usize) -> Vec<String> {
    let when: When = when.parse().unwrap_or_else(|fault| panic!("{when}: {fault}"));
    let upcoming = when.upcoming(at(after), Tz::UTC);
    upcoming.take(count).map(|found| found.at.format("%Y-%m-%d %H:%M").to_string()).collect()
}

/// What is written, how it is said, and the first times after 2024-02-28 12:00, a Wednesday of a leap year.
const WRITTEN: [(&str, &str, [&str; 3]); 33] = [
    ("every weekday at 07:30", "every weekday at 07:30", ["2024-02-29 07:30", "2024-03-01 07:30", "2024-03-04 07:30"]),
    (
        "last working day of the month at 18:00",
        "the last working day of every month at 18:00",
        ["2024-02-29 18:00", "2024-03-29 18:00", "2024-04-30 18:00"],
    ),
    (
        "every 15 minutes between 08:00 and 18:00",
        "every 15 minutes from 08:00 to 18:00",
        ["2024-02-28 12:15", "2024-02-28 12:30", "2024-02-28 12:45"],
    ),
    (
        "daily at 6am and 6pm",
        "every day at 06:00 and 18:00",
        ["2024-02-28 18:00", "2024-02-29 06:00", "2024-02-29 18:00"],
    ),
    ("Mondays at 9:00", "every Monday at 09:00", ["2024-03-04 09:00", "2024-03-11 09:00", "2024-03-18 09:00"]),
    (
        "every Monday, Wednesday and Friday at noon",
        "every Monday, Wednesday and Friday at 12:00",
        ["2024-03-01 12:00", "2024-03-04 12:00", "2024-03-06 12:00"],
    ),
    (
        "every week on tue at 10:15",
        "every Tuesday at 10:15",
        ["2024-03-05 10:15", "2024-03-12 10:15", "2024-03-19 10:15"],
    ),
    (
        "at midnight on weekends",
        "every weekend day at 00:00",
        ["2024-03-02 00:00", "2024-03-03 00:00", "2024-03-09 00:00"],
    ),
    (
        "every month on the 1st and 15th at 08:00",
        "the first day and 15th day of every month at 08:00",
        ["2024-03-01 08:00", "2024-03-15 08:00", "2024-04-01 08:00"],
    ),
    (
        "on the 31st of the month at 08:00",
        "the 31st day of every month at 08:00",
        ["2024-03-31 08:00", "2024-05-31 08:00", "2024-07-31 08:00"],
    ),
    (
        "day 30 of the month at 8:00",
        "the 30th day of every month at 08:00",
        ["2024-03-30 08:00", "2024-04-30 08:00", "2024-05-30 08:00"],
    ),
    (
        "the last day of the month at 23:59",
        "the last day of every month at 23:59",
        ["2024-02-29 23:59", "2024-03-31 23:59", "2024-04-30 23:59"],
    ),
    (
        "second Tuesday of the month at 09:00",
        "the second Tuesday of every month at 09:00",
        ["2024-03-12 09:00", "2024-04-09 09:00", "2024-05-14 09:00"],
    ),
    (
        "last Friday of March, June and December at 17:00",
        "the last Friday of March, June and December at 17:00",
        ["2024-03-29 17:00", "2024-06-28 17:00", "2024-12-27 17:00"],
    ),
    (
        "third last day of the month at 08:00",
        "the third last day of every month at 08:00",
        ["2024-03-29 08:00", "2024-04-28 08:00", "2024-05-29 08:00"],
    ),
    (
        "first working day of the quarter at 07:00",
        "the first working day of every quarter at 07:00",
        ["2024-04-01 07:00", "2024-07-01 07:00", "2024-10-01 07:00"],
    ),
    (
        "every quarter on the second last working day at 07:00",
        "the second last working day of every quarter at 07:00",
        ["2024-03-28 07:00", "2024-06-27 07:00", "2024-09-27 07:00"],
    ),
    (
        "every year on March 1 at 06:00",
        "the first day of March at 06:00",
        ["2024-03-01 06:00", "2025-03-01 06:00", "2026-03-01 06:00"],
    ),
    (
        "the 29th of February at 06:00",
        "the 29th day of February at 06:00",
        ["2024-02-29 06:00", "2028-02-29 06:00", "2032-02-29 06:00"],
    ),
    (
        "the 100th day of the year at 06:00",
        "the 100th day of every year at 06:00",
        ["2024-04-09 06:00", "2025-04-10 06:00", "2026-04-10 06:00"],
    ),
    ("every minute", "every minute", ["2024-02-28 12:01", "2024-02-28 12:02", "2024-02-28 12:03"]),
    ("every 7 minutes", "every 7 minutes", ["2024-02-28 12:01", "2024-02-28 12:08", "2024-02-28 12:15"]),
    ("hourly", "every hour", ["2024-02-28 13:00", "2024-02-28 14:00", "2024-02-28 15:00"]),
    (
        "every hour at :05",
        "every hour from 00:05 to 23:59",
        ["2024-02-28 12:05", "2024-02-28 13:05", "2024-02-28 14:05"],
    ),
    (
        "every 2 hours at :30",
        "every 2 hours from 00:30 to 23:59",
        ["2024-02-28 12:30", "2024-02-28 14:30", "2024-02-28 16:30"],
    ),
    (
        "every hour from 9:00 until 11:00 on weekdays",
        "every hour from 09:00 to 11:00, every weekday",
        ["2024-02-29 09:00", "2024-02-29 10:00", "2024-02-29 11:00"],
    ),
    (
        "every day in december at 08:00",
        "every day in December at 08:00",
        ["2024-12-01 08:00", "2024-12-02 08:00", "2024-12-03 08:00"],
    ),
    (
        "*/15 8-18 * * *",
        "every 15 minutes from 08:00 to 18:45",
        ["2024-02-28 12:15", "2024-02-28 12:30", "2024-02-28 12:45"],
    ),
    (
        "0 18 LW * *",
        "by the cron expression `0 18 LW * *`",
        ["2024-02-29 18:00", "2024-03-29 18:00", "2024-04-30 18:00"],
    ),
    ("0 6 L * *", "the last day of every month at 06:00", ["2024-02-29 06:00", "2024-03-31 06:00", "2024-04-30 06:00"]),
    (
        "0 17 * 3,6 5L",
        "the last Friday of March and June at 17:00",
        ["2024-03-29 17:00", "2024-06-28 17:00", "2025-03-28 17:00"],
    ),
    (
        "0 9 1,15 * *",
        "the first day and 15th day of every month at 09:00",
        ["2024-03-01 09:00", "2024-03-15 09:00", "2024-04-01 09:00"],
    ),
    (
        "30 7 * * MON#2",
        "the second Monday of every month at 07:30",
        ["2024-03-11 07:30", "2024-04-08 07:30", "2024-05-13 07:30"],
    ),
];

#[test]
fn what_is_written_is_said_in_one_way_and_fires_when_it_says() {
    for (written, said, next) in WRITTEN {
        let when: When = written.parse().unwrap_or_else(|fault| panic!("{written}: {fault}"));
        assert_eq!(when.to_string(), written);
        assert_eq!(when.sentence(), said, "{written}");
        assert_eq!(times(written, "2024-02-28 12:00", 3), next, "{written}");
    }
}

#[test]
fn how_it_is_said_may_be_written_too_and_means_the_same() {
    for (written, said, next) in WRITTEN {
        if written.starts_with(|first: char| first.is_ascii_digit() || first == '*') {
            continue;
        }
        let again: When = said.parse().unwrap_or_else(|fault| panic!("{said}: {fault}"));
        assert_eq!(again.sentence(), said);
        assert_eq!(times(said, "2024-02-28 12:00", 3), next, "{said}");
    }
}

#[test]
fn the_closest_weekday_and_the_nth_weekday_of_cron_are_where_a_calendar_has_them() {
    // The 15th of June 2024 is a Saturday, the 15th of September a Sunday.
    assert_eq!(times("0 8 15W 6,9 *", "2024-06-01 00:00", 2), ["2024-06-14 08:00", "2024-09-16 08:00"]);
    assert_eq!(times("0 8 * * 5L", "2024-02-28 12:00", 2), ["2024-03-29 08:00", "2024-04-26 08:00"]);
    assert_eq!(times("0 0 L 2 *", "2024-02-28 12:00", 2), ["2024-02-29 00:00", "2025-02-28 00:00"]);
    // A day of the month, or a day of the week, as every cron has it.
    assert_eq!(
        times("0 0 13 * FRI", "2024-09-07 00:00", 3),
        ["2024-09-13 00:00", "2024-09-20 00:00", "2024-09-27 00:00"]
    );
}

#[test]
fn whatever_cannot_be_read_says_what_to_write() {
    for (written, said) in [
        ("", "say at what time"),
        ("every weekday", "say at what time"),
        ("at 07:30", "say on which days"),
        ("every wekday at 07:30", "did you mean `weekday`?"),
        ("every Mondey at 07:30", "did you mean `monday`?"),
        ("every day at 25:00", "`25:00` is no time"),
        ("every day at 7", "say the time behind `at`, like 07:30 or 6pm"),
        ("every day 07:30", "say `at` before a time"),
        ("every 3 days at 07:30", "would not say which"),
        ("every 0 minutes", "every 1 minute to every 12 hours"),
        ("every 1000 minutes", "every 1 minute to every 12 hours"),
        ("every 15 minutes at 07:30", "how often, or at what times"),
        ("every 15 minutes between 18:00 and 08:00", "18:00 is not before 08:00"),
        ("every day between 08:00 and 18:00 at 9:00", "every 15 minutes between"),
        ("every day at :15", "`every hour at :15`"),
        ("last working day at 18:00", "say of what"),
        ("every month at 08:00", "say which day of it"),
        ("every week at 08:00", "say which day of it"),
        ("first weekday of the month at 08:00", "say `working day`"),
        ("every Monday and 1st of the month at 08:00", "make two schedules of it"),
        ("the 32nd of the month at 08:00", "there is no 32nd day of it"),
        ("the sixth Monday of the month at 08:00", "there is no sixth Monday of it"),
        ("the 30th of February at 08:00", "never happens"),
        ("0 0 31 2 *", "never happens"),
        ("* * * *", "is no cron expression of five fields"),
        ("0 0 0 1 1 *", "is no cron expression of five fields"),
        ("61 * * * *", "is no cron expression of five fields"),
        ("@reboot", "is no cron expression of five fields"),
        ("every day at 07:30; drop table", "`07:30;` is no time"),
    ] {
        let fault = written.parse::<When>().expect_err(written);
        assert!(fault.detail.contains(said), "{written}: {fault}");
    }
    assert!("every day at 07:30 ".repeat(20).parse::<When>().is_err_and(|fault| fault.detail.contains("at most 300")));
}
