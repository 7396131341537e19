//! What stands before the table: title, description, what the rows were selected by, and the place of the chart.

use model::problem::Problem;

use super::canvas::{HAIRLINE, INK, MUTED, Point, Style};
use super::document::{PdfDocument, SIDE, name_of};
use super::fonts::Weight;
use super::objects::FixedObject;
use super::wrap::{Wrap, drawn, lines};
use crate::About;

const TITLE: Style = Style::new(Weight::Bold, 19.0, INK);
const DESCRIPTION: Style = Style::new(Weight::Regular, 9.0, MUTED);
const LABEL: Style = Style::new(Weight::Regular, 6.5, MUTED);
pub(super) const VALUE: Style = Style::new(Weight::Regular, 8.5, INK);
/// Longer lines than this are hard to follow.
const READABLE: f32 = 430.0;
/// A fact's narrowest place, and the space between two.
const FACT: f32 = 112.0;
const FACT_GAP: f32 = 16.0;
/// Lines of a fact that stands beside others; a longer one gets the width of the page.
const FACT_LINES: usize = 2;

/// A label and what it says.
struct Fact<'a> {
    label: &'a str,
    value: &'a str,
}

/// Writes the heading.
pub(super) fn write_heading(document: &mut PdfDocument, about: &About, out: &mut Vec<u8>) -> Result<(), Problem> {
    write_lines(document, TITLE, 1.22, document.sheet.text_width(), &about.title, out)?;
    if !about.description.is_empty() {
        document.y -= 5.0;
        // Line breaks of the catalogue file are not the page's; empty lines are.
        for paragraph in about.description.split("\n\n") {
            let text = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
            write_lines(document, DESCRIPTION, 1.45, document.sheet.text_width().min(READABLE), &text, out)?;
        }
    }
    document.y -= 11.0;
    document.canvas.rule(HAIRLINE, 0.6, Point::new(SIDE, document.y), document.sheet.text_width());
    document.y -= 9.0;
    write_facts(document, about, out)?;
    document.y -= 9.0;
    Ok(())
}

/// Returns the time of the snapshot as people read it.
pub(super) fn snapshot_text(about: &About) -> String {
    about.snapshot_at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn write_facts(document: &mut PdfDocument, about: &About, out: &mut Vec<u8>) -> Result<(), Problem> {
    let snapshot = snapshot_text(about);
    let mut facts = vec![Fact { label: "Data as of", value: &snapshot }];
    facts.extend(about.params.iter().map(|(label, value)| Fact { label, value }));
    let text_width = document.sheet.text_width();
    let across = ((text_width + FACT_GAP) / (FACT + FACT_GAP)).floor().max(1.0);
    let width = (text_width + FACT_GAP) / across - FACT_GAP;
    let (mut column, mut deepest) = (0.0, 0);
    // How many rows there are is known at the end; its place is the first.
    let mut rows = true;
    for fact in std::iter::once(None).chain(facts.iter().map(Some)) {
        let place = |lines: usize| lines_height(lines);
        let broken = fact.map_or(1, |fact| count_lines(document, fact.value, width));
        if broken > FACT_LINES || column >= across {
            document.y -= if column > 0.0 { place(deepest) } else { 0.0 };
            (column, deepest) = (0.0, 0);
        }
        if broken > FACT_LINES {
            if let Some(fact) = fact {
                write_long_fact(document, fact, out)?;
            }
            continue;
        }
        if column == 0.0 && document.remaining_height() < place(FACT_LINES) {
            document.break_page(out)?;
        }
        let x = SIDE + column * (width + FACT_GAP);
        if let Some(fact) = fact {
            write_fact(document, fact, x, width);
        } else if rows {
            document.canvas.text(&mut document.fonts, LABEL, Point::new(x, document.y - LABEL.size), "Rows");
            document.canvas.place(name_of(FixedObject::Summary), Point::new(x, document.y - LABEL.size - 11.0));
            rows = false;
        }
        column += 1.0;
        deepest = deepest.max(broken);
    }
    document.y -= if column > 0.0 { lines_height(deepest) } else { 0.0 };
    Ok(())
}

fn lines_height(lines: usize) -> f32 {
    LABEL.size + 6.0 + lines as f32 * VALUE.size * 1.3 + 5.0
}

/// Counts lines up to the first that is too many.
fn count_lines(document: &mut PdfDocument, text: &str, width: f32) -> usize {
    let mut wrap = Wrap::new(text, VALUE.weight, VALUE.units(width));
    let mut lines = 0;
    while lines <= FACT_LINES && wrap.next(&mut document.fonts).is_some() {
        lines += 1;
    }
    lines
}

fn write_fact(document: &mut PdfDocument, fact: &Fact<'_>, x: f32, width: f32) {
    let top = document.y - LABEL.size;
    let label = lines(&mut document.fonts, LABEL.weight, fact.label, LABEL.units(width));
    document.canvas.text(
        &mut document.fonts,
        LABEL,
        Point::new(x, top),
        label.first().map_or("", |line| line.as_ref()),
    );
    let value = lines(&mut document.fonts, VALUE.weight, fact.value, VALUE.units(width));
    for (index, line) in value.iter().enumerate() {
        let y = top - 11.0 - index as f32 * VALUE.size * 1.3;
        document.canvas.text(&mut document.fonts, VALUE, Point::new(x, y), line);
    }
}

fn write_long_fact(document: &mut PdfDocument, fact: &Fact<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let text_width = document.sheet.text_width();
    write_lines(document, LABEL, 1.3, text_width, fact.label, out)?;
    document.y -= 1.0;
    write_lines(document, VALUE, 1.3, text_width, fact.value, out)?;
    document.y -= 6.0;
    Ok(())
}

/// Writes lines from the left margin on, over as many pages as it takes.
pub(super) fn write_lines(
    document: &mut PdfDocument,
    style: Style,
    leading: f32,
    width: f32,
    text: &str,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let mut wrap = Wrap::new(text, style.weight, style.units(width));
    while let Some(line) = wrap.next(&mut document.fonts) {
        if document.remaining_height() < style.size * leading {
            document.break_page(out)?;
        }
        document.y -= style.size * leading;
        let stands = document.y + style.size * (leading - 1.0);
        document.canvas.text(&mut document.fonts, style, Point::new(SIDE, stands), &drawn(text, line));
    }
    Ok(())
}
