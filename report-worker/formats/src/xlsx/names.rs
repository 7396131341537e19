//! Names within a workbook: of sheets, columns and ranges.

/// Most characters of a sheet's name.
const MOST: usize = 31;

/// Makes the name of sheet `number` (from 1) of the rows, from the report's title.
pub(super) fn sheet_name(title: &str, number: usize) -> String {
    let clean: String = title.chars().map(|char| if is_good(char) { char } else { ' ' }).collect();
    let words = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    let suffix = if number > 1 { format!(" ({number})") } else { String::new() };
    let mut name = String::new();
    for char in words.trim_matches('\'').chars() {
        if name.encode_utf16().count() + char.len_utf16() + suffix.len() > MOST {
            break;
        }
        name.push(char);
    }
    let name = name.trim_end().trim_matches('\'');
    // Two names are taken: one by us, one by the spreadsheets themselves.
    let taken = name.is_empty() || name.eq_ignore_ascii_case(ABOUT) || name.eq_ignore_ascii_case("history");
    format!("{}{suffix}", if taken { "Report" } else { name })
}

/// Tells whether a name may have a character: neither one of the syntax of references nor one that XML cannot hold.
fn is_good(char: char) -> bool {
    !char.is_control() && !"[]:*?/\\\u{fffe}\u{ffff}".contains(char)
}

/// Name of the sheet about the report.
pub(super) const ABOUT: &str = "About";

/// Returns the letters of a column (from 0): A, B, … Z, AA, ….
pub(super) fn letters(column: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(b'A' + u8::try_from(rest % 26).unwrap_or(0));
        rest /= 26;
    }
    letters.iter().rev().map(|letter| char::from(*letter)).collect()
}

/// Quotes a sheet's name for a formula.
pub(super) fn quoted(sheet: &str) -> String {
    format!("'{}'", sheet.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::{letters, quoted, sheet_name};

    #[test]
    fn columns_count_in_letters() {
        let expected = [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA"), (16_383, "XFD")];
        expected.into_iter().for_each(|(column, name)| assert_eq!(letters(column), name));
    }

    #[test]
    fn sheets_have_names_that_spreadsheets_take() {
        assert_eq!(sheet_name("Pricing summary", 1), "Pricing summary");
        assert_eq!(sheet_name("Pricing summary", 2), "Pricing summary (2)");
        assert_eq!(sheet_name("In/out: [all]?", 1), "In out all");
        assert_eq!(sheet_name("'quoted'", 1), "quoted");
        assert_eq!(sheet_name("\u{fffe}A\u{ffff}B", 1), "A B");
        assert_eq!(sheet_name("***", 1), "Report");
        assert_eq!(sheet_name("about", 3), "Report (3)");
        let long = sheet_name("A title that is far longer than any sheet's name", 12);
        assert!(long.len() <= 31 && long.ends_with(" (12)"), "{long}");
        assert_eq!(quoted("it's"), "'it''s'");
    }
}
