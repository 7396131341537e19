//! The operators of a page: text, rules and areas. Lengths are points, `y` grows upwards as PDF has it.

use super::fonts::{Fonts, Weight, is_line_break};

/// A colour as the operands of `rg` and `RG`.
pub(super) type Colour = &'static str;

/// Text.
pub(super) const INK: Colour = "0.086 0.102 0.125";
/// What explains and what is less important.
pub(super) const MUTED: Colour = "0.357 0.392 0.447";
/// What is hardly there: the dash of a value that is missing.
pub(super) const FAINT: Colour = "0.65 0.68 0.73";
/// Rules between rows.
pub(super) const HAIRLINE: Colour = "0.875 0.89 0.914";
/// Charts, and what leads the eye.
pub(super) const ACCENT: Colour = "0.122 0.373 0.749";
/// What has to be seen.
pub(super) const ALARM: Colour = "0.702 0.204 0.114";

/// Weight, size and colour of text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) weight: Weight,
    pub(super) size: f32,
    pub(super) colour: Colour,
}

impl Style {
    pub(super) const fn new(weight: Weight, size: f32, colour: Colour) -> Self {
        Self { weight, size, colour }
    }

    /// Turns points into thousandths of the size.
    pub(super) fn units(&self, points: f32) -> u32 {
        (points * 1000.0 / self.size).max(0.0) as u32
    }

    /// Turns thousandths of the size into points.
    pub(super) fn points(&self, units: u32) -> f32 {
        units as f32 * self.size / 1000.0
    }
}

/// A point of a page or drawing, from the lower left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) x: f32,
    pub(super) y: f32,
}

impl Point {
    pub(super) const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }
}

/// A rectangle by its lower left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) width: f32,
    pub(super) height: f32,
}

/// Content under construction.
#[derive(Debug, Clone, Default)]
pub(super) struct Canvas {
    pub(super) ops: Vec<u8>,
}

impl Canvas {
    /// Writes one line of text that starts at a point of its base line.
    pub(super) fn text(&mut self, fonts: &mut Fonts, style: Style, at: Point, text: &str) {
        if text.is_empty() {
            return;
        }
        self.begin_text(style);
        number(&mut self.ops, hundredths(at.x));
        number(&mut self.ops, hundredths(at.y));
        self.push(b"Td(");
        show(fonts, style, text, &mut self.ops);
        self.push(b")Tj ET\n");
    }

    /// Writes one line of text that ends at a point of its base line.
    pub(super) fn text_right_aligned(&mut self, fonts: &mut Fonts, style: Style, at: Point, text: &str) {
        let width = style.points(fonts.measure(style.weight, text));
        self.text(fonts, style, Point::new(at.x - width, at.y), text);
    }

    /// Opens a text object in a style.
    pub(super) fn begin_text(&mut self, style: Style) {
        self.push(b"BT ");
        self.push(style.colour.as_bytes());
        self.push(b" rg");
        font(&mut self.ops, style.weight as u8, style.size);
    }

    /// Fills a rectangle.
    pub(super) fn fill(&mut self, colour: Colour, rect: Rect) {
        self.push(colour.as_bytes());
        self.push(b" rg ");
        for length in [rect.x, rect.y, rect.width, rect.height] {
            number(&mut self.ops, hundredths(length));
        }
        self.push(b"re f\n");
    }

    /// Draws joined lines.
    pub(super) fn stroke(&mut self, colour: Colour, width: f32, points: impl IntoIterator<Item = Point>) {
        self.push(colour.as_bytes());
        self.push(b" RG ");
        number(&mut self.ops, hundredths(width));
        self.push(b"w ");
        for (index, point) in points.into_iter().enumerate() {
            number(&mut self.ops, hundredths(point.x));
            number(&mut self.ops, hundredths(point.y));
            self.push(if index == 0 { b"m " } else { b"l " });
        }
        self.push(b"S\n");
    }

    /// Draws a horizontal rule.
    pub(super) fn rule(&mut self, colour: Colour, thickness: f32, from: Point, length: f32) {
        self.stroke(colour, thickness, [from, Point::new(from.x + length, from.y)]);
    }

