//! What a number of a spreadsheet, a double, can hold: numbers of up to 15 digits, dates from 1900-03-01, times.

use values::number::f64_text;

use crate::digits::{DecimalText, plain};
use crate::display_format::DisplayFormat;

const MICROS_PER_DAY: i64 = 86_400_000_000;
const MILLIS_PER_DAY: i64 = MICROS_PER_DAY / 1000;
/// The day 1970-01-01.
const EPOCH: i64 = 25_569;
/// 1900-03-01. Before it the calendar of spreadsheets has a day that never was.
const FIRST: i64 = 61;
/// 9999-12-31
const LAST: i64 = 2_958_465;
/// Digits that spreadsheets keep and show.
const MOST_DIGITS: usize = 15;
/// Digits before or behind the point that are surely in range.
const MOST_PLACES: usize = 300;

/// Tells whether a decimal number can stand as a number without losing a digit.
pub(super) fn is_exact(text: &str) -> bool {
    if text.len() <= MOST_DIGITS {
        // Whatever it is, it is short; what ends in no digit is `NaN` or `Infinity`.
        return text.as_bytes().last().is_some_and(u8::is_ascii_digit);
    }
    let Some(digits) = DecimalText::of(text).map(DecimalText::trimmed) else { return false };
    if digits.whole.len() > MOST_PLACES || digits.fraction.len() > MOST_PLACES {
        return false;
    }
    let zeros = |part: &[u8]| part.iter().take_while(|digit| **digit == b'0').count();
    let significant = match (digits.whole, digits.fraction) {
        (whole, []) => whole.len() - whole.iter().rev().take_while(|digit| **digit == b'0').count(),
        ([], fraction) => fraction.len() - zeros(fraction),
        (whole, fraction) => whole.len() + fraction.len(),
    };
    significant <= MOST_DIGITS
}

/// Tells whether a whole number can stand as a number without losing a digit.
pub(super) const fn is_exact_integer(value: i64) -> bool {
    value.unsigned_abs() < 1_000_000_000_000_000
}

/// Tells whether a float can stand as a number: neither infinite nor beyond what spreadsheets read.
pub(super) fn is_in_range(value: f64) -> bool {
    value == 0.0 || (2.3e-308..=9.99e307).contains(&value.abs())
}

/// Returns the number of a date. `days` count from 1970-01-01.
pub(super) fn serial_day(days: i32) -> Option<i64> {
    let serial = i64::from(days) + EPOCH;
    (FIRST..=LAST).contains(&serial).then_some(serial)
}

/// A time as a number of days.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SerialTime {
    pub(super) serial: f64,
    /// It does not end with a second: only a format with milliseconds shows it.
    pub(super) fraction: bool,
}

/// Returns the number of a time. Readers show milliseconds and round what is finer, over midnight too, so a finer time has no number;
/// or, if `coarse`, that of the millisecond it is in. `micros` count from 1970-01-01T00:00:00.
pub(super) fn serial_time(micros: i64, coarse: bool) -> Option<SerialTime> {
    let day = micros.div_euclid(MICROS_PER_DAY) + EPOCH;
    if !(FIRST..=LAST).contains(&day) {
        return None;
    }
    let within = micros.rem_euclid(MICROS_PER_DAY);
    if within % 1000 != 0 && !coarse {
        return None;
    }
    let within = within / 1000 * 1000;
    #[expect(clippy::cast_precision_loss, reason = "both are far below 2^53")]
    let serial = day as f64 + within as f64 / MICROS_PER_DAY as f64;
    Some(SerialTime { serial, fraction: within % 1_000_000 != 0 })
}

