//! Days and times in text are compared as points in time, whatever their notation: SQLite has no type for them, programs write
//! them in several ways, and compared as text `2024-01-31 10:00:00` comes before `2024-01-31T09:00:00Z`.

use std::cmp::Ordering;

use chrono::{DateTime, NaiveDate};

/// Name of the collation that placeholders of days and times have.
pub(super) const COLLATION: &str = "waitless_time";

/// Compares two texts: times as points in time, and what is no time as text, with times in SQLite's own notation.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    match (Moment::read(left), Moment::read(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(left), None) => left.text().as_str().cmp(right),
        (None, Some(right)) => left.cmp(right.text().as_str()),
        (None, None) => left.cmp(right),
    }
}

/// Writes a canonical point in time (RFC 3339 in UTC) as SQLite does.
pub(super) fn native(canonical: &str) -> String {
    canonical.strip_suffix('Z').unwrap_or(canonical).replacen('T', " ", 1)
}

/// A point in time in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    seconds: i64,
    nanos: u32,
}

impl Moment {
    /// Reads `YYYY-MM-DD`, alone or with a time behind a blank or a `T`: `HH:MM`, `HH:MM:SS`, a fraction, and an offset (`Z`, `UTC`,
    /// `+HH`, `+HHMM`, `+HH:MM`). Without an offset it is UTC, and without a time midnight, as in SQLite's own functions.
    fn read(text: &str) -> Option<Self> {
        let (day, rest) = text.as_bytes().split_at_checked(10)?;
        let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *day else { return None };
        let year = number([y0, y1])? * 100 + number([y2, y3])?;
        let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, number([m0, m1])?, number([d0, d1])?)?;
        let midnight = date.signed_duration_since(NaiveDate::default()).num_days() * 86_400;
        let Some((b' ' | b'T' | b't', rest)) = rest.split_first() else {
            return rest.is_empty().then_some(Self { seconds: midnight, nanos: 0 });
        };
        let (hours_minutes, rest) = rest.split_first_chunk::<5>()?;
        let [h0, h1, b':', n0, n1] = *hours_minutes else { return None };
        let (hours, minutes) = (number([h0, h1])?, number([n0, n1])?);
        let (seconds, nanos, rest) = match rest {
            [b':', s0, s1, b'.', fraction @ ..] => {
                let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let (fraction, rest) = fraction.split_at_checked(digits).filter(|_| digits > 0)?;
                (number([*s0, *s1])?, nanos(fraction), rest)
            }
            [b':', s0, s1, rest @ ..] => (number([*s0, *s1])?, 0, rest),
            rest => (0, 0, rest),
        };
        if hours > 23 || minutes > 59 || seconds > 59 {
            return None;
        }
        let clock = i64::from(hours * 3600 + minutes * 60 + seconds);
        Some(Self { seconds: midnight + clock - offset(rest)?, nanos })
    }

    /// Reads what [`Moment::read`] does.
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        Self::read(std::str::from_utf8(text).ok()?)
    }

    /// Returns the day since 1970-01-01, of a midnight.
    pub(super) fn day(self) -> Option<i32> {
        (self.seconds % 86_400 == 0 && self.nanos == 0).then(|| i32::try_from(self.seconds / 86_400).ok())?
    }

    /// Returns the microsecond since 1970-01-01T00:00:00. `None`: it is not one, but between two.
    pub(super) fn micros(self) -> Option<i64> {
        self.nanos.is_multiple_of(1000).then(|| self.seconds * 1_000_000 + i64::from(self.nanos / 1000))
    }

    /// Writes it as SQLite does, without zeros at the end of the fraction.
    fn text(self) -> String {
        let time = DateTime::from_timestamp(self.seconds, self.nanos).unwrap_or_default();
        let text = time.format("%Y-%m-%d %H:%M:%S%.9f").to_string();
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// Tells whether a zone stands behind a time.
pub(super) fn has_offset(text: &[u8]) -> bool {
    let behind_minutes = text.get(16..).unwrap_or_default();
    behind_minutes.iter().any(|byte| matches!(byte, b'Z' | b'z' | b'U' | b'+' | b'-'))
}

/// Reads two digits.
fn number([high, low]: [u8; 2]) -> Option<u32> {
    (high.is_ascii_digit() && low.is_ascii_digit()).then(|| u32::from(high - b'0') * 10 + u32::from(low - b'0'))
}

/// Reads digits behind the point; what is behind the ninth makes no difference.
fn nanos(digits: &[u8]) -> u32 {
    let digits = digits.iter().map(|digit| u32::from(digit - b'0')).chain(std::iter::repeat(0));
    digits.take(9).fold(0, |nanos, digit| nanos * 10 + digit)
}

/// Reads what is behind the time, as seconds east of Greenwich.
fn offset(rest: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match rest.trim_ascii_start() {
        [] if rest.is_empty() => return Some(0),
        b"Z" | b"z" | b"UTC" => return Some(0),
        [sign, h0, h1] => (sign, [*h0, *h1], [b'0', b'0']),
        [sign, h0, h1, m0, m1] | [sign, h0, h1, b':', m0, m1] => (sign, [*h0, *h1], [*m0, *m1]),
        _ => return None,
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let seconds = i64::from(hours * 3600 + minutes * 60);
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_moment_is_the_same_in_every_notation() {
        for (left, right) in [
            ("2024-01-31 09:00:00", "2024-01-31T09:00:00Z"),
            ("2024-01-31 09:00", "2024-01-31T09:00:00.000"),
            ("2024-01-31 09:00:00.5", "2024-01-31 09:00:00.500000"),
            ("2024-01-31", "2024-01-31 00:00:00"),
            ("2024-01-31T00:00:00.000Z", "2024-01-31"),
            ("2024-01-31 10:00:00+01:00", "2024-01-31T04:30:00-0430"),
            ("2024-01-31 09:00:00 UTC", "2024-01-31 09:00:00+00"),
            ("2023-12-31T23:30:00-02", "2024-01-01 01:30:00"),
        ] {
            assert_eq!(compare(left, right), Ordering::Equal, "{left} {right}");
        }
    }

    #[test]
    fn what_is_later_is_greater_in_every_notation() {
        let rising = [
            "2024-01-31",
            "2024-01-31T00:00:00.000001Z",
            "2024-01-31 08:59:59.999",
            "2024-01-31T10:00:00+01:00",
            "2024-01-31 09:00:00.0000001",
            "2024-01-31 23:00:00",
            "2024-02-01T00:00:00",
        ];
        for pair in rising.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
    }

    #[test]
    fn what_is_no_time_is_text() {
        for text in [
            "",
            "2024-1-5",
            "2024-02-30",
            "20240131",
            "2024-01-31 24:00",
            "2024-01-31 09",
            "2024-01-31 09:00:00.",
            "2024-01-31 09:00 ",
            "2024-01-31x",
            "2024-01-31 09:00:00*01",
            "größe und mehr",
        ] {
            assert_eq!(Moment::read(text), None, "{text}");
        }
        assert_eq!(compare("unknown", "2024-01-31"), Ordering::Greater);
        assert_eq!(compare("", "2024-01-31"), Ordering::Less);
        assert_eq!(compare("a", "b"), Ordering::Less);
    }

    #[test]
    fn texts_of_every_kind_have_one_order() {
        let texts =
            ["2024-01-31T23:00:00", "2024-01-31 23:30:00", "2024-01-31A", "2024-01-31", "2024-01-31 23:00:00.25Z", "z"];
        for a in texts {
            for b in texts {
                assert_eq!(compare(a, b), compare(b, a).reverse(), "{a} {b}");
                for c in texts {
                    if compare(a, b) != Ordering::Greater && compare(b, c) != Ordering::Greater {
                        assert_ne!(compare(a, c), Ordering::Greater, "{a} {b} {c}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_parameter_is_written_as_sqlite_writes_times() {
        assert_eq!(native("2024-01-31T09:00:00Z"), "2024-01-31 09:00:00");
        assert_eq!(native("2024-01-31T09:00:00.000007Z"), "2024-01-31 09:00:00.000007");
    }
}
