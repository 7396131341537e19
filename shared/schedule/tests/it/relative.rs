//! Dates told from when something runs.

use chrono::NaiveDateTime;
use chrono_tz::America::New_York;
use chrono_tz::Tz;
use schedule::{Holidays, Relative, Resolved};
use serde_json::{Value, json};

fn resolve(value: &Value, nominal: &str, zone: Tz) -> String {
    let relative = Relative::read(value).unwrap().unwrap_or_else(|fault| panic!("{value}: {fault}"));
    let nominal = NaiveDateTime::parse_from_str(nominal, "%Y-%m-%d %H:%M").unwrap();
    let holidays = ["2024-03-29", "2024-04-01"].map(|day| day.parse().unwrap()).into_iter().collect::<Holidays>();
    match relative.resolve(nominal, zone, &holidays).unwrap() {
        Resolved::Point { date, at } => format!("{date} {at:?}"),
        Resolved::Months(months) => {
            months.iter().map(|month| month.format("%Y-%m").to_string()).collect::<Vec<_>>().join(" ")
        }
    }
}

#[test]
fn whole_stretches_move_what_is_anchored_and_shorter_ones_the_day() {
    let nominal = "2024-03-31 07:30";
    for (value, expected) in [
        (json!({"relative": "today"}), "2024-03-31 2024-03-31T00:00:00Z"),
        (json!({"relative": "yesterday"}), "2024-03-30 2024-03-30T00:00:00Z"),
        (json!({"relative": "tomorrow"}), "2024-04-01 2024-04-01T00:00:00Z"),
        (json!({"relative": "now"}), "2024-03-31 2024-03-31T07:30:00Z"),
        (json!({"relative": "now", "minus": "24 hours"}), "2024-03-30 2024-03-30T07:30:00Z"),
        (json!({"relative": "today", "minus": "1 month"}), "2024-02-29 2024-02-29T00:00:00Z"),
        (json!({"relative": "start_of_month"}), "2024-03-01 2024-03-01T00:00:00Z"),
        (json!({"relative": "start_of_month", "minus": "1 month"}), "2024-02-01 2024-02-01T00:00:00Z"),
        (json!({"relative": "end_of_month", "minus": "1 month"}), "2024-02-29 2024-02-29T23:59:59.999999Z"),
        (json!({"relative": "end_of_month", "minus": "3 days"}), "2024-03-28 2024-03-28T23:59:59.999999Z"),
        (json!({"relative": "end_of_month", "plus": "1 quarter"}), "2024-06-30 2024-06-30T23:59:59.999999Z"),
        (json!({"relative": "start_of_quarter", "minus": "1 quarter"}), "2023-10-01 2023-10-01T00:00:00Z"),
        (json!({"relative": "start_of_quarter", "minus": "1 month"}), "2023-12-01 2023-12-01T00:00:00Z"),
        (json!({"relative": "start_of_year", "minus": "2 years"}), "2022-01-01 2022-01-01T00:00:00Z"),
        (json!({"relative": "end_of_year"}), "2024-12-31 2024-12-31T23:59:59.999999Z"),
        (json!({"relative": "start_of_week"}), "2024-03-25 2024-03-25T00:00:00Z"),
        (json!({"relative": "end_of_week", "minus": "1 week"}), "2024-03-24 2024-03-24T23:59:59.999999Z"),
        (json!({"relative": "today", "minus": "2 working days"}), "2024-03-27 2024-03-27T00:00:00Z"),
        (json!({"relative": "today", "plus": "1 working day"}), "2024-04-02 2024-04-02T00:00:00Z"),
        (json!({"relative": "last_months", "count": 3}), "2023-12 2024-01 2024-02"),
    ] {
        assert_eq!(resolve(&value, nominal, Tz::UTC), expected, "{value}");
    }
}

#[test]
fn days_begin_when_they_begin_in_the_zone() {
    let today = json!({"relative": "today"});
    assert_eq!(resolve(&today, "2024-07-01 07:30", New_York), "2024-07-01 2024-07-01T04:00:00Z");
    assert_eq!(resolve(&today, "2024-01-01 07:30", New_York), "2024-01-01 2024-01-01T05:00:00Z");
}

#[test]
fn a_day_without_midnight_begins_at_its_first_moment() {
    // Clocks in São Paulo were put from midnight to one o'clock.
    let today = json!({"relative": "today"});
    assert_eq!(resolve(&today, "2018-11-04 08:00", Tz::America__Sao_Paulo), "2018-11-04 2018-11-04T03:00:00Z");
}

#[test]
fn whatever_is_none_says_what_to_write() {
    assert_eq!(Relative::read(&json!("2024-01-01")), None);
    assert_eq!(Relative::read(&json!({"from": 1})), None);
    for (value, said) in [
        (json!({"relative": "begin_of_month"}), "did you mean `end_of_month`?"),
        (json!({"relative": "today", "minus": "1 fortnight"}), "write a number and"),
        (json!({"relative": "today", "minus": "-1 day"}), "write a number and"),
        (json!({"relative": "today", "minus": "99999 days"}), "write a number and"),
        (json!({"relative": "today", "minus": "1 day", "plus": "1 day"}), "not both"),
        (json!({"relative": "today", "less": "1 day"}), "unknown field `less`"),
        (json!({"relative": "today", "count": 3}), "only `last_months`"),
        (json!({"relative": "last_months"}), "`count` of 1 to 120"),
        (json!({"relative": "last_months", "count": 0}), "`count` of 1 to 120"),
        (json!({"relative": 1}), "invalid type"),
    ] {
        let fault = Relative::read(&value).unwrap().expect_err("a fault");
        assert!(fault.detail.contains(said), "{value}: {fault}");
    }
}
