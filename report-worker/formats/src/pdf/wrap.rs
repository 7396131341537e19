//! Text is broken into lines: where Unicode allows it, else where the line is full. One line at a time, whatever the length.

use std::borrow::Cow;
use std::ops::Range;

use unicode_linebreak::{BreakOpportunity, linebreaks};

use super::fonts::{Fonts, SOFT_HYPHEN, Weight, is_line_break};

/// What stands where a word was broken.
const HYPHEN: char = '-';

/// A place where a line may end, and whether it has to.
type Break = (usize, BreakOpportunity);

/// A text on its way into lines.
pub(super) struct Wrap<'a> {
    text: &'a str,
    weight: Weight,
    /// In thousandths of the size.
    width: u32,
    at: usize,
    breaks: std::iter::Peekable<Box<dyn Iterator<Item = Break> + 'a>>,
}

impl<'a> Wrap<'a> {
    pub(super) fn new(text: &'a str, weight: Weight, width: u32) -> Self {
        let breaks: Box<dyn Iterator<Item = Break>> = Box::new(linebreaks(text));
        Self { text, weight, width, at: 0, breaks: breaks.peekable() }
    }

    /// Returns the next line without the white space around its end, or nothing when the text has ended.
    pub(super) fn next(&mut self, fonts: &mut Fonts) -> Option<Range<usize>> {
        let start = self.at;
        let rest = self.text.get(start..).filter(|rest| !rest.is_empty())?;
        let (mut width, mut allowed) = (0, None);
        for (offset, char) in rest.char_indices() {
            let here = start + offset;
            while let Some((at, kind)) = self.breaks.next_if(|(at, _)| *at <= here) {
                if at == here && offset > 0 {
                    if kind == BreakOpportunity::Mandatory {
                        return Some(self.end_at(start, here));
                    }
                    // A word that is broken at a soft hyphen needs room for a hyphen.
                    let is_soft = rest.get(..offset).is_some_and(|before| before.ends_with(SOFT_HYPHEN));
                    let hyphen = if is_soft { u32::from(fonts.glyph(self.weight, HYPHEN).advance) } else { 0 };
                    if width + hyphen <= self.width {
                        allowed = Some(here);
                    }
                }
            }
            if char.is_whitespace() {
                // White space may stand out over the edge, where nobody sees it.
                width += if is_line_break(char) { 0 } else { u32::from(fonts.glyph(self.weight, char).advance) };
                continue;
            }
            let advance = u32::from(fonts.glyph(self.weight, char).advance);
            if width + advance > self.width && offset > 0 && advance > 0 {
                return Some(self.end_at(start, allowed.unwrap_or(here)));
            }
            width += advance;
        }
        Some(self.end_at(start, self.text.len()))
    }

    fn end_at(&mut self, start: usize, end: usize) -> Range<usize> {
        self.at = end;
        let line = self.text.get(start..end).unwrap_or_default();
        start..start + line.trim_end().len()
    }
}

/// Returns what is drawn of a line: behind a word that was broken at a soft hyphen, a hyphen.
pub(super) fn drawn(text: &str, line: Range<usize>) -> Cow<'_, str> {
    let (shown, behind) = (text.get(line.clone()).unwrap_or_default(), text.get(line.end..).unwrap_or_default());
    let goes_on = behind.chars().next().is_some_and(|next| !next.is_whitespace());
    match shown.strip_suffix(SOFT_HYPHEN).filter(|_| goes_on) {
        Some(word) => Cow::Owned(format!("{word}{HYPHEN}")),
        None => Cow::Borrowed(shown),
    }
}

/// Breaks a short text into all of its lines; an empty one has one.
pub(super) fn lines<'a>(fonts: &mut Fonts, weight: Weight, text: &'a str, width: u32) -> Vec<Cow<'a, str>> {
    let mut wrap = Wrap::new(text, weight, width);
    let mut lines = Vec::new();
    while let Some(line) = wrap.next(fonts) {
        lines.push(drawn(text, line));
    }
    if lines.is_empty() {
        lines.push(Cow::Borrowed(""));
    }
    lines
}
