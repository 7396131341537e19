//! PDF: pages go out as they fill, so memory does not grow with their number.
//!
//! The way of a row: [`row`] makes text of its values, [`table`] sets them on a line (or [`multi_line_row`] on several, broken by
//! [`wrap`]), with glyphs from [`fonts`] and operators of [`canvas`]; [`document`] turns the pages, and [`objects`] keeps what is
//! needed to find them again. [`columns`] decides at the first batch which page and what size of type the columns need. Whatever
//! is known only at the end stands there and is referred to from the pages: see [`finish_document`] and [`embed`].

mod canvas;
mod chart;
mod columns;
mod deflate;
mod document;
mod embed;
mod finish_document;
mod font_files;
mod fonts;
mod heading;
mod metadata;
mod multi_line_row;
mod objects;
mod row;
mod table;
mod totals;
mod wrap;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use model::problem::Problem;

pub use font_files::{FontFile, load_fonts};

use self::chart::Chart;
use self::columns::{Layout, MeasuredColumn};
use self::document::PdfDocument;
use self::fonts::Fonts;
use self::row::{refuse_endless_text, text_of};
use self::table::Table;
use super::cell::cells;
use super::dry_run::DryRun;
use super::total::Totals;
use super::{About, FileSummary, RowWriter};

/// Rows of the first batch that decide on the columns' widths.
const LOOK_AT_ROWS: usize = 1000;

/// Writes one PDF.
#[derive(Debug, Clone)]
pub(super) struct PdfWriter {
    about: Arc<About>,
    schema: Option<SchemaRef>,
    open: Option<OpenDocument>,
    /// Rows so far.
    rows: u64,
}

/// A file whose first page is laid out.
#[derive(Debug, Clone)]
struct OpenDocument {
    document: PdfDocument,
    table: Table,
    totals: Totals,
    chart: Option<Chart>,
}

impl PdfWriter {
    pub(super) fn new(about: &Arc<About>) -> Self {
        Self { about: Arc::clone(about), schema: None, open: None, rows: 0 }
    }

    /// Lays out the first page, with the first rows if there are any.
    fn open(&self, schema: &Schema, first: Option<&RecordBatch>, out: &mut Vec<u8>) -> Result<OpenDocument, Problem> {
        let about = &self.about;
        let mut fonts = Fonts::new(&about.fonts);
        let mut measured = MeasuredColumn::of_schema(schema, about, &mut fonts);
        let mut chart = about.chart.as_ref().map(|spec| Chart::new(spec, schema, about)).transpose()?;
        if let Some(batch) = first {
            measure_rows(&mut measured, &mut fonts, batch)?;
            if let Some(chart) = &mut chart {
                chart.plan(batch, &mut fonts)?;
            }
        }
        let layout = Layout::find(measured, about.page)?;
        let mut document = PdfDocument::new(fonts, layout.sheet, &metadata::foot(about), out);
        let table = Table::new(layout, &mut document.fonts);
        heading::write_heading(&mut document, about, out)?;
        if let Some(chart) = &mut chart {
            chart.set_width(document.sheet.text_width());
            finish_document::place_chart(&mut document, chart, out)?;
        }
        if document.remaining_height() < table.header_height() + table.height(2) {
            document.break_page(out)?;
        }
        table.draw_header(&mut document);
        Ok(OpenDocument { document, table, totals: Totals::new(about, schema), chart })
    }
}

impl DryRun for PdfWriter {
    /// Pages are compressed one by one.
    fn pending_bytes(&self) -> u64 {
        0
    }

    fn dry_run(&self) -> Self {
        self.clone()
    }
}

fn measure_rows(measured: &mut [MeasuredColumn], fonts: &mut Fonts, batch: &RecordBatch) -> Result<(), Problem> {
    let cells = cells(batch)?;
    let mut buffer = Vec::new();
    for row in 0..batch.num_rows().min(LOOK_AT_ROWS) {
        for (column, cells) in measured.iter_mut().zip(&cells) {
            if let Some(text) = text_of(&mut buffer, cells, row, &column.shown) {
                column.measure(fonts, text);
            }
        }
    }
    Ok(())
}

impl RowWriter for PdfWriter {
    fn begin(&mut self, schema: &Schema, _out: &mut Vec<u8>) -> Result<(), Problem> {
        self.schema = Some(Arc::new(schema.clone()));
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Problem> {
        let cells = cells(batch)?;
        refuse_endless_text(batch.schema_ref(), &cells, self.rows)?;
        self.rows += batch.num_rows() as u64;
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open(batch.schema_ref(), Some(batch), out)?,
        };
        for row in 0..batch.num_rows() {
            open.table.write_row(&mut open.document, &cells, row, out)?;
        }
        open.totals.add(batch)?;
        if let Some(chart) = &mut open.chart {
            chart.read(batch)?;
        }
        self.open = Some(open);
        Ok(())
    }

    fn finish(&mut self, summary: FileSummary, out: &mut Vec<u8>) -> Result<(), Problem> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                let schema = self.schema.take().unwrap_or_else(|| Arc::new(Schema::empty()));
                self.open(&schema, None, out)?
            }
        };
        totals::write_totals(&mut open.document, &open.table, &open.totals, out)?;
        finish_document::write_notes(&mut open.document, &open.table, summary, out)?;
        finish_document::finish(open.document, open.chart.as_ref(), &self.about, summary, out)
    }
}
