//! The table: its header on every page, and rows that flow from page to page.

use model::problem::Problem;
use report::ColumnAlign;

use super::canvas::{ACCENT, FAINT, INK, Point, Rect, Style, hundredths, number, show_within};
use super::columns::{Layout, PlacedColumn};
use super::document::PdfDocument;
use super::fonts::{Fonts, Weight};
use super::multi_line_row::{self, Text};
use super::row::{NULL, text_of};
use super::wrap::lines;
use crate::cell::ColumnCells;
use crate::presentation::Presentation;

/// Height of a line, space above and below a row, and where a line stands: in parts of the size.
pub(super) const LEADING: f32 = 1.32;
pub(super) const PAD: f32 = 0.28;
pub(super) const STAND: f32 = 1.017;
/// Lines of a heading; a longer one is told in full behind the table.
const HEADER_LINES: usize = 6;

/// A table with its columns in place.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) columns: Vec<PlacedColumn>,
    pub(super) size: f32,
    pub(super) width: f32,
    header: Vec<Vec<String>>,
    /// Headings that were cut.
    pub(super) cut: Vec<String>,
    buffer: Vec<u8>,
    row: Vec<u8>,
    /// Left edges, widths and addresses of the links of `row`.
    links: Vec<(f32, f32, String)>,
}

impl Table {
    pub(super) fn new(layout: Layout, fonts: &mut Fonts) -> Self {
        let Layout { size, columns, width, .. } = layout;
        let (header, cut, buffer, row, links) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut table = Self { columns, size, width, header, cut, buffer, row, links };
        table.break_headings(fonts);
        table
    }

    /// The style of values.
    pub(super) fn style(&self) -> Style {
        Style::new(Weight::Regular, self.size, INK)
    }

    /// The height of a row of so many lines.
    pub(super) fn height(&self, lines: usize) -> f32 {
        self.size * (lines as f32 * LEADING + 2.0 * PAD)
    }

    fn header_style(&self) -> Style {
        Style::new(Weight::Bold, self.size, INK)
    }

    fn break_headings(&mut self, fonts: &mut Fonts) {
        let style = self.header_style();
        for placed in &self.columns {
            let title = &placed.column.shown.title;
            let broken = lines(fonts, Weight::Bold, title, style.units(placed.width + 0.02));
            let mut heading: Vec<String> =
                broken.iter().take(HEADER_LINES).map(|line| line.clone().into_owned()).collect();
            if broken.len() > HEADER_LINES {
                self.cut.push(title.clone());
                if let Some(last) = heading.last_mut() {
                    last.pop();
                    last.push('…');
                }
            }
            self.header.push(heading);
        }
    }