/// Returns the number of a length of time, to the millisecond. `None`: spreadsheets show no negative ones, and none beyond their calendar.
pub(super) fn serial_duration(micros: i64) -> Option<SerialTime> {
    let millis = micros / 1000;
    if micros < 0 || millis / MILLIS_PER_DAY > LAST {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let serial = millis as f64 / MILLIS_PER_DAY as f64;
    Some(SerialTime { serial, fraction: millis % 1000 != 0 })
}

/// Returns a number that readers show, in a format that rounds, as the exact one is shown: the nearest double where that is so. `None`:
/// more than 15 digits would be shown, or it is no number.
pub(super) fn shown_number(text: &str, show: &DisplayFormat) -> Option<String> {
    let decimals = show.places()?;
    let rounded = |text: &str| {
        let mut out = Vec::new();
        DisplayFormat::Number { decimals }.write_number(&mut out, text);
        out.retain(|byte| *byte != b',');
        String::from_utf8(out).unwrap_or_default()
    };
    let exact = plain(text);
    DecimalText::of(&exact)?;
    let shown = rounded(&exact);
    if !is_exact(&shown) {
        return None;
    }
    // Never a negative zero.
    let nearest = exact.parse::<f64>().ok()? + 0.0;
    // Readers go by 15 digits of it.
    if is_in_range(nearest) && rounded(&format!("{nearest:.*e}", MOST_DIGITS - 1)) == shown {
        return Some(f64_text(&mut zmij::Buffer::new(), nearest).to_owned());
    }
    // It is nearest to where rounding turns: the first digits are on the right side.
    let first = cut_digits(&exact);
    Some(if is_exact(&first) && rounded(&first) == shown { first } else { shown })
}

/// Keeps the first digits of a number that has more.
fn cut_digits(text: &str) -> String {
    let (mut kept, mut out) = (0, String::with_capacity(text.len()));
    for char in text.chars() {
        let counts = char.is_ascii_digit() && (kept > 0 || char != '0');
        kept += usize::from(counts);
        out.push(if counts && kept > MOST_DIGITS { '0' } else { char });
    }
    out
}

/// Tells whether the text of a number, in a column that has floats too, is one of those: whole numbers have neither point nor exponent.
pub(super) fn is_float(text: &str) -> bool {
    text.contains(['.', 'e']) && text.parse().is_ok_and(is_in_range)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{SerialTime, is_exact, is_exact_integer, serial_day, serial_time, shown_number};
    use crate::display_format::DisplayFormat;

    #[test]
    fn fifteen_digits_are_exact() {
        for text in [
            "0",
            "-12.50",
            "123456789012345",
            "0.00000000000000000012",
            "12300000000000000000000",
            "1234567890.12345000000",
        ] {
            assert!(is_exact(text), "{text}");
        }
        for text in ["NaN", "Infinity", "-Infinity", "1234567890123456", "0.1234567890123456", "1234567890.123456"] {
            assert!(!is_exact(text), "{text}");
        }
        assert!(is_exact_integer(-999_999_999_999_999) && !is_exact_integer(i64::MIN));
    }

    #[test]
    fn days_count_as_in_spreadsheets_from_march_1900() {
        assert_eq!(serial_day(-25_508), Some(61), "1900-03-01");
        assert_eq!(serial_day(-25_509), None, "1900-02-28");
        assert_eq!(serial_day(19_782), Some(45_351), "2024-02-29");
        assert_eq!(serial_day(2_932_896), Some(2_958_465), "9999-12-31");
        assert_eq!(serial_day(i32::MAX), None);
        let noon = SerialTime { serial: 25_569.5, fraction: false };
        assert_eq!(serial_time(43_200_000_000, false), Some(noon));
        assert_eq!(serial_time(i64::MIN, true), None);
    }

    #[test]
    fn a_time_is_a_number_where_readers_show_it_whole() {
        let second = 1_709_251_199_000_000; // 2024-02-29 23:59:59
        assert!(serial_time(second + 999_000, false).is_some_and(|time| time.fraction));
        assert_eq!(serial_time(second + 999_600, false), None, "it would be shown as the next day");
        assert_eq!(serial_time(second + 999_600, true), serial_time(second + 999_000, false));
        assert_eq!(serial_time(second + 1, false), None);
        assert_eq!(serial_time(second + 1, true), serial_time(second, false));
    }

    #[test]
    fn a_number_that_is_shown_rounded_is_the_nearest_that_shows_the_same() {
        let shown = |text, decimals| shown_number(text, &DisplayFormat::Number { decimals });
        for (text, decimals, expected) in [
            ("1.99999999999999999333", 2, Some("2")),
            ("4.2857142857142857", 2, Some("4.285714285714286")),
            ("0.30000000000000004", 1, Some("0.30000000000000004")),
            ("1.99499999999999999333", 2, Some("1.99499999999999000000")),
            ("-0.00000000000000000001", 2, Some("-1e-20")),
            ("-0.0000", 2, Some("0")),
            ("1e+290", 2, Some("1e+290")),
            ("12345678901234567.89", 2, None),
            ("1234567890123456789", 0, None),
            ("1000000000000000000000", 0, Some("1e+21")),
            ("NaN", 2, None),
            ("-Infinity", 2, None),
        ] {
            assert_eq!(shown(text, decimals).as_deref(), expected, "{text}");
        }
        let percent = DisplayFormat::Percent { decimals: 1 };
        assert_eq!(shown_number("0.33333333333333333333", &percent).as_deref(), Some("0.3333333333333333"));
    }

    proptest! {
        #[test]
        fn what_a_reader_shows_is_what_print_shows(text in "-?[0-9]{1,12}\\.[0-9]{1,25}|-?[0-9]{0,8}\\.[0-9]{0,3}4999999[0-9]{8,12}", decimals in 0_u8..6) {
            let show = DisplayFormat::Number { decimals };
            let print = |text: &str| {
                let mut out = Vec::new();
                show.write_number(&mut out, text);
                String::from_utf8(out).expect("UTF-8")
            };
            if let Some(number) = shown_number(&text, &show) {
                // What spreadsheets do: 15 digits of the double, and then rounded.
                let read: f64 = number.parse().expect("a number");
                prop_assert_eq!(print(&format!("{read:.14e}")), print(&text), "{} is {}", text, number);
            } else {
                prop_assert!(print(&text).bytes().filter(u8::is_ascii_digit).count() > 15, "{}", text);
            }
        }
    }
}
