//! A small reader of formulas, which shares nothing with the writer: it tells what a spreadsheet would compute.

/// Tells whether a field begins as formulas do.
pub(crate) fn starts_like_a_formula(text: &str) -> bool {
    let first = text.chars().next().unwrap_or(' ');
    "=+-@＝＋－＠\u{feff}".contains(first) || first.is_ascii_control()
}

/// Tells whether a spreadsheet computes something of a field: it begins as a formula and can be read as one that is more than a number.
pub(crate) fn is_formula(text: &str) -> bool {
    if !starts_like_a_formula(text) {
        return false;
    }
    if !text.starts_with(['+', '-']) {
        return true;
    }
    let mut reader = FormulaReader { chars: text.chars().collect(), at: 0, more: false };
    reader.expression() && reader.at == reader.chars.len() && reader.more
}

struct FormulaReader {
    chars: Vec<char>,
    at: usize,
    /// Something other than a number with a sign was read.
    more: bool,
}

impl FormulaReader {
    fn peek(&self) -> char {
        self.chars.get(self.at).copied().unwrap_or('\0')
    }

    fn take(&mut self, good: impl Fn(char) -> bool) -> usize {
        let start = self.at;
        while self.at < self.chars.len() && good(self.peek()) {
            self.at += 1;
        }
        self.at - start
    }

    fn space(&mut self) {
        self.take(|char| char == ' ');
    }

    fn expression(&mut self) -> bool {
        self.space();
        let mut signs = self.take(|char| "+-".contains(char));
        self.space();
        // Signs may stand apart.
        while signs > 0 && "+-".contains(self.peek()) {
            signs = self.take(|char| "+-".contains(char));
            self.space();
        }
        if !self.operand() {
            return false;
        }
        self.take(|char| char == '%');
        self.space();
        if self.take(|char| "+-*/^&=<>|!".contains(char)) == 0 {
            return true;
        }
        self.more = true;
        self.expression()
    }

    fn operand(&mut self) -> bool {
        match self.peek() {
            '0'..='9' | '.' => self.number_or_rows(),
            '(' => {
                self.at += 1;
                self.more = true;
                self.expression() && self.take_one(')')
            }
            quote @ ('"' | '\'') => {
                self.at += 1;
                self.take(|char| char != quote);
                self.more = true;
                self.take_one(quote)
            }
            '$' | '_' | 'A'..='Z' | 'a'..='z' => {
                self.more = true;
                let start = self.at;
                self.take(|char| char.is_ascii_alphanumeric() || "$_.:".contains(char));
                if self.peek() != '(' {
                    // `$5` is an amount, `$5:$6` are rows.
                    let name = &self.chars[start..self.at];
                    let first = name.iter().find(|char| **char != '$');
                    return name.contains(&':') || first.is_some_and(|char| char.is_ascii_alphabetic() || *char == '_');
                }
                self.at += 1;
                self.take_one(')') || self.expression() && self.take_one(')')
            }
            _ => false,
        }
    }

    fn take_one(&mut self, wanted: char) -> bool {
        let found = self.peek() == wanted;
        self.at += usize::from(found);
        found
    }

    fn number_or_rows(&mut self) -> bool {
        let whole = self.take(|char| char.is_ascii_digit());
        if whole > 0 && self.peek() == ':' {
            self.at += 1;
            self.more = true;
            return self.take(|char| char.is_ascii_digit()) > 0;
        }
        let fraction = if self.take_one('.') { self.take(|char| char.is_ascii_digit()) } else { 0 };
        let start = self.at;
        if matches!(self.peek(), 'e' | 'E') {
            self.at += 1;
            self.take_one('+');
            self.take_one('-');
            if self.take(|char| char.is_ascii_digit()) == 0 {
                self.at = start;
            }
        }
        whole + fraction > 0
    }
}

#[test]
fn formulas_are_told_from_what_is_none() {
    for text in ["=1", "-2+3", "+1+cmd|' /C calc'!A0", "-A1", "-12:30", "+49-170-1234", "-(1)", "-SUM(1)", "@x", "\t"] {
        assert!(is_formula(text), "{text}");
    }
    for text in ["-1", "+1.5e5", "-5%", "-", "+49 170 1234", "-838:59:59", "-$5.00", "plain", "1+1", "-1,5", "'=1"] {
        assert!(!is_formula(text), "{text}");
    }
}
