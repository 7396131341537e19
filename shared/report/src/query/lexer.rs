//! SQL is cut into lexemes, by the rules of the server that will read it.
//!
//! Walks over bytes: everything that matters is ASCII, and no byte of a longer character looks like ASCII.

use super::Dialect;
use super::lexeme::{LexError, Lexeme, LexemeKind, continues_name, continues_word, starts_name};

/// The first half of a placeholder whose second is the name of an attribute.
const ATTRIBUTE: &str = "attribute";

/// Refused in place of being guessed at.
const WRITE_NAME: &str = "write `:name` and describe it under [params.name]";

pub(super) struct Lexer<'a> {
    dialect: Dialect,
    sql: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Iterator for Lexer<'_> {
    type Item = Result<Lexeme, LexError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let from = self.at;
        Some(self.step().map(|kind| Lexeme { kind, from, to: self.at }))
    }
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(dialect: Dialect, sql: &'a str) -> Self {
        Self { dialect, sql, bytes: sql.as_bytes(), at: 0 }
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// Moves over `length` bytes that are a lexeme together.
    const fn take(&mut self, length: usize, kind: LexemeKind) -> Result<LexemeKind, LexError> {
        self.at += length;
        Ok(kind)
    }

    fn step(&mut self) -> Result<LexemeKind, LexError> {
        use Dialect::{Mysql, Postgres, Sqlite};
        let (first, second) = (self.byte(self.at), self.byte(self.at + 1));
        match (first, self.dialect) {
            (0, _) => Err(self.refuse(1, "there is a NUL character")),
            (b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, _) => self.take(1, LexemeKind::Blank),
            (b'-', _) if self.is_dash_comment() => Ok(self.line_comment()),
            (b'#', Mysql) => Ok(self.line_comment()),
            (b'/', _) if second == b'*' => self.block_comment(),
            (b';', _) => self.take(1, LexemeKind::Semicolon),
            (b'(', _) => self.take(1, LexemeKind::Open),
            (b')', _) => self.take(1, LexemeKind::Close),
            (b'\'', _) => self.quoted(b'\'', self.dialect == Mysql, "a string"),
            (b'"', Mysql) => self.quoted(b'"', true, "a string"),
            (b'"', _) | (b'`', Mysql | Sqlite) => self.quoted(first, false, "a quoted name"),
            (b'[', Sqlite) => self.bracketed(),
            (b':', _) if second == b':' => self.take(2, LexemeKind::Other),
            (b':', _) if starts_name(second) => self.placeholder(),
            (b':', Sqlite) if continues_word(second) => Err(self.foreign_parameter(second)),
            (b'$', Postgres) => self.dollar(),
            (b'?', Mysql | Sqlite) | (b'@' | b'#' | b'$', Sqlite) => Err(self.foreign_parameter(second)),
            (b'e' | b'E', Postgres) if second == b'\'' => self.escape_string(),
            (b'0'..=b'9', Postgres) => Ok(self.digits()),
            _ if continues_word(first) => Ok(self.word()),
            _ => self.take(1, LexemeKind::Other),
        }
    }

    /// MySQL wants a space, a control character or the end behind the dashes: `5--3` is 8 there.
    fn is_dash_comment(&self) -> bool {
        let after = self.byte(self.at + 2);
        self.byte(self.at + 1) == b'-'
            && (self.dialect != Dialect::Mysql || after.is_ascii_whitespace() || after.is_ascii_control())
    }

    /// PostgreSQL alone ends lines at a carriage return.
    fn line_comment(&mut self) -> LexemeKind {
        let postgres = self.dialect == Dialect::Postgres;
        while self.at < self.bytes.len() && self.byte(self.at) != b'\n' && !(postgres && self.byte(self.at) == b'\r') {
            self.at += 1;
        }
        LexemeKind::Blank
    }

    fn block_comment(&mut self) -> Result<LexemeKind, LexError> {
        let start = self.at;
        if self.dialect == Dialect::Mysql
            && (self.sql[start..].starts_with("/*!") || self.sql[start..].starts_with("/*M!"))
        {
            return self.executable_comment();
        }
        let mut depth = 1;
        self.at += 2;
        while self.at < self.bytes.len() {
            match (self.byte(self.at), self.byte(self.at + 1)) {
                (b'*', b'/') => {
                    self.at += 2;
                    depth -= 1;
                    if depth == 0 {
                        return Ok(LexemeKind::Blank);
                    }
                }
                (b'/', b'*') if self.dialect == Dialect::Postgres => {
                    self.at += 2;
                    depth += 1;
                }
                _ => self.at += 1,
            }
        }
        Err(self.unclosed("a comment", start))
    }

    /// `/*! … */` is code to some versions and a comment to others, so it may hold only what ends in the same place for both.
    fn executable_comment(&mut self) -> Result<LexemeKind, LexError> {
        let start = self.at;
        let Some(length) = self.sql[start + 2..].find("*/") else {
            return Err(self.unclosed("a comment", start));
        };
        let end = start + 2 + length;
        let code = &self.sql[start + "/*!".len()..end];
        if code.ends_with('/') {
            // A server that reads the code sees `/*` there.
            let message = "a `/` stands before the end of a `/*! … */` comment; put a space between them";
            return Err(self.refuse(end + 2 - start, message));
        }
        self.at = end + 2;
        for lexeme in Lexer::new(self.dialect, code) {
            let lexeme = lexeme.map_err(|error| LexError { at: start + "/*!".len() + error.at, ..error })?;
            let is_comment = lexeme.kind == LexemeKind::Blank && !code[lexeme.from..lexeme.to].trim().is_empty();
            if is_comment || matches!(lexeme.kind, LexemeKind::Placeholder | LexemeKind::Semicolon) {
                let message =
                    "`/*! … */` may hold neither placeholders nor comments nor `;`: only some servers read it";
                return Err(LexError::new(start, message));
            }
        }
        Ok(LexemeKind::Other)
    }

    /// A string or a name: quotes are doubled inside of it, or written behind a backslash where `escapes`.
    fn quoted(&mut self, quote: u8, escapes: bool, what: &str) -> Result<LexemeKind, LexError> {
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
                return Ok(LexemeKind::Other);
            }
        }
        self.at = self.bytes.len();
        Err(self.unclosed(what, start))
    }

    /// `E'…'` reads backslashes, and so does all that goes on behind a line break.
    fn escape_string(&mut self) -> Result<LexemeKind, LexError> {
        self.at += 1;
        loop {
            self.quoted(b'\'', true, "a string")?;
            match self.continuation() {
                Some(quote) => self.at = quote,
                None => return Ok(LexemeKind::Other),
            }
        }
    }

    /// Finds the quote that goes on with the string that ended here: behind white space with a line break in it, and comments.
    fn continuation(&self) -> Option<usize> {
        let (mut at, mut lines) = (self.at, 0);
        loop {
            match (self.byte(at), self.byte(at + 1)) {
                (b'\n' | b'\r', _) => (at, lines) = (at + 1, lines + 1),
                (b' ' | b'\t' | 0x0b | 0x0c, _) => at += 1,
                (b'-', b'-') => {
                    while at < self.bytes.len() && !matches!(self.byte(at), b'\n' | b'\r') {
                        at += 1;
                    }
                }
                (b'\'', _) if lines > 0 => return Some(at),
                _ => return None,
            }
        }
    }

    /// `[a name]` of SQLite, in which nothing escapes.
    fn bracketed(&mut self) -> Result<LexemeKind, LexError> {
        match self.sql[self.at..].find(']') {
            Some(length) => self.take(length + 1, LexemeKind::Other),
            None => Err(self.unclosed("a quoted name", self.at)),
        }
    }

    fn placeholder(&mut self) -> Result<LexemeKind, LexError> {
        let start = self.at + 1;
        self.at = start;
        self.name();
        if self.byte(self.at) == b'.' && &self.sql[start..self.at] == ATTRIBUTE {
            if !starts_name(self.byte(self.at + 1)) {
                let message = "`:attribute.` wants a name behind it; write for example `:attribute.region`";
                self.at += 1;
                return Err(LexError::new(start - 1, message));
            }
            self.at += 1;
            self.name();
        }
        if continues_word(self.byte(self.at)) {
            let name = &self.sql[start..self.at];
            let message = format!(
                "the name of the placeholder `:{name}` goes on with a character that names have not; they are made of letters a to z, digits and `_`"
            );
            self.word();
            return Err(LexError::new(start - 1, message));
        }
        Ok(LexemeKind::Placeholder)
    }

    fn name(&mut self) {
        while continues_name(self.byte(self.at)) {
            self.at += 1;
        }
    }

    /// `$tag$ … $tag$`, where a tag is a name that may have letters beyond ASCII.
    fn dollar(&mut self) -> Result<LexemeKind, LexError> {
        let start = self.at;
        let second = self.byte(start + 1);
        if second.is_ascii_digit() {
            let digits = self.bytes[start + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            return Err(self.refuse(1 + digits, format!("`$1` and its like cannot be used; {WRITE_NAME}")));
        }
        let mut tag_end = start + 1;
        while continues_name(self.byte(tag_end)) || self.byte(tag_end) >= 0x80 {
            tag_end += 1;
        }
        if self.byte(tag_end) != b'$' {
            return self.take(1, LexemeKind::Other);
        }
        let tag = &self.sql[start..=tag_end];
        match self.sql[tag_end + 1..].find(tag) {
            Some(length) => self.take(tag.len() + length + tag.len(), LexemeKind::Other),
            None => Err(self.unclosed(&format!("a `{tag}` body"), start)),
        }
    }

    /// The digits of a number alone: before PostgreSQL 15 a word, and so an `E'…'`, may begin right behind them.
    fn digits(&mut self) -> LexemeKind {
        while self.byte(self.at).is_ascii_digit() {
            self.at += 1;
        }
        LexemeKind::Other
    }

    /// A whole word at once, so that a `$` inside of a name starts no body, and the `e` at its end no string.
    fn word(&mut self) -> LexemeKind {
        while continues_word(self.byte(self.at)) {
            self.at += 1;
        }
        LexemeKind::Word
    }

    /// SQLite takes what nobody binds for null, and so would answer wrongly in silence.
    fn foreign_parameter(&mut self, second: u8) -> LexError {
        let mark = char::from(self.byte(self.at));
        let shown = if second.is_ascii_graphic() { format!("{mark}{}", char::from(second)) } else { mark.to_string() };
        let start = self.at;
        self.at += 1;
        self.word();
        LexError::new(start, format!("`{shown}` is a parameter of the database that nothing would fill; {WRITE_NAME}"))
    }

    /// Moves over `length` bytes that cannot be part of a query.
    fn refuse(&mut self, length: usize, message: impl Into<String>) -> LexError {
        let start = self.at;
        self.at += length;
        LexError::new(start, message)
    }

    fn unclosed(&mut self, what: &str, start: usize) -> LexError {
        self.at = self.bytes.len();
        let line = self.bytes[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
        let message = format!("{what} that opens in line {line} of the query is never closed");
        LexError { is_unclosed: true, ..LexError::new(start, message) }
    }
}
