//! Formats of values for people: groups of thousands, rounding, units, dates without their time.

use arrow_schema::{DataType, Field};
use report::ColumnFormat;
use values::duration::{parse_duration, write_duration};
use values::number::write_decimal;
use values::time::{infinite_timestamp, write_date, write_timestamp};
use values::{declared_digits, is_json, is_numeric};

use super::digits::{DecimalText, plain};

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Most decimals of a mean for which nobody asked for a format.
const MEAN_DECIMALS: u8 = 6;

/// A format that fits the column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DisplayFormat {
    /// Each value as it is.
    Plain,
    /// As it is, and never taken for a number or a time.
    Text,
    /// `1,234.50`
    Number { decimals: u8 },
    /// `12.5%`
    Percent { decimals: u8 },
    /// `€1,234.50` (before) or `1,234.50 EUR`
    Currency { unit: String, before: bool, decimals: u8 },
    /// `2024-02-29`
    Date,
    /// `2024-02-29 12:34:56`, points in time with a `Z`
    Datetime,
    /// `26:03:04` of a length of time, or of a number of seconds.
    Duration,
    /// Text; an address of the web can be followed.
    Link,
}

/// What may be shown alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueType {
    Number,
    Day,
    Time,
    Text,
    Other,
}

impl ValueType {
    pub(super) fn of(field: &Field) -> Self {
        match field.data_type() {
            DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Float32 | DataType::Float64 => Self::Number,
            DataType::Utf8 | DataType::Decimal64(..) if is_numeric(field) => Self::Number,
            DataType::Date32 => Self::Day,
            DataType::Timestamp(..) => Self::Time,
            DataType::Utf8 if !is_json(field) => Self::Text,
            _ => Self::Other,
        }
    }
}

impl DisplayFormat {
    pub(super) fn of(wanted: Option<&ColumnFormat>, field: &Field) -> Self {
        let kind = ValueType::of(field);
        match (wanted, kind) {
            (Some(ColumnFormat::Text), _) => Self::Text,
            (Some(ColumnFormat::Number { decimals }), ValueType::Number) => Self::Number { decimals: *decimals },
            (Some(ColumnFormat::Percent { decimals }), ValueType::Number) => Self::Percent { decimals: *decimals },
            (Some(ColumnFormat::Currency { unit, decimals }), ValueType::Number) => {
                let before = !unit.chars().all(char::is_alphabetic);
                Self::Currency { unit: unit.clone(), before, decimals: *decimals }
            }
            (Some(ColumnFormat::Date), ValueType::Time) => Self::Date,
            (Some(ColumnFormat::Datetime), ValueType::Day) => Self::Datetime,
            (Some(ColumnFormat::Duration), ValueType::Number | ValueType::Text) => Self::Duration,
            (Some(ColumnFormat::Link), ValueType::Text) => Self::Link,
            (_, ValueType::Day | ValueType::Time) => Self::of_time(kind),
            (_, ValueType::Number) => match declared_digits(field) {
                Some((_, scale @ 1..=15)) => Self::Number { decimals: u8::try_from(scale).unwrap_or(0) },
                _ => Self::Plain,
            },
            (_, ValueType::Text | ValueType::Other) => Self::Plain,
        }
    }

    fn of_time(kind: ValueType) -> Self {
        if kind == ValueType::Day { Self::Date } else { Self::Datetime }
    }

    /// Returns the place behind the point that a number is rounded to when it is shown. `None`: it is shown whole.
    pub(super) fn places(&self) -> Option<u8> {
        match self {
            Self::Number { decimals } | Self::Currency { decimals, .. } => Some(*decimals),
            Self::Percent { decimals } => Some(*decimals + 2),
            Self::Plain | Self::Text | Self::Date | Self::Datetime | Self::Duration | Self::Link => None,
        }
    }

    /// Writes a text, which may be a length of time.
    pub(super) fn write_text(&self, out: &mut Vec<u8>, text: &str) {
        match parse_duration(text).filter(|_| *self == Self::Duration) {
            Some(micros) => write_duration(out, micros),
            None => out.extend_from_slice(text.as_bytes()),
        }
    }

