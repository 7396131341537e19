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

/// What cannot be part of a query. The lexer goes on behind it.
pub(super) struct LexError {
    /// Byte of the query.
    pub(super) at: usize,
    pub(super) message: String,
    /// Something is opened and never closed, so that nothing is behind it.
    pub(super) is_unclosed: bool,
}

impl LexError {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), is_unclosed: false }
    }
}

/// Tells whether a name may begin with it.
pub(super) const fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// Tells whether a name may go on with it.
pub(super) const fn continues_name(byte: u8) -> bool {
    starts_name(byte) || byte.is_ascii_digit()
}

/// Of names and words as all servers have them.
pub(super) const fn continues_word(byte: u8) -> bool {
    continues_name(byte) || byte == b'$' || byte >= 0x80
}
