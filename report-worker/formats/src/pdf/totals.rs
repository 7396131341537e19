//! Totals under the last row: one row for each kind that the columns have.

use model::problem::Problem;
use report::ColumnTotal;

use super::canvas::{INK, Point, Style};
use super::document::{PdfDocument, SIDE};
use super::fonts::Weight;
use super::multi_line_row::{self, Text};
use super::table::{PAD, STAND, Table};
use crate::total::Totals;

/// Writes the totals that there are.
pub(super) fn write_totals(
    document: &mut PdfDocument,
    table: &Table,
    totals: &Totals,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let kinds: Vec<(ColumnTotal, Vec<Option<String>>)> = ColumnTotal::ALL
        .into_iter()
        .map(|kind| (kind, values_of(table, totals, kind)))
        .filter(|(_, values)| values.iter().any(Option::is_some))
        .collect();
    if kinds.is_empty() {
        return Ok(());
    }
    // Totals stand together, each with room for a value that needs a second line.
    if document.remaining_height() < table.height(2) * kinds.len() as f32 && !document.at_top() {
        table.break_page(document, out)?;
    }
    document.canvas.rule(INK, 0.8, Point::new(SIDE, document.y), table.width);
    for (kind, values) in kinds {
        write_kind(document, table, (kind, values), out)?;
    }
    Ok(())
}

fn values_of(table: &Table, totals: &Totals, kind: ColumnTotal) -> Vec<Option<String>> {
    let columns = table.columns.iter().enumerate();
    columns
        .map(|(index, placed)| {
            let shown = &placed.column.shown;
            let value = totals.value(index).filter(|_| shown.total == Some(kind))?;
            let mut text = Vec::new();
            shown.write_total(&mut text, &value);
            String::from_utf8(text).ok()
        })
        .collect()
}

fn write_kind(
    document: &mut PdfDocument,
    table: &Table,
    (kind, mut values): (ColumnTotal, Vec<Option<String>>),
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let style = Style::new(Weight::Bold, table.size, INK);
    let label = label_of(kind);
    match values.first_mut() {
        // The label has the first column and what is empty beside it, and so is not broken into the column's width.
        Some(None) => {
            let y = document.y - table.size * (PAD + STAND);
            document.canvas.text(&mut document.fonts, style, Point::new(SIDE, y), label);
        }
        Some(Some(value)) => *value = format!("{label} {value}"),
        None => {}
    }
    let texts: Vec<Text<'_>> = values.into_iter().map(|value| Text::Made(value.unwrap_or_default())).collect();
    multi_line_row::write_styled(table, document, &texts, style, out)
}

const fn label_of(kind: ColumnTotal) -> &'static str {
    match kind {
        ColumnTotal::Sum => "Total",
        ColumnTotal::Average => "Average",
        ColumnTotal::Count => "Count",
        ColumnTotal::Min => "Minimum",
        ColumnTotal::Max => "Maximum",
    }
}
