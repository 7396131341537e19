//! Text from outside becomes one line that leads nobody astray.

/// Returns the text as one line of at most `longest` characters. Control characters, and the marks that turn the direction of
/// writing around, become spaces: neither a header nor the eye can be led astray by them.
pub(crate) fn single_line(text: &str, longest: usize) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let clean: String = text.chars().map(|c| if c.is_control() || turns(c) { ' ' } else { c }).collect();
    let words = clean.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if words.chars().count() <= longest {
        return words;
    }
    words.chars().take(longest.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::single_line;

    #[test]
    fn a_text_becomes_one_short_line() {
        assert_eq!(single_line("a\r\nBcc: b\u{202e}c", 50), "a Bcc: b c");
        assert_eq!(single_line("abcdef", 4), "abc…");
    }
}
