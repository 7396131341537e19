//! Whether what a program found is what the server says.

use super::Told;
use super::every_type::Kind;

/// Compares a cell with the server's word. What a program keeps of a value is the whole of it, but for these: CSV and workbooks
/// know no difference between null and no text where the reader knows none, jq reads numbers as doubles, and LibreOffice
/// shows the digits that fit a cell.
pub(super) fn is_same(program: &str, kind: Kind, told: &Told, cell: Option<&(String, String)>) -> bool {
    let Some(expected) = told.text.as_deref() else {
        return match cell {
            None => true,
            Some((_, text)) => program == "python csv" && text.is_empty(),
        };
    };
    let Some((found, text)) = cell else {
        return expected.is_empty() && matches!(program, "openpyxl" | "libreoffice");
    };
    match found.as_str() {
        "text" => is_same_text(program, kind, expected, text),
        "bool" => kind == Kind::Bool && expected == text,
        "number" => is_same_number(program, kind, expected, text),
        "day" | "time" => is_same_time(kind, told, found == "day", text),
        "shown" => is_shown(kind, expected, text),
        other => unreachable!("{other} is no kind of cell"),
    }
}

fn is_same_text(program: &str, kind: Kind, expected: &str, found: &str) -> bool {
    match kind {
        Kind::Single | Kind::Double => same_float(kind, expected, found),
        Kind::Time | Kind::Instant => expected == found.replacen('T', " ", 1),
        Kind::Text | Kind::List => {
            let guarded = program.ends_with("csv") && expected.starts_with(['=', '+', '-', '@', '\t', '\r']);
            found == expected || guarded && found.strip_prefix('\'') == Some(expected)
        }
        Kind::Bool | Kind::Number | Kind::Day | Kind::Measure => expected == found,
    }
}

fn is_same_number(program: &str, kind: Kind, expected: &str, found: &str) -> bool {
    match kind {
        Kind::Single | Kind::Double => same_float(kind, expected, found),
        // Doubles, and what is beyond them is their greatest.
        Kind::Number if matches!(program, "jq" | "openpyxl") => {
            let [expected, found] = [expected, found].map(|text| text.parse::<f64>().unwrap());
            expected == found || expected.is_infinite() && found == f64::MAX.copysign(expected)
        }
        Kind::Number => expected == found,
        _ => false,
    }
}

fn is_same_time(kind: Kind, told: &Told, is_day: bool, found: &str) -> bool {
    let Some(expected) = told.number.as_deref().map(|text| text.parse::<i64>().unwrap()) else { return false };
    let found: i64 = found.parse().unwrap();
    match kind {
        Kind::Day if is_day => expected == found,
        Kind::Day => expected * 86_400_000_000 == found,
        Kind::Time | Kind::Instant => !is_day && expected == found,
        _ => false,
    }
}

/// What LibreOffice shows: texts and times as they are, numbers to the digits that fit.
fn is_shown(kind: Kind, expected: &str, shown: &str) -> bool {
    match kind {
        Kind::Text | Kind::Measure | Kind::List => expected.replace("\r\n", "\n") == shown.replace("\r\n", "\n"),
        Kind::Bool => expected.eq_ignore_ascii_case(shown),
        Kind::Number | Kind::Single | Kind::Double => {
            let shown = shown.replace(',', "");
            if expected == shown {
                return true;
            }
            let [expected, shown] = [expected, &shown].map(|text| text.replace("Infinity", "inf").parse::<f64>());
            let (Ok(expected), Ok(shown)) = (expected, shown) else { return false };
            expected.to_bits() == shown.to_bits() || (expected - shown).abs() <= expected.abs() * 1e-5
        }
        Kind::Day => expected == shown,
        Kind::Time | Kind::Instant => without_zeros(expected) == without_zeros(shown),
    }
}

/// Takes from the end of a time its zone, which LibreOffice leaves out of text files, and the zeros of its fraction.
fn without_zeros(time: &str) -> &str {
    let time = time.trim_end_matches('Z');
    if time.contains('.') { time.trim_end_matches('0') } else { time }
}

fn same_float(kind: Kind, expected: &str, found: &str) -> bool {
    let [expected, found] = [expected, found].map(|text| text.replace("Infinity", "inf"));
    if kind == Kind::Single {
        // Programs that know no single precision show the double that is nearest.
        let [expected, found] = [expected, found].map(|text| text.parse::<f32>().unwrap());
        return expected == found || expected.is_nan() && found.is_nan();
    }
    let [expected, found] = [expected, found].map(|text| text.parse::<f64>().unwrap());
    expected == found || expected.is_nan() && found.is_nan()
}

/// Takes out of a text what paper changes: spaces and line ends, and the commas between thousands.
pub(super) fn in_print(text: &str) -> String {
    text.chars().filter(|char| !char.is_whitespace() && *char != ',').collect()
}

/// Tells whether a number stands somewhere in a text, however it is written.
pub(super) fn has_number(text: &str, number: &str) -> bool {
    let Ok(number) = number.parse::<f64>() else { return false };
    text.split_whitespace().filter_map(|word| word.parse::<f64>().ok()).any(|found| found == number)
}
