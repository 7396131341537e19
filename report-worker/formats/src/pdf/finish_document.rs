//! What is known behind the last row: totals, notes, how many rows and pages there are, fonts, and what the file says of itself.

use std::fmt::Write as _;

use model::problem::Problem;

use super::canvas::{ALARM, Canvas, MUTED, Point, Style};
use super::chart::Chart;
use super::document::{FOOT_STYLE, PdfDocument, SIDE, name_of, unfinished};
use super::embed::embed_fonts;
use super::fonts::{Fonts, Weight};
use super::heading::{VALUE, write_lines};
use super::metadata;
use super::objects::FixedObject;
use super::table::Table;
use crate::{About, FileSummary};

const NOTE: Style = Style::new(Weight::Regular, 7.5, MUTED);
const WARNING: Style = Style::new(Weight::Bold, 7.5, ALARM);
/// Missing characters that are named; the others are counted.
const NAMED: usize = 24;

/// Writes the notes under the table.
pub(super) fn write_notes(
    document: &mut PdfDocument,
    table: &Table,
    summary: FileSummary,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    document.y -= 8.0;
    let text_width = document.sheet.text_width();
    if summary.rows == 0 {
        write_lines(document, NOTE, 1.4, text_width, "There are no rows.", out)?;
    }
    if !summary.complete {
        let text = format!(
            "Not every row is here: a limit cut the report off after {}. There are more.",
            counted(summary.rows, "row")
        );
        write_lines(document, WARNING, 1.4, text_width, &text, out)?;
    }
    for title in &table.cut {
        write_lines(document, NOTE, 1.4, text_width, &format!("A heading in full: {title}"), out)?;
    }
    if let Some(text) = missing(&document.fonts) {
        write_lines(document, WARNING, 1.4, text_width, &text, out)?;
    }
    Ok(())
}

/// Says which characters are shown as boxes.
fn missing(fonts: &Fonts) -> Option<String> {
    if fonts.missing.is_empty() {
        return None;
    }
    let names: Vec<String> =
        fonts.missing.iter().take(NAMED).map(|char| format!("U+{:04X}", u32::from(*char))).collect();
    let count = counted(fonts.missing.len() as u64, "character");
    let mut text = format!("No font has a glyph for {count} of this file: {}", names.join(", "));
    if fonts.missing.len() > NAMED {
        let _ = write!(text, " and {} more", fonts.missing.len() - NAMED);
    }
    text.push_str(
        ". They are shown as boxes; copied from the page they are themselves. The setting `worker.fonts` adds fonts.",
    );
    Some(text)
}

/// Writes what pages refer to, and the end of the file.
pub(super) fn finish(
    mut document: PdfDocument,
    chart: Option<&Chart>,
    about: &About,
    summary: FileSummary,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    document.finish_page(out)?;
    let sheet = document.sheet;
    document.objects.finish_pages([sheet.width, sheet.height], out);
    let drawn = put_drawings(&mut document, chart, summary, out);
    embed_fonts(&mut document.objects, &document.fonts, &drawn, out)?;
    metadata::write(&mut document.objects, about, summary, out);
    document.objects.finish(about.job_id.as_bytes(), out).map_err(|error| unfinished(&error))
}

fn put_drawings(
    document: &mut PdfDocument,
    chart: Option<&Chart>,
    summary: FileSummary,
    out: &mut Vec<u8>,
) -> Vec<(&'static [u8], FixedObject)> {
    let mut canvas = Canvas::default();
    let pages = format!("of {}", grouped(document.objects.pages()));
    let width = FOOT_STYLE.points(document.fonts.measure(FOOT_STYLE.weight, &pages));
    canvas.text(&mut document.fonts, FOOT_STYLE, Point::new(0.0, 0.0), &pages);
    let cut = Style::new(Weight::Bold, FOOT_STYLE.size, ALARM);
    if !summary.complete {
        canvas.text(&mut document.fonts, cut, Point::new(width, 0.0), "  ·  cut off at a limit");
    }
    document.put_drawing(FixedObject::PageCount, &canvas, [document.sheet.width, 10.0], out);

    let mut canvas = Canvas::default();
    if summary.complete {
        canvas.text(&mut document.fonts, VALUE, Point::new(0.0, 0.0), &grouped(summary.rows));
    } else {
        let style = Style::new(Weight::Bold, VALUE.size, ALARM);
        canvas.text(&mut document.fonts, style, Point::new(0.0, 0.0), &format!("{}, cut off", grouped(summary.rows)));
    }
    document.put_drawing(FixedObject::Summary, &canvas, [document.sheet.width, 12.0], out);

    let mut drawn = vec![FixedObject::PageCount, FixedObject::Summary];
    if let Some(chart) = chart {
        let mut canvas = Canvas::default();
        let size = chart.draw(&mut canvas, &mut document.fonts);
        document.put_drawing(FixedObject::Chart, &canvas, size, out);
        drawn.push(FixedObject::Chart);
    }
    drawn.into_iter().map(|which| (name_of(which).as_bytes(), which)).collect()
}

fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// Writes a number with a comma between thousands.
pub(super) fn grouped(number: u64) -> String {
    model::locale::grouped(number, ",")
}

/// Leaves space between what was written and the chart or table.
pub(super) fn place_chart(document: &mut PdfDocument, chart: &Chart, out: &mut Vec<u8>) -> Result<(), Problem> {
    if document.remaining_height() < chart.height() {
        document.break_page(out)?;
    }
    document.canvas.place(name_of(FixedObject::Chart), Point::new(SIDE, document.y));
    document.y -= chart.height() + 14.0;
    Ok(())
}
