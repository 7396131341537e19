//! Dates and times as text: ISO 8601, years outside 0 to 9999 with a sign, and `infinity` and `-infinity`, which sources hand on
//! as the largest and the smallest number.

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Returns the word for a date (days, as `i32`) that has no day.
#[must_use]
#[inline]
pub fn infinite_date(days: i64) -> Option<&'static str> {
    const EARLIEST: i64 = i32::MIN as i64;
    const LATEST: i64 = i32::MAX as i64;
    match days {
        LATEST => Some("infinity"),
        EARLIEST => Some("-infinity"),
        _ => None,
    }
}

/// Returns the word for a timestamp (microseconds) that has no time.
#[must_use]
#[inline]
pub fn infinite_timestamp(micros: i64) -> Option<&'static str> {
    match micros {
        i64::MAX => Some("infinity"),
        i64::MIN => Some("-infinity"),
        _ => None,
    }
}

/// Writes `YYYY-MM-DD`. `days` count from 1970-01-01.
#[inline]
pub fn write_date(out: &mut Vec<u8>, days: i64) {
    if let Some(word) = infinite_date(days) {
        out.extend_from_slice(word.as_bytes());
        return;
    }
    let (year, month, day) = civil(days);
    let ([m0, m1], [d0, d1]) = (pair(month), pair(day));
    if (0..=9999).contains(&year) {
        let year = year.unsigned_abs();
        let ([c0, c1], [y0, y1]) = (pair(year / 100), pair(year % 100));
        out.extend_from_slice(&[c0, c1, y0, y1, b'-', m0, m1, b'-', d0, d1]);
    } else {
        out.push(if year < 0 { b'-' } else { b'+' });
        write_digits(out, year.unsigned_abs(), 6);
        out.extend_from_slice(&[b'-', m0, m1, b'-', d0, d1]);
    }
}

/// Writes date and time with `between` between them. `micros` count from 1970-01-01T00:00:00.
#[inline]
pub fn write_timestamp(out: &mut Vec<u8>, micros: i64, between: u8) {
    if let Some(word) = infinite_timestamp(micros) {
        out.extend_from_slice(word.as_bytes());
        return;
    }
    write_date(out, micros.div_euclid(MICROS_PER_DAY));
    out.push(between);
    write_time(out, micros.rem_euclid(MICROS_PER_DAY).unsigned_abs());
}

/// Writes a point in time, with its `Z`. `micros` count from 1970-01-01T00:00:00Z.
#[inline]
pub fn write_instant(out: &mut Vec<u8>, micros: i64) {
    write_timestamp(out, micros, b'T');
    if infinite_timestamp(micros).is_none() {
        out.push(b'Z');
    }
}

/// Writes `HH:MM:SS`, and six digits of fraction where there is one. `micros` count from midnight.
#[inline]
pub fn write_time(out: &mut Vec<u8>, micros: u64) {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let ([h0, h1], [m0, m1], [s0, s1]) = (pair(seconds / 3600), pair(seconds / 60 % 60), pair(seconds % 60));
    out.extend_from_slice(&[h0, h1, b':', m0, m1, b':', s0, s1]);
    if fraction > 0 {
        out.push(b'.');
        write_digits(out, fraction, 6);
    }
}

/// Returns the digits of a number below 100.
#[inline]
const fn pair(value: u64) -> [u8; 2] {
    [b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]
}

/// Writes at least `width` digits.
fn write_digits(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(value).as_bytes();
    out.extend(std::iter::repeat_n(b'0', width.saturating_sub(text.len())));
    out.extend_from_slice(text);
}

/// Turns days since 1970-01-01 into year, month and day of the proleptic Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year, and in eras of 400 years, which all have
/// the same number of days.
fn civil(days: i64) -> (i64, u64, u64) {
    const DAYS_PER_ERA: i64 = 146_097;
    let from_march_of_year_0 = days + 719_468;
    let era = from_march_of_year_0.div_euclid(DAYS_PER_ERA);
    let day_of_era = from_march_of_year_0.rem_euclid(DAYS_PER_ERA).unsigned_abs();
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + i64::try_from(year_of_era).unwrap_or(0) + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::{write_date, write_instant, write_timestamp};
    use chrono::{DateTime, Days, NaiveDate};

    #[test]
    fn every_day_of_twelve_thousand_years_is_written_as_chrono_writes_it() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a date");
        let mut day = NaiveDate::from_ymd_opt(-1000, 1, 1).expect("a date");
        let end = NaiveDate::from_ymd_opt(11000, 1, 1).expect("a date");
        let mut out = Vec::new();
        while day < end {
            out.clear();
            write_date(&mut out, (day - epoch).num_days());
            let written = std::str::from_utf8(&out).expect("ASCII");
            if day >= NaiveDate::from_ymd_opt(0, 1, 1).expect("a date")
                && day < NaiveDate::from_ymd_opt(10000, 1, 1).expect("a date")
            {
                assert_eq!(written, day.to_string());
            } else {
                let (sign, digits) = written.split_at(1);
                assert_eq!(
                    digits.trim_start_matches('0'),
                    day.to_string().trim_start_matches(['+', '-']).trim_start_matches('0')
                );
                assert_eq!(sign, if day.to_string().starts_with('-') { "-" } else { "+" });
            }
            day = day + Days::new(1);
        }
    }

    #[test]
    fn times_before_1970_count_from_midnight() {
        let mut out = Vec::new();
        write_timestamp(&mut out, -1, b'T');
        assert_eq!(out, b"1969-12-31T23:59:59.999999");
        let time = DateTime::parse_from_rfc3339("2024-02-29T12:34:56.000007Z").expect("a time");
        out.clear();
        write_timestamp(&mut out, time.timestamp_micros(), b' ');
        assert_eq!(out, b"2024-02-29 12:34:56.000007");
    }

    #[test]
    fn infinity_is_a_word_without_zone() {
        let mut out = Vec::new();
        write_date(&mut out, i64::from(i32::MAX));
        write_instant(&mut out, i64::MIN);
        write_instant(&mut out, 0);
        assert_eq!(out, b"infinity-infinity1970-01-01T00:00:00Z");
    }
}