    /// Draws a named drawing with its origin at a point.
    pub(super) fn place(&mut self, name: &str, origin: Point) {
        self.push(b"q 1 0 0 1 ");
        number(&mut self.ops, hundredths(origin.x));
        number(&mut self.ops, hundredths(origin.y));
        self.push(b"cm/");
        self.push(name.as_bytes());
        self.push(b" Do Q\n");
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.ops.extend_from_slice(bytes);
    }
}

/// Appends the inside of a string, changing fonts where a character needs it. Returns the width in thousandths of the size.
pub(super) fn show(fonts: &mut Fonts, style: Style, text: &str, ops: &mut Vec<u8>) -> u32 {
    show_within(fonts, style, text, u32::MAX, ops).unwrap_or(0)
}

/// Does what [`show`] does, unless the text is wider than `limit` or has a line break.
pub(super) fn show_within(fonts: &mut Fonts, style: Style, text: &str, limit: u32, ops: &mut Vec<u8>) -> Option<u32> {
    let own = style.weight as u8;
    let (mut width, mut face) = (0, own);
    for char in text.chars() {
        if is_line_break(char) {
            return None;
        }
        let glyph = fonts.glyph(style.weight, char);
        if glyph.hidden {
            continue;
        }
        width += u32::from(glyph.advance);
        if width > limit {
            return None;
        }
        if glyph.face != face {
            change(ops, glyph.face, style.size);
            face = glyph.face;
        }
        let code = glyph.code.to_be_bytes();
        // Numbers in the built-in faces are chosen so that no byte needs this.
        if glyph.face > 1 {
            escape(ops, code);
        } else {
            ops.extend_from_slice(&code);
        }
    }
    if face != own {
        change(ops, own, style.size);
    }
    Some(width)
}

fn escape(ops: &mut Vec<u8>, code: [u8; 2]) {
    for byte in code {
        match byte {
            b'\r' => ops.extend_from_slice(b"\\r"),
            b'(' | b')' | b'\\' => ops.extend_from_slice(&[b'\\', byte]),
            _ => ops.push(byte),
        }
    }
}

fn change(ops: &mut Vec<u8>, face: u8, size: f32) {
    ops.extend_from_slice(b")Tj");
    font(ops, face, size);
    ops.push(b'(');
}

fn font(ops: &mut Vec<u8>, face: u8, size: f32) {
    ops.extend_from_slice(b"/F");
    ops.extend_from_slice(itoa::Buffer::new().format(face).as_bytes());
    ops.push(b' ');
    number(ops, hundredths(size));
    ops.extend_from_slice(b"Tf ");
}

/// Cuts a line that is wider than `width` points, visibly.
pub(super) fn clipped(fonts: &mut Fonts, style: Style, text: &str, width: f32) -> String {
    let (limit, all) = (style.units(width), fonts.measure(style.weight, text));
    if all <= limit {
        return text.to_owned();
    }
    let dots = u32::from(fonts.glyph(style.weight, '…').advance);
    let (mut clipped, mut used) = (String::new(), dots);
    for char in text.chars() {
        used += u32::from(fonts.glyph(style.weight, char).advance);
        if used > limit {
            break;
        }
        clipped.push(char);
    }
    clipped.push('…');
    clipped
}

/// Rounds to what is written: hundredths of a point.
pub(super) fn hundredths(points: f32) -> i32 {
    (points * 100.0).round() as i32
}

/// Writes a number of hundredths, and a space.
#[inline]
pub(super) fn number(ops: &mut Vec<u8>, hundredths: i32) {
    if hundredths < 0 {
        ops.push(b'-');
    }
    let value = hundredths.unsigned_abs();
    let (whole, part) = (value / 100, value % 100);
    if whole > 0 || part == 0 {
        ops.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    }
    if part > 0 {
        ops.push(b'.');
        ops.push(b'0' + (part / 10) as u8);
        if part % 10 > 0 {
            ops.push(b'0' + (part % 10) as u8);
        }
    }
    ops.push(b' ');
}