    /// Writes a number given as text. Rounds halves away from zero, as the databases do.
    pub(super) fn write_number(&self, out: &mut Vec<u8>, text: &str) {
        let (decimals, shift, before, behind) = match self {
            Self::Number { decimals } => (*decimals, 0, "", ""),
            Self::Percent { decimals } => (*decimals, 2, "", "%"),
            Self::Currency { unit, before: true, decimals } => (*decimals, 0, unit.as_str(), ""),
            Self::Currency { unit, before: false, decimals } => {
                if write_rounded(out, text, usize::from(*decimals), 0, "") {
                    out.push(b' ');
                    out.extend_from_slice(unit.as_bytes());
                }
                return;
            }
            Self::Duration => {
                return match seconds_to_micros(text) {
                    Some(micros) => write_duration(out, micros),
                    None => out.extend_from_slice(text.as_bytes()),
                };
            }
            Self::Plain | Self::Text | Self::Date | Self::Datetime | Self::Link => {
                out.extend_from_slice(text.as_bytes());
                return;
            }
        };
        if write_rounded(out, text, usize::from(decimals), shift, before) {
            out.extend_from_slice(behind.as_bytes());
        }
    }

    /// Writes a decimal number of a known scale. Most are shown with the digits they have: those need no rounding.
    pub(super) fn write_decimal(&self, out: &mut Vec<u8>, value: i64, scale: usize) {
        match self {
            Self::Number { decimals } if usize::from(*decimals) == scale => write_grouped(out, value, scale),
            _ => {
                let mut text = Vec::with_capacity(24);
                write_decimal(&mut text, value, scale);
                self.write_number(out, std::str::from_utf8(&text).unwrap_or_default());
            }
        }
    }

    pub(super) fn write_day(&self, out: &mut Vec<u8>, days: i32) {
        write_date(out, i64::from(days));
        if *self == Self::Datetime && !matches!(days, i32::MIN | i32::MAX) {
            out.extend_from_slice(b" 00:00:00");
        }
    }

    pub(super) fn write_time(&self, out: &mut Vec<u8>, micros: i64, zoned: bool) {
        match self {
            Self::Date if infinite_timestamp(micros).is_none() => write_date(out, micros.div_euclid(MICROS_PER_DAY)),
            _ => {
                write_timestamp(out, micros, b' ');
                if zoned && infinite_timestamp(micros).is_none() {
                    out.push(b'Z');
                }
            }
        }
    }
}

/// Turns a number of seconds into microseconds. `None`: it is no number, or beyond 292,000 years.
pub(super) fn seconds_to_micros(text: &str) -> Option<i64> {
    let mut out = Vec::new();
    if !write_rounded(&mut out, text, 6, 0, "") {
        return None;
    }
    out.retain(|byte| !matches!(byte, b',' | b'.'));
    std::str::from_utf8(&out).ok()?.parse().ok()
}

/// Writes a mean that has no format, without the digits nobody reads.
pub(super) fn write_short(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    write_rounded(out, text, usize::from(MEAN_DECIMALS), 0, "");
    // No groups where the values of the column have none.
    let written = out.split_off(start);
    let kept: Vec<u8> = written.into_iter().filter(|byte| *byte != b',').collect();
    let kept = if kept.contains(&b'.') {
        let trimmed = kept.len() - kept.iter().rev().take_while(|byte| **byte == b'0').count();
        kept.get(..trimmed).unwrap_or_default().strip_suffix(b".").unwrap_or(&kept[..trimmed])
    } else {
        &kept
    };
    out.extend_from_slice(kept);
}

/// Writes a number with groups of thousands before the point and `scale` digits behind it.
fn write_grouped(out: &mut Vec<u8>, value: i64, scale: usize) {
    let start = out.len();
    write_decimal(out, value, scale);
    let first = start + usize::from(value < 0);
    let behind = if scale == 0 { 0 } else { scale + 1 };
    let mut at = out.len() - behind;
    while at > first + 3 {
        at -= 3;
        out.insert(at, b',');
    }
}