    fn header_lines(&self) -> usize {
        self.header.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Returns the height of the header.
    pub(super) fn header_height(&self) -> f32 {
        self.height(self.header_lines()) + self.size * PAD
    }

    /// Draws the header. There must be room for it.
    pub(super) fn draw_header(&self, document: &mut PdfDocument) {
        let (style, all) = (self.header_style(), self.header_lines());
        for (placed, heading) in self.columns.iter().zip(&self.header) {
            let above = all - heading.len();
            for (index, line) in heading.iter().enumerate() {
                let down = PAD + (above + index) as f32 * LEADING + STAND;
                draw_at(document, style, placed, document.y - self.size * down, line);
            }
        }
        document.y -= self.header_height();
        document.canvas.rule(INK, 0.8, Point::new(super::document::SIDE, document.y), self.width);
    }

    /// Turns the page and repeats the header.
    pub(super) fn break_page(&self, document: &mut PdfDocument, out: &mut Vec<u8>) -> Result<(), Problem> {
        document.break_page(out)?;
        self.draw_header(document);
        Ok(())
    }

    /// Writes the row at `row` of a batch.
    pub(super) fn write_row(
        &mut self,
        document: &mut PdfDocument,
        cells: &[ColumnCells<'_>],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        if !self.set_line(&mut document.fonts, cells, row) {
            return self.write_multi_line(document, cells, row, out);
        }
        let height = self.height(1);
        if document.remaining_height() < height {
            self.break_page(document, out)?;
        }
        let stands = document.y - self.size * (PAD + STAND);
        document.canvas.begin_text(self.style());
        number(&mut document.canvas.ops, 0);
        number(&mut document.canvas.ops, hundredths(stands));
        document.canvas.push(b"Td ");
        document.canvas.ops.append(&mut self.row);
        document.canvas.push(b"ET\n");
        for (x, width, address) in self.links.drain(..) {
            document.link(Rect { x, y: document.y - height, width, height }, &address);
        }
        document.y -= height;
        document.hairline(self.width);
        Ok(())
    }

    /// Sets a row whose values stand on one line each. False: one of them does not.
    fn set_line(&mut self, fonts: &mut Fonts, cells: &[ColumnCells<'_>], row: usize) -> bool {
        let style = Style::new(Weight::Regular, self.size, INK);
        self.row.clear();
        self.links.clear();
        let mut pen = 0;
        for (placed, cells) in self.columns.iter().zip(cells) {
            let text = text_of(&mut self.buffer, cells, row, &placed.column.shown);
            if text == Some("") {
                continue;
            }
            let address = text.and_then(|text| placed.column.shown.address(text));
            let colour = if text.is_none() { Some(FAINT) } else { address.as_ref().map(|_| ACCENT) };
            let start = self.row.len();
            if let Some(colour) = colour {
                self.row.extend_from_slice(colour.as_bytes());
                self.row.extend_from_slice(b" rg ");
            }
            // The place follows from the width, which is known when the text is set: it is set first and moved behind.
            let moved = self.row.len();
            let limit = style.units(placed.width + 0.02);
            self.row.push(b'(');
            let Some(width) = show_within(fonts, style, text.unwrap_or(NULL), limit, &mut self.row) else {
                self.row.truncate(start);
                return false;
            };
            self.row.extend_from_slice(b")Tj ");
            let left = aligned(placed, style.points(width));
            self.links.extend(address.map(|address| (left, style.points(width), address)));
            let x = hundredths(left);
            let end = self.row.len();
            number(&mut self.row, x - pen);
            self.row.extend_from_slice(b"0 Td");
            let place = self.row.len() - end;
            self.row[moved..].rotate_right(place);
            if colour.is_some() {
                self.row.extend_from_slice(INK.as_bytes());
                self.row.extend_from_slice(b" rg ");
            }
            pen = x;
        }
        true
    }

    fn write_multi_line(
        &mut self,
        document: &mut PdfDocument,
        cells: &[ColumnCells<'_>],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        let mut made = Vec::new();
        let texts: Vec<Text<'_>> = self
            .columns
            .iter()
            .zip(cells)
            .map(|(placed, cells)| owned_text(&mut made, cells, row, &placed.column.shown))
            .collect();
        multi_line_row::write(self, document, &texts, out)
    }
}

/// Text of long values is borrowed from the batch: it may be longer than memory is wide.
fn owned_text<'a>(buffer: &mut Vec<u8>, cells: &ColumnCells<'a>, row: usize, shown: &Presentation) -> Text<'a> {
    if let Some(text) = shown.text(cells, row) {
        return Text::Borrowed(text);
    }
    match text_of(buffer, cells, row, shown) {
        Some(text) => Text::Made(text.to_owned()),
        None => Text::Null,
    }
}

/// Returns where a text of this width starts in its column.
pub(super) fn aligned(placed: &PlacedColumn, width: f32) -> f32 {
    let spare = placed.width - width;
    placed.x
        + match placed.column.shown.align {
            ColumnAlign::Left => 0.0,
            ColumnAlign::Center => spare / 2.0,
            ColumnAlign::Right => spare,
        }
}

/// Draws a line of a column, and returns its place.
pub(super) fn draw_at(document: &mut PdfDocument, style: Style, placed: &PlacedColumn, y: f32, line: &str) -> Rect {
    let width = style.points(document.fonts.measure(style.weight, line));
    let x = aligned(placed, width);
    document.canvas.text(&mut document.fonts, style, Point::new(x, y), line);
    Rect { x, y: y - style.size * 0.25, width, height: style.size * LEADING }
}
