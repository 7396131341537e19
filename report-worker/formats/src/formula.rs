//! Which texts of a file a spreadsheet would take for a formula when it opens it.
//!
//! A field that begins with a sign is a formula only if the rest of it is one, and most that people write there is none: numbers,
//! telephone numbers, lengths of time, a dash for nothing. What is left alone is a small grammar, and each rule has its reason why
//! there is nothing to compute. Whatever is not in it is guarded.

/// Characters that may stand between the digits of a number. To a formula a comma and a space join or cut ranges of cells; numbers
/// are none, so there is no such formula.
const BETWEEN_DIGITS: [char; 8] = ['.', ',', '\'', '’', ' ', '\u{a0}', '\u{202f}', '\u{2009}'];
/// Most characters of a telephone number, and most digits of the code of a country.
const LONGEST_PHONE: usize = 30;
const COUNTRY: usize = 3;

/// Tells whether a spreadsheet may compute something of a text.
#[inline]
pub(super) fn may_run(text: &str) -> bool {
    match text.as_bytes().first() {
        // Some readers skip a tab, a line end or a NUL, and find the formula behind it.
        Some(b'=' | b'@' | 0..0x20 | 0x7f) => true,
        Some(b'+' | b'-') => !is_harmless(text),
        Some(0xef) => starts_wide(text),
        _ => false,
    }
}

/// Full-width signs are signs to spreadsheets of East Asia; a byte order mark is dropped where the field begins the file.
fn starts_wide(text: &str) -> bool {
    text.starts_with(['＝', '＋', '－', '＠', '\u{feff}'])
}

/// Tells whether a text that begins with a sign is none of a formula.
fn is_harmless(text: &str) -> bool {
    let (sign, rest) = text.split_at(1);
    // Nothing to compute with.
    let dashes = rest.bytes().all(|byte| byte == b'-') && (sign == "-" || rest.is_empty());
    dashes || is_amount(rest) || is_clock(rest) || (sign == "+" && is_phone(rest))
}

/// `5`, `1,234.50`, `1 234,50`, `1'234.50`, `.5`, `1e-5`, `5%`, `$5.00`, `5,00 €`: a number is the only thing it can be.
fn is_amount(text: &str) -> bool {
    let space = [' ', '\u{a0}', '\u{202f}'];
    let number = if let Some(rest) = text.strip_prefix(is_currency) {
        rest.strip_prefix(space).unwrap_or(rest)
    } else if let Some(rest) = text.strip_suffix(|char| char == '%' || is_currency(char)) {
        rest.strip_suffix(space).unwrap_or(rest)
    } else {
        text
    };
    let (digits, exponent) =
        number.split_once(['e', 'E']).map_or((number, None), |(digits, rest)| (digits, Some(rest)));
    let is_exponent = |text: &str| {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let first = digits.strip_prefix(['.', ',']).unwrap_or(digits);
    is_grouped(first) && exponent.is_none_or(|text| is_exponent(text) && !digits.contains(' '))
}

/// Digits, with single characters between them.
fn is_grouped(text: &str) -> bool {
    text.split(BETWEEN_DIGITS).all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_currency(char: char) -> bool {
    matches!(char, '$' | '¢' | '£' | '¤' | '¥' | '\u{20a0}'..='\u{20cf}')
}

/// `838:59:59`, `0:00:01.5`: rows from one to another are a range, `12:30`, but not so three numbers. So hours and minutes alone are
/// guarded.
fn is_clock(text: &str) -> bool {
    let mut parts = text.split(':');
    let (Some(hours), Some(minutes), Some(seconds), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (seconds, fraction) = seconds.split_once('.').map_or((seconds, None), |(seconds, rest)| (seconds, Some(rest)));
    let two = |text: &str| text.len() == 2 && digits(text);
    digits(hours) && two(minutes) && two(seconds) && fraction.is_none_or(digits)
}

/// `49 170 1234`, `1 (555) 123-4567`, `49 (0)170/12 34`: a number stands beside another with nothing between that would compute, so the whole is
/// no formula, whatever signs follow. `49-170-1234` would be a subtraction.
fn is_phone(text: &str) -> bool {
    let text = text.replace('\u{a0}', " ");
    let Some((country, rest)) = text.split_once(' ') else { return false };
    let code = (1..=COUNTRY).contains(&country.len()) && country.bytes().all(|byte| byte.is_ascii_digit());
    let (mut open, mut before) = (false, ' ');
    for char in rest.chars() {
        let good = match char {
            '0'..='9' => true,
            '(' => !open && before == ' ',
            ')' => open && before.is_ascii_digit(),
            ' ' | '-' | '/' | '.' => !open && (before.is_ascii_digit() || before == ')'),
            _ => false,
        };
        if !good {
            return false;
        }
        open = char == '(' || open && char != ')';
        before = char;
    }
    // Behind a bracket at the start there has to be a number, or there would be none beside another.
    code && text.len() <= LONGEST_PHONE && before.is_ascii_digit() && !open
}

#[cfg(test)]
mod tests {
    use super::may_run;

    const HARMLESS: &[&str] = &[
        "+49 170 1234",
        "+1 (555) 123-4567",
        "+49 (0)170/12 34",
        "+44\u{a0}20 7946 0958",
        "+491701234567",
        "-5.50",
        "-$5.00",
        "-€5",
        "-5,00 €",
        "-5,00\u{a0}€",
        "-1,234.50",
        "-1.234,50",
        "-1 234,50",
        "-1'234.50",
        "-12,34,567.00",
        "+5",
        "-.5",
        "-5%",
        "-5 %",
        "-1e5",
        "-1.5E-10",
        "+1e+300",
        "-838:59:59",
        "-00:00:01",
        "-0:00:00.000001",
        "+12:00:00",
        "-",
        "--",
        "---",
        "+",
        "plain",
        "a=b",
        "1+1",
        "",
        " =1",
        "ä",
    ];

    const COMPUTED: &[&str] = &[
        "=1+1",
        "=",
        "@SUM(1)",
        "@",
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        "+49-170-1234",
        "+49/170",
        "+49.170-1",
        "-1-",
        "-12:30",
        "+05:30",
        "-1:2:3",
        "-1:02:03:04",
        "-A1",
        "-A1:B2",
        "-SUM(1)",
        "+cmd|x",
        "-$A$1",
        "-$1:$2",
        "-(1)",
        "+(555) 1234",
        "+1 (555)",
        "+1 ",
        "-1 2+3",
        "+1 2+3",
        "+1 2*3",
        "-1e5+1",
        "-1e",
        "-e5",
        "-1,",
        "-,",
        "-$",
        "-%",
        "-5%%",
        "-5€€",
        "-0043-03-15",
        "-P1D",
        "-1 day",
        "--1",
        "++",
        "+-1",
        "+1 2=3",
        "+1 2|3",
        "+1 2!A1",
        "+1 A1",
        "+1 2 A1",
        "\t=1",
        "\r",
        "\n=1",
        "\0=1",
        "＝1",
        "＋1",
        "－1",
        "＠x",
        "\u{feff}=1",
        "-1\n",
        "-1\n=2",
        "-\t",
        "-٥",
    ];

    #[test]
    fn what_people_write_with_a_sign_is_left_alone() {
        for text in HARMLESS {
            assert!(!may_run(text), "{text}");
        }
    }

    #[test]
    fn what_a_spreadsheet_computes_is_guarded() {
        for text in COMPUTED {
            assert!(may_run(text), "{text}");
        }
    }
}
