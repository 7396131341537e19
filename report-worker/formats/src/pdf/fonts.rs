//! Characters become glyphs: which face has one, how wide it is, and by which number the file calls it.
//!
//! Numbers are given in the order of first use, so a page can go out before it is known which glyphs later pages need. A number
//! stands for a character, not for a glyph: what is copied from the page is exactly what was in the data, even where a face draws
//! two characters alike or has no glyph and shows a box.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, GlyphId, MetadataProvider as _};
use subsetter::GlyphRemapper;

use super::font_files::FontFile;

/// Characters without a glyph that are told apart; any further ones are one character to whoever copies them.
const MAX_MISSING: usize = 4096;

/// How text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Regular = 0,
    Bold = 1,
}

/// A character in a face. Widths count thousandths of the size.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Glyph {
    pub(super) face: u8,
    /// 0: not looked up yet.
    pub(super) code: u16,
    pub(super) advance: u16,
    /// Nothing is drawn, and nothing stands in the file: so it is no gap in a word that is searched for.
    pub(super) hidden: bool,
}

/// What the file says of a code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Code {
    pub(super) code: u16,
    pub(super) text: char,
    /// In the subset.
    pub(super) glyph: u16,
    pub(super) advance: u16,
}

/// A font file, and what is used of it.
#[derive(Debug, Clone)]
pub(super) struct Face {
    pub(super) file: Arc<FontFile>,
    pub(super) subset: GlyphRemapper,
    pub(super) codes: Vec<Code>,
    next: u16,
}

/// Every face of the file.
#[derive(Debug, Clone)]
pub(super) struct Fonts {
    pub(super) faces: Vec<Face>,
    ascii: [[Glyph; 128]; 2],
    others: [HashMap<char, Glyph>; 2],
    /// Characters no face has.
    pub(super) missing: BTreeSet<char>,
}

impl Fonts {
    /// Opens the built-in faces and those behind them.
    pub(super) fn new(files: &[Arc<FontFile>]) -> Self {
        let faces = FontFile::built_in().into_iter().chain(files.iter().cloned());
        Self {
            faces: faces.map(Face::new).collect(),
            ascii: [[Glyph::default(); 128]; 2],
            others: [HashMap::new(), HashMap::new()],
            missing: BTreeSet::new(),
        }
    }

    /// Finds the glyph of a character.
    #[inline]
    pub(super) fn glyph(&mut self, weight: Weight, char: char) -> Glyph {
        let known = if char.is_ascii() {
            self.ascii[weight as usize][char as usize % 128]
        } else {
            self.others[weight as usize].get(&char).copied().unwrap_or_default()
        };
        if known.code == 0 { self.look_up(weight, char) } else { known }
    }

    /// Measures text in thousandths of the size.
    pub(super) fn measure(&mut self, weight: Weight, text: &str) -> u32 {
        text.chars().map(|char| u32::from(self.glyph(weight, char).advance)).sum()
    }

    #[cold]
    fn look_up(&mut self, weight: Weight, char: char) -> Glyph {
        let glyph = self.find(weight, char);
        if char.is_ascii() {
            self.ascii[weight as usize][char as usize % 128] = glyph;
        } else {
            self.others[weight as usize].insert(char, glyph);
        }
        glyph
    }

    fn find(&mut self, weight: Weight, char: char) -> Glyph {
        // Before any face is asked: some have pictures of these, for editors.
        if is_invisible(char) {
            return Glyph { face: weight as u8, code: u16::MAX, advance: 0, hidden: true };
        }
        let own = weight as usize;
        let order = std::iter::once(own).chain(2..self.faces.len());
        // Tabs are spaces here, as in every reader of text.
        let drawn = if char == '\t' { ' ' } else { char };
        for index in order.filter(|_| !is_control(drawn)) {
            if let Some((glyph, advance)) = self.faces[index].draw(drawn) {
                return self.faces[index].code(index, char, glyph, advance);
            }
        }
        if is_line_break(char) {
            let space = self.faces[own].draw(' ').map_or(0, |(glyph, _)| glyph);
            return self.faces[own].code(own, char, space, 0);
        }
        let known = self.missing.contains(&char) || self.missing.len() < MAX_MISSING;
        if known {
            self.missing.insert(char);
        }
        let told = match char {
            // Unicode has pictures of these, which no program takes for what they show.
            '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(char)).unwrap_or(char),
            _ if known => char,
            _ => char::REPLACEMENT_CHARACTER,
        };
        let advance = self.faces[own].advance(0).unwrap_or(600);
        self.faces[own].code(own, told, 0, advance)
    }
}

impl Face {
    fn new(file: Arc<FontFile>) -> Self {
        Self { file, subset: GlyphRemapper::new(), codes: Vec::new(), next: 0 }
    }

    /// Finds glyph and advance of a character.
    fn draw(&self, char: char) -> Option<(u16, u16)> {
        let font = FontRef::from_index(self.file.data(), self.file.index()).ok()?;
        let glyph = font.charmap().map(char).map(GlyphId::to_u32).filter(|glyph| *glyph != 0)?;
        let glyph = u16::try_from(glyph).ok()?;
        Some((glyph, self.advance(glyph)?))
    }

    fn advance(&self, glyph: u16) -> Option<u16> {
        let font = FontRef::from_index(self.file.data(), self.file.index()).ok()?;
        let metrics = font.glyph_metrics(Size::new(1000.0), LocationRef::default());
        metrics.advance_width(GlyphId::from(glyph)).map(|advance| advance.round().clamp(0.0, 10_000.0) as u16)
    }

    /// Gives a character its number, or finds the one it has.
    fn code(&mut self, face: usize, text: char, glyph: u16, advance: u16) -> Glyph {
        let face = u8::try_from(face).unwrap_or(0);
        if let Some(known) = self.codes.iter().find(|code| code.text == text) {
            return Glyph { face, code: known.code, advance: known.advance, hidden: false };
        }
        let in_subset = if glyph == 0 { 0 } else { self.subset.remap(glyph) };
        let code = if self.file.is_cff() { in_subset } else { self.next_code() };
        let advance_of = Code { code, text, glyph: in_subset, advance };
        if self.codes.iter().all(|known| known.code != code) {
            self.codes.push(advance_of);
        }
        Glyph { face, code, advance, hidden: false }
    }

    /// Returns the next number whose two bytes mean nothing in a string of a page: no brackets, backslashes, carriage returns.
    fn next_code(&mut self) -> u16 {
        let plain = |byte: u8| !matches!(byte, b'(' | b')' | b'\\' | b'\r');
        loop {
            // A face has at most 65,535 glyphs; whoever needs more numbers than there are shares the last.
            self.next = self.next.saturating_add(1);
            let [high, low] = self.next.to_be_bytes();
            if (plain(high) && plain(low)) || self.next == u16::MAX {
                return self.next;
            }
        }
    }
}

/// Characters that are orders to a terminal; fonts draw nothing for them.
fn is_control(char: char) -> bool {
    char.is_control() && !is_line_break(char)
}

/// Characters behind which a line has ended.
pub(super) const fn is_line_break(char: char) -> bool {
    matches!(char, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Characters that are never seen themselves: joiners, marks of direction, places where a word may be broken, choices between glyphs.
/// Unicode's `Default_Ignorable_Code_Point`, and what encloses annotations.
pub(super) const fn is_invisible(char: char) -> bool {
    matches!(char, SOFT_HYPHEN | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}')
}

/// Where it stands a word may be broken, and then it is a hyphen.
pub(super) const SOFT_HYPHEN: char = '\u{AD}';
