//! Every change of clocks of every zone, by a second way of finding out when something fires: a walk through each minute, looking at what
//! the clock shows.

use std::collections::BTreeSet;
use std::sync::Mutex;

use chrono::{DateTime, Duration, NaiveDateTime, TimeZone as _, Timelike as _, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use schedule::When;

const FIRST_YEAR: i32 = 1970;
const LAST_YEAR: i32 = 2040;

fn shown(at: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}

/// Returns the moments at which a zone's clock is moved, found by looking at it every day, and between.
fn changes(zone: Tz) -> Vec<DateTime<Utc>> {
    let offset = |at: DateTime<Utc>| shown(at, zone) - at.naive_utc();
    let mut found = Vec::new();
    let mut at = Utc.with_ymd_and_hms(FIRST_YEAR, 1, 2, 0, 0, 0).unwrap();
    let mut here = offset(at);
    let end = Utc.with_ymd_and_hms(LAST_YEAR, 12, 30, 0, 0, 0).unwrap();
    while at < end {
        let next = at + Duration::days(1);
        let there = offset(next);
        if here != there {
            let (mut low, mut high) = (at, next);
            while high - low > Duration::seconds(1) {
                let middle = low + Duration::seconds((high - low).num_seconds() / 2);
                if offset(middle) == here { low = middle } else { high = middle }
            }
            found.push(high);
        }
        (at, here) = (next, there);
    }
    found
}

/// Walks through a window and returns each minute on the wall with the first moment at which the clock shows it or a later one.
fn walk(zone: Tz, (from, to): (DateTime<Utc>, DateTime<Utc>), step: Duration) -> Vec<(NaiveDateTime, DateTime<Utc>)> {
    let mut passed = Vec::new();
    let mut latest = shown(from, zone);
    let mut at = from;
    while at < to {
        at += step;
        let now = shown(at, zone);
        // All the minutes that the clock has passed since it last showed something new.
        let mut minute = latest.with_second(0).unwrap() + Duration::minutes(1);
        while minute <= now {
            passed.push((minute, at));
            minute += Duration::minutes(1);
        }
        latest = latest.max(now);
    }
    passed
}

/// What is written, and whether it fires at a time on the wall.
type Rule = (&'static str, fn(NaiveDateTime) -> bool);

const RULES: [Rule; 5] = [
    ("every 15 minutes", |time| time.minute() % 15 == 0),
    ("every day at 02:30", |time| (time.hour(), time.minute()) == (2, 30)),
    ("every day at 00:00 and 03:00", |time| matches!((time.hour(), time.minute()), (0 | 3, 0))),
    ("5 * * * *", |time| time.minute() == 5),
    ("every day at 01:59 and 23:45", |time| matches!((time.hour(), time.minute()), (1, 59) | (23, 45))),
];

/// Holds each rule against a walk through the hours around a change. Returns how often they fired.
fn hold_around(zone: Tz, change: DateTime<Utc>, rules: &[(When, Rule)]) -> usize {
    let (before, after) = (shown(change - Duration::seconds(1), zone), shown(change, zone));
    // Clocks that are not moved at a whole minute are walked second by second.
    let whole = [before.second() == 59, after.second() == 0, change.second() == 0] == [true; 3];
    let (hours, step) = if whole { (4, Duration::minutes(1)) } else { (1, Duration::seconds(1)) };
    let window = (change - Duration::hours(hours), change + Duration::hours(hours));
    let passed = walk(zone, window, step);
    let mut fired = 0;
    for (when, (text, is_time)) in rules {
        let expected: BTreeSet<_> = passed.iter().filter(|(minute, _)| is_time(*minute)).map(|(_, at)| *at).collect();
        let upcoming = when.upcoming(window.0, zone);
        let found: Vec<_> = upcoming.take_while(|found| found.at <= window.1).collect();
        let at: BTreeSet<_> = found.iter().map(|found| found.at).collect();
        assert_eq!(at, expected, "{text} in {zone} around {change}");
        assert_eq!(at.len(), found.len(), "{text} in {zone} around {change}: twice at one moment");
        let nominal: BTreeSet<_> = found.iter().map(|found| found.nominal).collect();
        assert_eq!(nominal.len(), found.len(), "{text} in {zone} around {change}: one time twice");
        fired += found.len();
    }
    fired
}

#[test]
fn every_change_of_clocks_of_every_zone_fires_what_a_walk_through_its_minutes_fires() {
    let rules = RULES.map(|rule| (rule.0.parse::<When>().unwrap(), rule));
    let walked = Mutex::new(BTreeSet::new());
    let hold = |zones: &[Tz]| {
        let (mut seen, mut fired) = (0_usize, 0_usize);
        for zone in zones.iter().copied() {
            for change in changes(zone) {
                seen += 1;
                // What two zones do at one moment is looked at once.
                let does = (change, shown(change - Duration::seconds(1), zone), shown(change, zone));
                if walked.lock().unwrap().insert(does) {
                    fired += hold_around(zone, change, &rules);
                }
            }
        }
        (seen, fired)
    };
    let (one, other) = TZ_VARIANTS.split_at(TZ_VARIANTS.len() / 2);
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| hold(one));
        (hold(other), one.join().unwrap())
    });
    let (seen, fired) = (one.0 + other.0, one.1 + other.1);
    let walked = walked.into_inner().unwrap().len();
    println!("{seen} changes of clocks of {} zones, {walked} of them different, {fired} times", TZ_VARIANTS.len());
    assert!(seen > 30_000 && walked > 6_000, "{seen} changes were found, {walked} of them different");
}

