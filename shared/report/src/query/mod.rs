//! The SQL of a report, cut at its `:name` placeholders.

mod dialect;
mod lexeme;
mod lexer;
mod list_place;
mod read_query;

pub use self::dialect::Dialect;
pub use self::list_place::ListPlace;
pub(crate) use self::read_query::{FaultPlace, QueryFault, QueryReading, read_query};

use self::lexeme::LexemeKind;
use self::lexer::Lexer;
use self::list_place::ListPlaces;

/// A single statement with its placeholders found.
///
/// A placeholder is a colon and a name, or `:attribute.` and a name, outside of strings, comments, quoted names, `$$` bodies and `::` casts. The text stays as
/// it is, but for a semicolon at the end and what comments stand behind it; it may end with a comment, so that whoever puts it
/// into another query goes on in a new line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pieces: Vec<Piece>,
    names: Vec<String>,
    first_uses: Vec<usize>,
    leading_word: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(Placeholder),
}

/// One use of a parameter in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder {
    /// Without its colon; `attribute.region` where it stands for an attribute.
    pub name: String,
    /// What a list means here.
    pub place: ListPlace,
}

impl Query {
    /// Reads a statement by the rules of the database that will run it.
    ///
    /// # Errors
    /// Says what is wrong: nothing to run, several statements, something that is opened and never closed, `$1`.
    pub fn parse(sql: &str, dialect: Dialect) -> Result<Self, String> {
        let reading = Self::read(sql, dialect);
        reading.faults.into_iter().next().map_or(Ok(reading.query), |fault| Err(fault.message))
    }

    /// Reads a statement as far as it can be understood.
    fn read(sql: &str, dialect: Dialect) -> QueryReading {
        let mut end = None;
        let mut leading_word = None;
        let mut found = Vec::new();
        let mut places = ListPlaces::default();
        let (mut faults, mut is_whole, mut is_several) = (Vec::new(), true, false);
        for lexeme in Lexer::new(dialect, sql) {
            let lexeme = match lexeme {
                Ok(lexeme) => lexeme,
                Err(error) => {
                    is_whole &= !error.is_unclosed;
                    faults.push(QueryFault { place: FaultPlace::Byte(error.at), message: error.message });
                    leading_word.get_or_insert_with(String::new);
                    continue;
                }
            };
            match lexeme.kind {
                LexemeKind::Blank => continue,
                LexemeKind::Semicolon => {
                    end.get_or_insert(lexeme.from);
                    continue;
                }
                _ if end.is_some() && !is_several => {
                    is_several = true;
                    let message = "there are several statements; a report is one query without `;` in it".to_owned();
                    faults.push(QueryFault { place: FaultPlace::Byte(lexeme.from), message });
                }
                LexemeKind::Word | LexemeKind::Other if leading_word.is_none() => {
                    leading_word = Some(sql[lexeme.from..lexeme.to].to_owned());
                }
                _ => {}
            }
            if lexeme.kind == LexemeKind::Placeholder {
                found.push((lexeme.from, lexeme.to));
            }
            places.see(lexeme.kind, &sql[lexeme.from..lexeme.to]);
        }
        if leading_word.is_none() {
            faults.push(QueryFault { place: FaultPlace::Query, message: "the query is empty".to_owned() });
        }
        // Space beyond ASCII is a letter to servers.
        let read = if is_several { sql } else { &sql[..end.unwrap_or(sql.len())] };
        let query = Self::cut(read.trim_ascii_end(), &found, &places.of_placeholders, leading_word.unwrap_or_default());
        QueryReading { query, faults, is_whole }
    }

    fn cut(sql: &str, found: &[(usize, usize)], places: &[ListPlace], leading_word: String) -> Self {
        let mut query = Self { pieces: Vec::new(), names: Vec::new(), first_uses: Vec::new(), leading_word };
        let mut from = 0;
        for (&(colon, after), &place) in found.iter().zip(places) {
            if colon > from {
                query.pieces.push(Piece::Text(sql[from..colon].to_owned()));
            }
            let name = &sql[colon + 1..after];
            if !query.names.iter().any(|known| known == name) {
                query.names.push(name.to_owned());
                query.first_uses.push(colon);
            }
            query.pieces.push(Piece::Placeholder(Placeholder { name: name.to_owned(), place }));
            from = after;
        }
        if sql.len() > from {
            query.pieces.push(Piece::Text(sql[from..].to_owned()));
        }
        query
    }

    /// Returns the placeholders' names, each once, in order of first use.
    #[must_use]
    pub fn placeholders(&self) -> &[String] {
        &self.names
    }

    /// Returns every use of a placeholder, in the order of the text.
    pub fn uses(&self) -> impl Iterator<Item = &Placeholder> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Placeholder(placeholder) => Some(placeholder),
        })
    }

    /// Returns the first word of the statement, as it is written, without parentheses and comments before it.
    #[must_use]
    pub fn leading_word(&self) -> &str {
        &self.leading_word
    }

    fn uses_name(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Returns the names with the byte of the SQL at which each is first used.
    fn first_uses(&self) -> impl Iterator<Item = (&str, usize)> {
        self.names.iter().map(String::as_str).zip(self.first_uses.iter().copied())
    }

    /// Writes the statement, with whatever `write` puts in place of each placeholder.
    pub fn render(&self, mut write: impl FnMut(&mut String, &Placeholder)) -> String {
        let mut sql = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => sql.push_str(text),
                Piece::Placeholder(placeholder) => write(&mut sql, placeholder),
            }
        }
        sql
    }
}
