//! The SQL of a report, cut at its `:name` placeholders.

/// A single statement with its placeholders found.
///
/// A placeholder is a colon and a name, outside of strings, comments, quoted names, `$$` bodies and `::` casts. A semicolon and
/// comments at the end are dropped, so that the text may be wrapped in another query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pieces: Vec<Piece>,
    names: Vec<String>,
    first_uses: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(String),
}

impl Query {
    /// Reads a statement.
    ///
    /// # Errors
    /// Says what is wrong: nothing to run, several statements, something that is opened and never closed, `$1`.
    pub fn parse(sql: &str) -> Result<Self, String> {
        let mut scanner = Scanner::new(sql);
        scanner.run()?;
        if scanner.code_end == 0 {
            return Err("the query is empty".to_owned());
        }
        Ok(Self::cut(sql, &scanner.found, scanner.code_end))
    }

    fn cut(sql: &str, found: &[(usize, usize)], end: usize) -> Self {
        let mut query = Self { pieces: Vec::new(), names: Vec::new(), first_uses: Vec::new() };
        let mut from = 0;
        for &(colon, after) in found {
            if colon > from {
                query.pieces.push(Piece::Text(sql[from..colon].to_owned()));
            }
            let name = &sql[colon + 1..after];
            if !query.names.iter().any(|known| known == name) {
                query.names.push(name.to_owned());
                query.first_uses.push(colon);
            }
            query.pieces.push(Piece::Placeholder(name.to_owned()));
            from = after;
        }
        if end > from {
            query.pieces.push(Piece::Text(sql[from..end].to_owned()));
        }
        query
    }

    /// Returns the placeholders' names, each once, in order of first use.
    #[must_use]
    pub fn placeholders(&self) -> &[String] {
        &self.names
    }

    /// Returns the names with the byte of the SQL at which each is first used.
    pub(super) fn first_uses(&self) -> impl Iterator<Item = (&str, usize)> {
        self.names.iter().map(String::as_str).zip(self.first_uses.iter().copied())
    }

    /// Writes the statement, with whatever `write` puts in place of each placeholder.
    pub fn render(&self, mut write: impl FnMut(&mut String, &str)) -> String {
        let mut sql = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => sql.push_str(text),
                Piece::Placeholder(name) => write(&mut sql, name),
            }
        }
        sql
    }
}

/// Walks over bytes: everything that matters is ASCII, and no byte of a longer character looks like ASCII.
struct Scanner<'a> {
    sql: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Colon and end of each placeholder.
    found: Vec<(usize, usize)>,
    /// Behind the last byte that is neither space nor comment nor final semicolon.
    code_end: usize,
    semicolon: bool,
}

impl<'a> Scanner<'a> {
    const fn new(sql: &'a str) -> Self {
        Self { sql, bytes: sql.as_bytes(), at: 0, found: Vec::new(), code_end: 0, semicolon: false }
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    fn run(&mut self) -> Result<(), String> {
        while self.at < self.bytes.len() {
            match (self.byte(self.at), self.byte(self.at + 1)) {
                (b'-', b'-') => self.skip_line_comment(),
                (b'/', b'*') => self.skip_block_comment()?,
                (b';', _) => {
                    self.semicolon = true;
                    self.at += 1;
                }
                (space, _) if space.is_ascii_whitespace() => self.at += 1,
                _ if self.semicolon => {
                    return Err("there are several statements; a report is one query without `;` in it".to_owned());
                }
                (first, second) => {
                    self.step_code(first, second)?;
                    self.code_end = self.at;
                }
            }
        }
        Ok(())
    }

    fn step_code(&mut self, first: u8, second: u8) -> Result<(), String> {
        match first {
            b'\'' => {
                let escapes = self.is_escape_string();
                self.skip_quoted(b'\'', escapes, "a string")
            }
            b'"' => self.skip_quoted(b'"', false, "a quoted name"),
            b'`' => self.skip_quoted(b'`', false, "a quoted name"),
            b'$' => self.skip_dollar(),
            b':' if second == b':' => {
                self.at += 2;
                Ok(())
            }
            b':' if starts_name(second) => {
                let end = self.name_end(self.at + 1);
                self.found.push((self.at, end));
                self.at = end;
                Ok(())
            }
            _ if starts_name(first) || first >= 0x80 => {
                // A whole word at once, so that a `$` inside of a name starts no body.
                while starts_name(self.byte(self.at))
                    || self.byte(self.at).is_ascii_digit()
                    || self.byte(self.at) == b'$'
                    || self.byte(self.at) >= 0x80
                {
                    self.at += 1;
                }
                Ok(())
            }
            0 => Err("there is a NUL character".to_owned()),
            _ => {
                self.at += 1;
                Ok(())
            }
        }
    }

    fn name_end(&self, from: usize) -> usize {
        let mut end = from;
        while starts_name(self.byte(end)) || self.byte(end).is_ascii_digit() {
            end += 1;
        }
        end
    }

    /// `E'…'` reads backslashes; only where the `E` is a word of its own.
    fn is_escape_string(&self) -> bool {
        let Some(before) = self.at.checked_sub(1) else { return false };
        let word = |byte: u8| starts_name(byte) || byte.is_ascii_digit() || byte == b'$' || byte >= 0x80;
        matches!(self.byte(before), b'e' | b'E') && !before.checked_sub(1).is_some_and(|at| word(self.byte(at)))
    }

    fn skip_quoted(&mut self, quote: u8, escapes: bool, what: &str) -> Result<(), String> {
        let start = self.at;
        self.at += 1;
        while self.at < self.bytes.len() {
            let byte = self.byte(self.at);
            if escapes && byte == b'\\' {
                self.at += 2;
            } else if byte != quote {
                self.at += 1;
            } else if self.byte(self.at + 1) == quote {
                self.at += 2;
            } else {
                self.at += 1;
                return Ok(());
            }
        }
        Err(self.unclosed(what, start))
    }

    fn skip_line_comment(&mut self) {
        while self.at < self.bytes.len() && self.byte(self.at) != b'\n' {
            self.at += 1;
        }
    }

    fn skip_block_comment(&mut self) -> Result<(), String> {
        let start = self.at;
        self.at += 2;
        while self.at < self.bytes.len() {
            match (self.byte(self.at), self.byte(self.at + 1)) {
                (b'*', b'/') => {
                    self.at += 2;
                    return Ok(());
                }
                (b'/', b'*') => {
                    return Err("a comment opens inside of a comment; databases disagree where it ends".to_owned());
                }
                _ => self.at += 1,
            }
        }
        Err(self.unclosed("a comment", start))
    }

    fn skip_dollar(&mut self) -> Result<(), String> {
        let start = self.at;
        if self.byte(start + 1).is_ascii_digit() {
            return Err(
                "`$1` and its like cannot be used; write `:name` and describe it under [params.name]".to_owned()
            );
        }
        let tag_end = self.name_end(start + 1);
        if self.byte(tag_end) != b'$' {
            self.at += 1;
            return Ok(());
        }
        let tag = &self.sql[start..=tag_end];
        match self.sql[tag_end + 1..].find(tag) {
            Some(length) => {
                self.at = tag_end + 1 + length + tag.len();
                Ok(())
            }
            None => Err(self.unclosed(&format!("a `{tag}` body"), start)),
        }
    }

    fn unclosed(&self, what: &str, start: usize) -> String {
        let line = self.bytes[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{what} that opens in line {line} of the query is never closed")
    }
}

const fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}