fn around(when: &str, zone: Tz, after: &str, count: usize) -> Vec<String> {
    let after: DateTime<Utc> = after.parse().unwrap();
    let when: When = when.parse().unwrap();
    let upcoming = when.upcoming(after, zone).take(count);
    upcoming
        .map(|found| format!("{} {}", found.nominal, found.at.with_timezone(&zone).format("%m-%dT%H:%M%:z")))
        .collect()
}

#[test]
fn a_time_in_the_gap_comes_right_after_it_and_one_that_comes_twice_comes_once() {
    let berlin = chrono_tz::Europe::Berlin;
    assert_eq!(
        around("every day at 02:30", berlin, "2024-03-30T12:00:00Z", 2),
        ["2024-03-31 02:30:00 03-31T03:00+02:00", "2024-04-01 02:30:00 04-01T02:30+02:00"]
    );
    assert_eq!(
        around("every day at 02:30", berlin, "2024-10-26T12:00:00Z", 2),
        ["2024-10-27 02:30:00 10-27T02:30+02:00", "2024-10-28 02:30:00 10-28T02:30+01:00"]
    );
    // Half past two and a quarter to three are skipped; three o'clock comes right after the gap, once.
    assert_eq!(
        around("every 15 minutes", berlin, "2024-03-31T00:40:00Z", 3),
        [
            "2024-03-31 01:45:00 03-31T01:45+01:00",
            "2024-03-31 03:00:00 03-31T03:00+02:00",
            "2024-03-31 03:15:00 03-31T03:15+02:00"
        ]
    );
}

#[test]
fn half_hours_missing_days_and_fasting_months_are_kept() {
    // Lord Howe moves its clocks by half an hour.
    assert_eq!(
        around("every day at 02:15", Tz::Australia__Lord_Howe, "2024-10-05T00:00:00Z", 1),
        ["2024-10-06 02:15:00 10-06T02:30+11:00"]
    );
    // Apia had no 30th of December in 2011: what was due then came when the 31st began.
    assert_eq!(
        around("every day at 09:00", Tz::Pacific__Apia, "2011-12-29T12:00:00-10:00", 2),
        ["2011-12-30 09:00:00 12-31T00:00+14:00", "2011-12-31 09:00:00 12-31T09:00+14:00"]
    );
    // Casablanca goes back for Ramadan, and forward after it.
    assert_eq!(
        around("every day at 02:30", Tz::Africa__Casablanca, "2024-03-09T12:00:00Z", 1),
        ["2024-03-10 02:30:00 03-10T02:30+01:00"]
    );
    assert_eq!(
        around("every day at 02:30", Tz::Africa__Casablanca, "2024-04-13T12:00:00Z", 1),
        ["2024-04-14 02:30:00 04-14T03:00+01:00"]
    );
}
