//! Numbers, sizes, times and texts as people read them.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// Returns the text as one line of at most `longest` characters. Control characters, and the marks that turn the direction of
/// writing around, become spaces: neither a header nor the eye can be led astray by them.
pub(super) fn line(text: &str, longest: usize) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let clean: String = text.chars().map(|c| if c.is_control() || turns(c) { ' ' } else { c }).collect();
    let words = clean.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if words.chars().count() <= longest {
        return words;
    }
    words.chars().take(longest.saturating_sub(1)).chain(['…']).collect()
}

/// Returns `1234567` as `1,234,567`.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Returns a size with three digits at least where they matter: `512 bytes`, `12.3 MB`, `1.05 GB`. Units are of 1000, as in file
/// managers.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn bytes(value: u64) -> String {
    if value == 1 {
        return "1 byte".to_owned();
    }
    if value < 1000 {
        return format!("{value} bytes");
    }
    let mut size = value as f64;
    let mut unit = "";
    for next in ["kB", "MB", "GB", "TB"] {
        // 999,950 would be written 1000.0 kB.
        if size < 999.5 {
            break;
        }
        size /= 1000.0;
        unit = next;
    }
    match size {
        size if size < 9.995 => format!("{size:.2} {unit}"),
        size if size < 99.95 => format!("{size:.1} {unit}"),
        size => format!("{size:.0} {unit}"),
    }
}

/// Returns `0.4 s`, `45 s`, `2 min 5 s` or `3 h 20 min`.
pub(super) fn duration(value: Duration) -> String {
    let seconds = value.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", value.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Returns `22 November 2026, 16:10 UTC`. The reader's own zone is not known here, so it is named.
pub(super) fn time(value: DateTime<Utc>) -> String {
    value.format("%-d %B %Y, %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit_people_know() {
        let said: Vec<_> = [0, 1, 999, 1000, 12_340, 999_949, 999_950, 12_300_000, 1_050_000_000, 20_000_000_000_000]
            .map(bytes)
            .into();
        assert_eq!(
            said,
            [
                "0 bytes",
                "1 byte",
                "999 bytes",
                "1.00 kB",
                "12.3 kB",
                "1.00 MB",
                "1.00 MB",
                "12.3 MB",
                "1.05 GB",
                "20.0 TB"
            ]
        );
    }

    #[test]
    fn numbers_and_durations_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [400, 9_940, 45_000, 125_000, 12_000_000].map(|ms| duration(Duration::from_millis(ms))),
            ["0.4 s", "9.9 s", "45 s", "2 min 5 s", "3 h 20 min"]
        );
    }

    #[test]
    fn a_text_becomes_one_short_line() {
        assert_eq!(line("a\r\nBcc: b\u{202e}c", 50), "a Bcc: b c");
        assert_eq!(line("abcdef", 4), "abc…");
    }
}
