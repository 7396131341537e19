//! Lengths of time as text.

const MICROS: i64 = 1_000_000;
/// Digits behind the point of a second.
const PLACES: usize = 6;

/// Reads a length of time into microseconds: `P1DT2H3M4.5S`, each part with a sign of its own, or `-838:59:59.5`. A day is 24 hours.
/// `None`: it is none, or one that depends on the calendar, as months do, or it is beyond 292,000 years.
#[must_use]
pub fn parse_duration(text: &str) -> Option<i64> {
    match text.strip_prefix('P') {
        Some(parts) => parse_parts(parts),
        None => parse_clock(text),
    }
}

/// Writes hours, minutes and seconds: `26:03:04`, `-0:00:00.5`.
pub fn write_duration(out: &mut Vec<u8>, micros: i64) {
    use std::io::Write as _;
    let (sign, length) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    let (seconds, fraction) = (length / MICROS.unsigned_abs(), length % MICROS.unsigned_abs());
    // Writing into memory cannot fail.
    let _ = write!(out, "{sign}{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction > 0 {
        let _ = write!(out, ".{fraction:06}");
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

fn parse_parts(text: &str) -> Option<i64> {
    let (days, clock) = text.split_once('T').unwrap_or((text, ""));
    if days.is_empty() && clock.is_empty() {
        return None;
    }
    let mut total = 0_i64;
    for (mut rest, of_clock) in [(days, false), (clock, true)] {
        while !rest.is_empty() {
            let (number, behind) = rest.split_at(rest.find(|char: char| char.is_ascii_alphabetic())?);
            let (unit, behind) = behind.split_at(1);
            let value = micros(number)?;
            let seconds = match (unit, of_clock) {
                ("W", false) => 7 * 86_400,
                ("D", false) => 86_400,
                ("H", true) => 3600,
                ("M", true) => 60,
                ("S", true) => 1,
                // How long that is depends on when it is.
                ("Y" | "M", false) if value == 0 => 0,
                _ => return None,
            };
            total = total.checked_add(value.checked_mul(seconds)?)?;
            rest = behind;
        }
    }
    Some(total)
}

fn parse_clock(text: &str) -> Option<i64> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let mut parts = text.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let two = |text: &str| text.len() == 2 && text < "60" && text.bytes().all(|byte| byte.is_ascii_digit());
    let whole = seconds.split_once('.').map_or(seconds, |(whole, _)| whole);
    if parts.next().is_some() || !two(minutes) || !two(whole) || !hours.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours = micros(hours)?.checked_mul(3600)?;
    let total = hours.checked_add(micros(minutes)? * 60)?.checked_add(micros(seconds)?)?;
    Some(if negative { -total } else { total })
}

/// Reads a decimal number into millionths.
fn micros(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > PLACES {
        return None;
    }
    let fraction: i64 = format!("{fraction:0<PLACES$}").parse().ok()?;
    let value = whole.parse::<i64>().ok()?.checked_mul(MICROS)?.checked_add(fraction)?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::{parse_duration, write_duration};

    #[test]
    fn lengths_of_time_are_read_and_written() {
        for (text, shown) in [
            ("PT0S", "0:00:00"),
            ("P1DT2H3M4.5S", "26:03:04.5"),
            ("P-1DT2H", "-22:00:00"),
            ("PT-0.5S", "-0:00:00.5"),
            ("P0Y0M2W", "336:00:00"),
            ("PT1000000H", "1000000:00:00"),
            ("-838:59:59", "-838:59:59"),
            ("-00:00:01", "-0:00:01"),
            ("24:00:00", "24:00:00"),
            ("12:00:00.000001", "12:00:00.000001"),
        ] {
            let mut out = Vec::new();
            write_duration(&mut out, parse_duration(text).expect(text));
            assert_eq!(String::from_utf8(out).expect("UTF-8"), shown, "{text}");
        }
    }

    #[test]
    fn what_has_no_length_is_none() {
        for text in [
            "",
            "P",
            "PT",
            "P1M",
            "P1Y2D",
            "PT1D",
            "P1H",
            "1:2:3",
            "12:30",
            "12:60:00",
            "12:00:60",
            "12:00:00+02",
            "infinity",
            "-infinity",
            "PT1.1234567S",
            "PTS",
            "P1",
            "5",
            "-1:00:00:00",
            "+1:00:00",
            "99999999999999:00:00",
            "P99999999999D",
            "PT1é",
            "é",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
