//! What a query is made of, as far as placeholders are concerned.

/// What a piece of the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LexemeKind {
    /// White space, or a comment that no server runs.
    Blank,
    Semicolon,
    Open,
    Close,
    /// A name or a word of the language, without quotes.
    Word,
    /// A colon and a name.
    Placeholder,
    /// Anything else: strings, quoted names, numbers, operators.
    Other,
}

/// A piece of the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lexeme {
    pub(super) kind: LexemeKind,
    /// Its first byte.
    pub(super) from: usize,
    /// The byte behind its last one.
    pub(super) to: usize,
}
