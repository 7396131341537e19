//! What a list means at the place where its placeholder stands.

use super::lexeme::LexemeKind;

/// Where a placeholder stands, as far as lists are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListPlace {
    /// The only thing in `in (…)`: a list is its elements, however many there are.
    Alone,
    /// In `in (…)` beside others: a list is its elements, of which there must be one.
    Beside,
    /// Anywhere else: a list is one value, where the database has such values.
    Value,
}

/// Follows parentheses through a query.
#[derive(Debug, Default)]
pub(super) struct ListPlaces {
    pub(super) of_placeholders: Vec<ListPlace>,
    open: Vec<Parenthesis>,
    /// The lexeme before this one is the word `in`.
    after_in: bool,
    /// The lexeme before this one is a comma.
    after_comma: bool,
    /// The lexeme before this one is a placeholder.
    after_placeholder: bool,
}

#[derive(Debug)]
struct Parenthesis {
    is_list: bool,
    /// Nothing stood in it yet.
    is_empty: bool,
}

impl ListPlaces {
    /// Takes the next lexeme that is not blank.
    pub(super) fn see(&mut self, kind: LexemeKind, text: &str) {
        self.finish_placeholder(kind, text);
        match kind {
            LexemeKind::Open => {
                self.fill(false);
                self.open.push(Parenthesis { is_list: self.after_in, is_empty: true });
            }
            LexemeKind::Close => drop(self.open.pop()),
            LexemeKind::Placeholder => {
                let place = match self.open.last() {
                    Some(Parenthesis { is_list: true, is_empty: true }) => ListPlace::Alone,
                    Some(Parenthesis { is_list: true, is_empty: false }) if self.after_comma => ListPlace::Beside,
                    _ => ListPlace::Value,
                };
                self.of_placeholders.push(place);
                self.fill(false);
            }
            _ => self.fill(is_query(kind, text)),
        }
        self.after_comma = text == ",";
        self.after_in = kind == LexemeKind::Word && text.eq_ignore_ascii_case("in");
        self.after_placeholder = kind == LexemeKind::Placeholder;
    }

    /// What comes behind a placeholder tells whether it is alone, or an element at all.
    fn finish_placeholder(&mut self, next: LexemeKind, text: &str) {
        let Some(place) = self.of_placeholders.last_mut().filter(|_| self.after_placeholder) else { return };
        *place = match *place {
            place if next == LexemeKind::Close => place,
            ListPlace::Alone | ListPlace::Beside if text == "," => ListPlace::Beside,
            _ => ListPlace::Value,
        };
    }

    fn fill(&mut self, with_query: bool) {
        if let Some(parenthesis) = self.open.last_mut() {
            parenthesis.is_list &= !(parenthesis.is_empty && with_query);
            parenthesis.is_empty = false;
        }
    }
}

/// `in (select …)` is no list.
fn is_query(kind: LexemeKind, text: &str) -> bool {
    kind == LexemeKind::Word && ["select", "with", "values", "table"].iter().any(|word| text.eq_ignore_ascii_case(word))
}
