//! Text of a cell, in XML.

use std::borrow::Cow;
use std::io::Write as _;

use model::problem::{Problem, ProblemKind};

/// Most UTF-16 units in one cell.
pub(super) const MOST_UNITS: usize = 32_767;

/// Bytes that may have to be written otherwise.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 32 {
        special[byte] = true;
        byte += 1;
    }
    special[b'&' as usize] = true;
    special[b'<' as usize] = true;
    special[b'>' as usize] = true;
    // Could start what looks like an escape, `_x0041_`.
    special[b'_' as usize] = true;
    // Could start U+FFFE or U+FFFF, which XML cannot hold.
    special[0xEF] = true;
    special
};

/// Writes text as content of an element: what XML cannot hold as `_xHHHH_`, as spreadsheets do, and what looks like such an
/// escape with its underscore escaped.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if !SPECIAL[usize::from(byte)] {
            continue;
        }
        let rest = &bytes[at..];
        let (replacement, length): (&[u8], usize) = match byte {
            b'&' => (b"&amp;", 1),
            b'<' => (b"&lt;", 1),
            b'>' => (b"&gt;", 1),
            b'_' if is_escape(rest) => (b"_x005F_", 1),
            0xEF if rest.starts_with(&[0xEF, 0xBF, 0xBE]) => (b"_xFFFE_", 3),
            0xEF if rest.starts_with(&[0xEF, 0xBF, 0xBF]) => (b"_xFFFF_", 3),
            b'_' | 0xEF | b'\t' | b'\n' => continue,
            _ => {
                out.extend_from_slice(&bytes[written..at]);
                out.extend_from_slice(b"_x00");
                out.extend_from_slice(hex::encode_upper([byte]).as_bytes());
                out.push(b'_');
                written = at + 1;
                continue;
            }
        };
        out.extend_from_slice(&bytes[written..at]);
        out.extend_from_slice(replacement);
        written = at + length;
    }
    out.extend_from_slice(&bytes[written..]);
}

/// Writes a cell of a text that is ours or the definition's: what fits no cell is cut. Whatever comes from a row goes another way, which
/// refuses it: see [`check_length`].
pub(super) fn write_cell(part: &mut Vec<u8>, letters: &str, row: u32, look: usize, text: &str) {
    let text = cut(text, MOST_UNITS);
    let space = if has_outer_space(&text) { " xml:space=\"preserve\"" } else { "" };
    // Writing into memory cannot fail.
    let _ = write!(part, "<c r=\"{letters}{row}\" s=\"{look}\" t=\"inlineStr\"><is><t{space}>");
    write_text(part, &text);
    part.extend_from_slice(b"</t></is></c>");
}

/// Writes text as the value of an attribute in double quotes.
pub(super) fn write_attribute(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    write_text(out, text);
    if out[start..].iter().any(|byte| matches!(byte, b'"' | b'\t' | b'\n')) {
        let written = out.split_off(start);
        for byte in written {
            match byte {
                b'"' => out.extend_from_slice(b"&quot;"),
                b'\t' | b'\n' => out.push(b' '),
                other => out.push(other),
            }
        }
    }
}

/// Tells whether readers would trim the text unless told not to.
pub(super) fn has_outer_space(text: &str) -> bool {
    let space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t' | b'\n'));
    space(text.as_bytes().first()) || space(text.as_bytes().last()) || text.contains('\n')
}

/// Checks that a text fits a cell.
///
/// # Errors
/// Names column and row.
pub(super) fn check_length(text: &str, column: &str, row: u64) -> Result<(), Problem> {
    if text.len() <= MOST_UNITS {
        return Ok(());
    }
    // No further than that: a text may be of any length.
    if text.encode_utf16().nth(MOST_UNITS).is_none() {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::UnsupportedColumn,
        format!(
            "column `{column}` has a text of more than {MOST_UNITS} characters in row {row}, and no cell of a spreadsheet holds \
             that; cut it in the query, for example left({column}, {MOST_UNITS}), or take another format"
        ),
    ))
}

/// Returns as much of a text as has at most so many UTF-16 units, visibly cut where it had more.
pub(super) fn cut(text: &str, units: usize) -> Cow<'_, str> {
    if text.len() <= units || text.encode_utf16().nth(units).is_none() {
        return Cow::Borrowed(text);
    }
    let (start, _) = split_units(text, units - 1);
    Cow::Owned(format!("{start}…"))
}

/// Splits a text behind the last character with which it has at most so many UTF-16 units.
pub(super) fn split_units(text: &str, units: usize) -> (&str, &str) {
    let mut left = units;
    let end = text.char_indices().find(|(_, char)| match left.checked_sub(char.len_utf16()) {
        Some(rest) => {
            left = rest;
            false
        }
        None => true,
    });
    text.split_at(end.map_or(text.len(), |(at, _)| at))
}

/// Tells whether a text would be read as `_xHHHH_`.
fn is_escape(bytes: &[u8]) -> bool {
    bytes.len() >= 7 && bytes[1] == b'x' && bytes[6] == b'_' && bytes[2..6].iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::{check_length, cut, has_outer_space, split_units, write_attribute, write_text};

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_text(&mut out, text);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn what_xml_cannot_hold_is_escaped_as_spreadsheets_do() {
        assert_eq!(written("plain ä_b"), "plain ä_b");
        assert_eq!(written("a<b> & c"), "a&lt;b&gt; &amp; c");
        assert_eq!(written("\0\u{1f}\r\n\t"), "_x0000__x001F__x000D_\n\t");
        assert_eq!(written("_x0041_ _x41_ _X0041_"), "_x005F_x0041_ _x41_ _X0041_");
        assert_eq!(written("\u{fffe}\u{ffff}\u{fffd}"), "_xFFFE__xFFFF_\u{fffd}");
        let mut out = Vec::new();
        write_attribute(&mut out, "say \"<hi>\"\n");
        assert_eq!(out, b"say &quot;&lt;hi&gt;&quot; ");
        assert!(has_outer_space(" a") && has_outer_space("a\nb") && !has_outer_space("a b"));
    }

    #[test]
    fn what_is_cut_is_cut_between_characters_and_says_so() {
        assert_eq!(cut("abcd", 4), "abcd");
        assert_eq!(cut("abcde", 4), "abc…");
        assert_eq!(cut("€€€€", 4), "€€€€");
        assert_eq!(cut("a😀😀", 4), "a😀…");
        assert_eq!(cut("😀😀", 3), "😀…");
        assert_eq!(split_units("a😀b", 2), ("a", "😀b"));
        assert_eq!(split_units("ab", 2), ("ab", ""));
    }

    #[test]
    fn length_counts_as_spreadsheets_count() {
        assert!(check_length(&"a".repeat(32_767), "x", 1).is_ok());
        assert!(check_length(&"€".repeat(32_767), "x", 1).is_ok());
        let message = check_length(&"😀".repeat(16_384), "x", 7).expect_err("too long").detail;
        assert!(message.contains("`x`") && message.contains("32767") && message.contains("row 7"), "{message}");
    }
}
