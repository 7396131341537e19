//! The query of a catalogue file is read, and its faults are given their place in the file.

use std::ops::Range;

use super::query::{FaultPlace, QueryReading, read_query};
use super::table_reader::{FileValue, TableReader};
use super::{Dialect, ParamSpec};

/// Tells whether the query reads the principal. One that is good for one kind of database may be for it; if it is good for none,
/// the kind that understands most of it says what is wrong.
pub(super) fn parse_query(
    file: &mut TableReader<'_>,
    params: &[(Range<usize>, ParamSpec)],
    dialects: &[Dialect],
    text: &str,
) -> bool {
    let Some((value, sql)) = file.value("sql").and_then(|value| Some((value, value.get_ref().as_str()?))) else {
        return false;
    };
    let specs =
        file.is_sure(&["params", "attributes"]).then(|| params.iter().map(|(_, spec)| spec).collect::<Vec<_>>());
    let readings = dialects.iter().map(|dialect| read_query(sql, specs.as_deref(), *dialect));
    let (good, bad): (Vec<_>, Vec<_>) = readings.partition(|reading: &QueryReading| reading.faults.is_empty());
    let worst = |reading: &QueryReading| (!reading.is_whole, reading.faults.len());
    if let Some(reading) = bad.into_iter().min_by_key(worst).filter(|_| good.is_empty()) {
        for fault in reading.faults {
            let place = place_of(&fault.place, value, params, text);
            file.faults.add(place, fault.message);
        }
    }
    good.iter().any(|reading| reading.query.placeholders().iter().any(|name| name == "principal"))
}

/// Finds what a fault of the query is about.
fn place_of(place: &FaultPlace, sql: &FileValue<'_>, params: &[(Range<usize>, ParamSpec)], text: &str) -> Range<usize> {
    let span = sql.span();
    match place {
        FaultPlace::Query => span,
        FaultPlace::Byte(at) => {
            let start = span.start + place_in_literal(text.get(span.clone()).unwrap_or_default(), *at);
            start..span.end
        }
        FaultPlace::Param(index) => params.get(*index).map_or(span, |(place, _)| place.clone()),
    }
}

/// Finds where in a text as the file has it, with its quotes, byte `at` of what it says stands.
fn place_in_literal(raw: &str, at: usize) -> usize {
    let (quote, escapes) = if raw.starts_with('"') { ("\"\"\"", true) } else { ("'''", false) };
    let opened = raw.strip_prefix(quote);
    // A line break right after the opening quotes is not part of the text.
    let inner = opened.map(|inner| inner.strip_prefix("\r\n").or(inner.strip_prefix('\n')).unwrap_or(inner));
    let mut rest = inner.unwrap_or_else(|| raw.get(1..).unwrap_or_default());
    let mut said = 0;
    loop {
        let (written, says) = if escapes { unit(rest) } else { plain(rest) };
        if written == 0 || said + says > at {
            return raw.len() - rest.len();
        }
        said += says;
        rest = rest.get(written..).unwrap_or_default();
    }
}

/// Returns how many bytes the first character takes in the file, and how many in what the text says.
fn plain(rest: &str) -> (usize, usize) {
    let length = rest.chars().next().map_or(0, char::len_utf8);
    (length, length)
}

/// As [`plain`], where a backslash escapes.
fn unit(rest: &str) -> (usize, usize) {
    let Some(escaped) = rest.strip_prefix('\\') else { return plain(rest) };
    let digits = match escaped.bytes().next() {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(b' ' | b'\t' | b'\r' | b'\n') => return (1 + escaped.len() - escaped.trim_ascii_start().len(), 0),
        _ => return (2, 1),
    };
    let code = escaped.get(1..1 + digits).and_then(|code| u32::from_str_radix(code, 16).ok());
    (2 + digits, code.and_then(char::from_u32).map_or(0, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_query_is_found_however_the_file_writes_it() {
        for raw in [
            "'select !'",
            "\"select !\"",
            "\"se\\u006Cect\\x20!\"",
            "'''\nselect !'''",
            "\"\"\"\r\nsel\\\n   ect !\"\"\"",
            "\"\"\"select !\"\"\"",
        ] {
            assert_eq!(place_in_literal(raw, "select ".len()), raw.find('!').unwrap(), "{raw}");
        }
        let umlaut = "\"\\u00fc\\t\\\"!\"";
        assert_eq!(place_in_literal(umlaut, "ü\t\"".len()), umlaut.find('!').unwrap());
        assert_eq!(place_in_literal("'a'", 99), 3, "what is beyond the end is at the end");
    }
}