/// Writes a number with `unit` before it, groups of thousands, `decimals` digits behind the point and the point moved `shift`
/// digits to the right. Returns false, and writes the text as it is, when it is no number.
fn write_rounded(out: &mut Vec<u8>, text: &str, decimals: usize, shift: usize, unit: &str) -> bool {
    let plain = plain(text);
    let Some(parts) = DecimalText::of(&plain) else {
        out.extend_from_slice(text.as_bytes());
        return false;
    };
    // One zero in front takes the carry of 9.99.
    let mut digits = Vec::with_capacity(parts.whole.len() + parts.fraction.len() + shift + decimals + 1);
    digits.push(b'0');
    digits.extend_from_slice(parts.whole);
    digits.extend_from_slice(parts.fraction);
    let point = 1 + parts.whole.len() + shift;
    let length = point + decimals;
    let up = digits.get(length).is_some_and(|digit| *digit >= b'5');
    digits.resize(length, b'0');
    if up {
        for digit in digits.iter_mut().rev() {
            if *digit == b'9' {
                *digit = b'0';
            } else {
                *digit += 1;
                break;
            }
        }
    }
    if parts.negative && digits.iter().any(|digit| *digit != b'0') {
        out.push(b'-');
    }
    out.extend_from_slice(unit.as_bytes());
    let (whole, fraction) = digits.split_at(point);
    let zeros = whole.iter().take_while(|digit| **digit == b'0').count().min(point - 1);
    model::locale::group_digits(&whole[zeros..], ",", out);
    if decimals > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{DisplayFormat, write_short};

    fn shown(show: &DisplayFormat, text: &str) -> String {
        let mut out = Vec::new();
        show.write_number(&mut out, text);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn numbers_are_grouped_and_rounded_without_losing_a_digit() {
        let cents = DisplayFormat::Number { decimals: 2 };
        for (text, expected) in [
            ("0", "0.00"),
            ("1234.5", "1,234.50"),
            ("-1234567.895", "-1,234,567.90"),
            ("999.995", "1,000.00"),
            ("-0.001", "0.00"),
            ("12345678901234567890123.454999", "12,345,678,901,234,567,890,123.45"),
            ("1e+6", "1,000,000.00"),
            ("2.5e-3", "0.00"),
            ("NaN", "NaN"),
            ("-Infinity", "-Infinity"),
        ] {
            assert_eq!(shown(&cents, text), expected, "{text}");
        }
        assert_eq!(shown(&DisplayFormat::Number { decimals: 0 }, "99.5"), "100");
    }

    #[test]
    fn decimals_are_shown_as_their_text_is() {
        for (value, scale) in
            [(0, 2), (-5, 2), (123_456, 2), (-100_000, 2), (999_999, 0), (1_000_000, 0), (i64::MIN, 3)]
        {
            let mut text = Vec::new();
            super::write_decimal(&mut text, value, scale);
            let text = String::from_utf8(text).expect("UTF-8");
            for decimals in [0, 2, 3] {
                let (show, mut out) = (DisplayFormat::Number { decimals }, Vec::new());
                show.write_decimal(&mut out, value, scale);
                assert_eq!(String::from_utf8(out).expect("UTF-8"), shown(&show, &text), "{text} to {decimals}");
            }
        }
    }

    #[test]
    fn percents_and_amounts_carry_their_signs() {
        assert_eq!(shown(&DisplayFormat::Percent { decimals: 1 }, "0.125"), "12.5%");
        assert_eq!(shown(&DisplayFormat::Percent { decimals: 0 }, "12"), "1,200%");
        let before = DisplayFormat::Currency { unit: "€".to_owned(), before: true, decimals: 2 };
        let behind = DisplayFormat::Currency { unit: "EUR".to_owned(), before: false, decimals: 2 };
        assert_eq!(shown(&before, "-1234.5"), "-€1,234.50");
        assert_eq!(shown(&behind, "-1234.5"), "-1,234.50 EUR");
        assert_eq!(shown(&behind, "NaN"), "NaN");
    }

    #[test]
    fn a_mean_without_format_is_short() {
        let short = |text| {
            let mut out = Vec::new();
            write_short(&mut out, text);
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(short("1234.333333333333333333"), "1234.333333");
        assert_eq!(short("1234.5"), "1234.5");
        assert_eq!(short("1000"), "1000");
    }
}
