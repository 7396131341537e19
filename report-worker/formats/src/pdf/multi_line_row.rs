//! Rows of several lines: kept together where that is sensible, else continued on further pages, line by line, whatever the length.

use std::collections::VecDeque;
use std::ops::Range;

use model::problem::Problem;

use super::canvas::{ACCENT, FAINT, Style};
use super::document::PdfDocument;
use super::fonts::Fonts;
use super::row::NULL;
use super::table::{LEADING, PAD, STAND, Table, draw_at};
use super::wrap::{Wrap, drawn};

/// A row of up to this many lines stands on one page.
const TOGETHER: usize = 12;
/// A longer row begins with this many lines or on the next page.
const FIRST_LINES: usize = 3;
/// A number that does not fit is set smaller, down to this part of the size.
const SMALLEST: f32 = 0.62;

/// A value of a row.
pub(super) enum Text<'a> {
    Null,
    Borrowed(&'a str),
    Made(String),
}

impl Text<'_> {
    fn as_str(&self) -> &str {
        match self {
            Text::Null => NULL,
            Text::Borrowed(text) => text,
            Text::Made(text) => text,
        }
    }
}

/// A value on its way into lines.
struct CellFlow<'a> {
    text: &'a str,
    style: Style,
    /// Where it leads, if it is a link.
    address: Option<String>,
    wrap: Wrap<'a>,
    /// Lines that are broken and not yet drawn.
    ready: VecDeque<Range<usize>>,
}

impl<'a> CellFlow<'a> {
    fn new(table: &Table, column: usize, text: &'a Text<'a>, fonts: &mut Fonts, style: Style) -> Self {
        let placed = &table.columns[column];
        let mut style = style;
        let words = text.as_str();
        if matches!(text, Text::Null) {
            style.colour = FAINT;
        }
        let address = match text {
            Text::Borrowed(text) => placed.column.shown.address(text),
            Text::Null | Text::Made(_) => None,
        };
        if address.is_some() {
            style.colour = ACCENT;
        }
        if placed.column.whole {
            let width = style.points(fonts.measure(style.weight, words));
            let smaller = (style.size * placed.width / width * 20.0).floor() / 20.0;
            if width > placed.width {
                style.size = smaller.max(style.size * SMALLEST);
            }
        }
        let wrap = Wrap::new(words, style.weight, style.units(placed.width + 0.02));
        Self { text: words, style, address, wrap, ready: VecDeque::new() }
    }

    /// Breaks further lines until so many are ready, or the text has ended.
    fn fill(&mut self, fonts: &mut Fonts, lines: usize) {
        while self.ready.len() < lines {
            let Some(line) = self.wrap.next(fonts) else { return };
            self.ready.push_back(line);
        }
    }
}

/// Writes a row, one text a column.
pub(super) fn write(
    table: &Table,
    document: &mut PdfDocument,
    texts: &[Text<'_>],
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    write_styled(table, document, texts, table.style(), out)
}

/// Writes a row in a style of its own.
pub(super) fn write_styled(
    table: &Table,
    document: &mut PdfDocument,
    texts: &[Text<'_>],
    style: Style,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let texts = texts.iter().take(table.columns.len()).enumerate();
    let mut flows: Vec<CellFlow<'_>> =
        texts.map(|(column, text)| CellFlow::new(table, column, text, &mut document.fonts, style)).collect();
    let full = lines_in(table, document.sheet.depth() - table.header_height());
    let lines = fill(&mut flows, &mut document.fonts, full + 1);
    let fitting_lines = lines_in(table, document.remaining_height());
    if lines > fitting_lines && (lines <= TOGETHER.min(full) || fitting_lines < FIRST_LINES) && !document.at_top() {
        table.break_page(document, out)?;
    }
    loop {
        let fitting_lines = lines_in(table, document.remaining_height()).max(1);
        let lines = fill(&mut flows, &mut document.fonts, fitting_lines + 1);
        let drawn = lines.min(fitting_lines);
        draw(table, document, &mut flows, drawn);
        if lines <= fitting_lines {
            document.y -= table.height(drawn.max(1));
            document.hairline(table.width);
            return Ok(());
        }
        table.break_page(document, out)?;
    }
}

/// Breaks lines in every column and returns how many the longest has ready.
fn fill(flows: &mut [CellFlow<'_>], fonts: &mut Fonts, lines: usize) -> usize {
    for flow in flows.iter_mut() {
        flow.fill(fonts, lines);
    }
    flows.iter().map(|flow| flow.ready.len()).max().unwrap_or(0)
}

fn draw(table: &Table, document: &mut PdfDocument, flows: &mut [CellFlow<'_>], lines: usize) {
    for (placed, flow) in table.columns.iter().zip(flows) {
        for index in 0..lines {
            let Some(line) = flow.ready.pop_front() else { break };
            let y = document.y - table.size * (PAD + index as f32 * LEADING + STAND);
            let place = draw_at(document, flow.style, placed, y, &drawn(flow.text, line));
            if let Some(address) = &flow.address {
                document.link(place, address);
            }
        }
    }
}

fn lines_in(table: &Table, height: f32) -> usize {
    ((height - table.height(0)) / (table.size * LEADING) + 0.001).max(0.0) as usize
}
