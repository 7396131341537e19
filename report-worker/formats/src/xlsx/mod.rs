//! XLSX: an Excel workbook, written from front to back while the rows come.
//!
//! Values are typed: numbers, dates, times and booleans are what they are. What a spreadsheet's numbers cannot hold stands as
//! text, and no digit is lost: numbers of more than 15 digits, `NaN` and `Infinity`, dates before 1900-03-01, times finer than a
//! millisecond. A format that the definition asks for says which digits count: what it does not show may be lost, and the value is
//! a number. Text is text, however much it looks like a formula. Rows that do not fit a sheet go on in the next one. The last
//! sheet and the properties say what the file is.

mod about_sheet;
mod column;
mod links;
mod looks;
mod names;
mod package;
mod sheet;
mod strings;
mod style;
mod text;
mod value;
mod width;
mod zip;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use model::problem::{Problem, ProblemKind};

use self::column::{Column, Row};
use self::links::Links;
use self::names::{letters, sheet_name};
use self::package::Sheet;
use self::sheet::SheetTail;
use self::strings::Strings;
use self::style::{CellRole, Styles};
use self::zip::Zip;
use super::cell::cells;
use super::dry_run::DryRun;
use super::total::Totals;
use super::{About, FileSummary, RowWriter};

/// Most rows of a sheet, header, totals and a remark included.
pub(super) const SHEET_ROWS: u32 = 1_048_576;
/// Rows that are kept for header, totals and a remark.
const RESERVED: u32 = 3;
/// Bytes of a sheet after which rows go on in the next one: an entry of the archive stays below 4 GiB.
const SHEET_BYTES: u64 = 3 << 30;
const MOST_COLUMNS: usize = 16_384;
/// How hard deflate tries. Of 500,000 rows of `lineitem`, level 1 makes 73 MB at 9.1 million cells a second and core, level 3 49 MB at
/// 4.7, level 5 42 MB at 2.6.
const LEVEL: u32 = 3;
/// Bytes of a sheet that are compressed at a time.
const CHUNK: usize = 64 << 10;

/// Writes one workbook.
#[derive(Debug)]
pub(super) struct XlsxWriter {
    about: Arc<About>,
    /// Rows of the result in a sheet.
    rows_per_sheet: u32,
    zip: Zip,
    styles: Styles,
    strings: Strings,
    /// Of the sheet.
    links: Links,
    totals: Option<Totals>,
    columns: Vec<Column>,
    widths: Vec<usize>,
    sheets: Vec<Sheet>,
    /// The first rows, until it is known whether there are more: columns get their widths from them.
    held: Option<RecordBatch>,
    /// Of the sheet, not compressed yet.
    xml: Vec<u8>,
    /// Bytes of the sheet that are compressed.
    sheet_bytes: u64,
    rows: u64,
}

impl XlsxWriter {
    /// Starts a workbook whose sheets have at most `sheet_rows` rows.
    pub(super) fn new(about: &Arc<About>, sheet_rows: u32) -> Self {
        Self {
            about: Arc::clone(about),
            rows_per_sheet: sheet_rows.clamp(RESERVED + 1, SHEET_ROWS) - RESERVED,
            zip: Zip::new(LEVEL),
            styles: Styles::default(),
            strings: Strings::default(),
            links: Links::default(),
            totals: None,
            columns: Vec::new(),
            widths: Vec::new(),
            sheets: Vec::new(),
            held: None,
            xml: Vec::with_capacity(CHUNK * 2),
            sheet_bytes: 0,
            rows: 0,
        }
    }

    /// Learns the columns, and later the types of those that had none.
    fn describe_columns(&mut self, schema: &Schema) {
        for (index, field) in schema.fields().iter().enumerate() {
            match self.columns.get_mut(index) {
                Some(column) if column.kind == *field.data_type() => {}
                // What stands as text already does so whatever the rest is.
                Some(column) => {
                    let texts = column.texts;
                    *column = Column::new(&self.about, field, index, &mut self.styles);
                    column.texts = texts;
                }
                None => self.columns.push(Column::new(&self.about, field, index, &mut self.styles)),
            }
        }
    }

    /// Writes the rows that were held, with columns as wide as they need. `whole`: there are no others.
    fn release(&mut self, whole: bool, out: &mut Vec<u8>) -> Result<(), Problem> {
        let held = self.held.take();
        if self.sheets.is_empty()
            && let Some(totals) = &self.totals
        {
            self.widths = width::widths(&self.columns, held.as_ref(), totals, whole)?;
            self.open_sheet(out);
        }
        held.map_or(Ok(()), |batch| self.write_rows(&batch, out))
    }

    fn open_sheet(&mut self, out: &mut Vec<u8>) {
        let number = self.sheets.len() + 1;
        self.sheets.push(Sheet { name: sheet_name(&self.about.title, number), rows: 0 });
        self.zip.start(&format!("xl/worksheets/sheet{number}.xml"), out);
        self.sheet_bytes = 0;
        sheet::write_head(&mut self.xml, &self.columns, &self.widths, number == 1);
    }

    fn close_sheet(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        let rows = self.sheets.last().map_or(0, |sheet| sheet.rows);
        let links = std::mem::take(&mut self.links);
        let tail = SheetTail { widths: &self.widths, links: &links, rows };
        sheet::write_tail(&mut self.xml, &self.about, &self.columns, &tail);
        self.compress(out)?;
        self.zip.end(out)?;
        let number = self.sheets.len();
        match links.part() {
            Some(part) => self.zip.part(&format!("xl/worksheets/_rels/sheet{number}.xml.rels"), &part, out),
            None => Ok(()),
        }
    }

    fn compress(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.zip.write(&self.xml, out)?;
        self.sheet_bytes += self.xml.len() as u64;
        self.xml.clear();
        Ok(())
    }

    fn write_rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Problem> {
        let cells = cells(batch)?;
        let mut number = itoa::Buffer::new();
        for at in 0..batch.num_rows() {
            let full = self.sheets.last().is_none_or(|sheet| sheet.rows >= self.rows_per_sheet);
            if full || self.sheet_bytes >= SHEET_BYTES {
                self.close_sheet(out)?;
                self.open_sheet(out);
            }
            let Some(sheet) = self.sheets.last_mut() else { break };
            sheet.rows += 1;
            self.rows += 1;
            let number = number.format(sheet.rows + 1).as_bytes();
            self.xml.extend_from_slice(b"<row r=\"");
            self.xml.extend_from_slice(number);
            self.xml.extend_from_slice(b"\">");
            let mut row = Row {
                xml: &mut self.xml,
                strings: &mut self.strings,
                links: &mut self.links,
                number,
                of_result: self.rows,
            };
            for (column, cells) in self.columns.iter_mut().zip(&cells) {
                column.write(&mut row, cells, at)?;
            }
            self.xml.extend_from_slice(b"</row>");
            if self.xml.len() >= CHUNK {
                self.compress(out)?;
            }
        }
        Ok(())
    }

    /// Writes totals and remarks below the last row.
    fn write_below(&mut self, summary: FileSummary) {
        let mut row = self.sheets.last().map_or(0, |sheet| sheet.rows) + 2;
        if self.rows == 0 {
            sheet::write_remark(&mut self.xml, row, &mut self.styles, CellRole::Note, "No rows");
            row += 1;
        } else if let Some(totals) = self.totals.as_ref().filter(|totals| totals.any()) {
            sheet::write_totals(&mut self.xml, row, &self.columns, totals, &self.sheets);
            row += 1;
        }
        if !summary.complete {
            let text = "A limit cut this file: further rows are missing";
            sheet::write_remark(&mut self.xml, row, &mut self.styles, CellRole::Warning, text);
        }
    }
}

impl DryRun for XlsxWriter {
    fn pending_bytes(&self) -> u64 {
        self.zip.pending_bytes()
    }

    fn dry_run(&self) -> Self {
        Self {
            about: Arc::clone(&self.about),
            zip: self.zip.dry_run(LEVEL),
            styles: self.styles.clone(),
            strings: self.strings.clone(),
            links: self.links.clone(),
            totals: self.totals.clone(),
            columns: self.columns.clone(),
            widths: self.widths.clone(),
            sheets: self.sheets.clone(),
            held: self.held.clone(),
            xml: self.xml.clone(),
            ..*self
        }
    }
}

impl RowWriter for XlsxWriter {
    fn begin(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), Problem> {
        let count = schema.fields().len();
        if count > MOST_COLUMNS {
            return Err(Problem::new(
                ProblemKind::UnsupportedColumn,
                format!(
                    "the query returns {count} columns; a spreadsheet holds {MOST_COLUMNS}; select fewer, or take another format"
                ),
            ));
        }
        self.describe_columns(schema);
        self.totals = Some(Totals::new(&self.about, schema));
        self.zip.part("_rels/.rels", &package::root(), out)?;
        self.zip.part("docProps/app.xml", &package::application(), out)
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Problem> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if let Some(totals) = &mut self.totals {
            totals.add(batch)?;
        }
        if self.sheets.is_empty() && self.held.is_none() {
            self.describe_columns(batch.schema_ref());
            self.held = Some(batch.clone());
            return Ok(());
        }
        self.release(false, out)?;
        self.describe_columns(batch.schema_ref());
        self.write_rows(batch, out)
    }

    fn finish(&mut self, summary: FileSummary, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.release(true, out)?;
        self.write_below(summary);
        self.close_sheet(out)?;
        let sheets = self.sheets.len() + 1;
        let page = about_sheet::about_sheet(&self.about, summary, &mut self.styles);
        self.zip.part(&format!("xl/worksheets/sheet{sheets}.xml"), &page, out)?;
        let last = letters(self.columns.len().saturating_sub(1));
        self.zip.part("xl/sharedStrings.xml", &self.strings.part(), out)?;
        self.zip.part("xl/styles.xml", &self.styles.part(), out)?;
        self.zip.part("xl/workbook.xml", &package::workbook(&self.sheets, &last), out)?;
        self.zip.part("xl/_rels/workbook.xml.rels", &package::workbook_relations(sheets), out)?;
        self.zip.part("docProps/core.xml", &package::core_properties(&self.about), out)?;
        self.zip.part("docProps/custom.xml", &package::custom_properties(&self.about, summary), out)?;
        self.zip.part("[Content_Types].xml", &package::content_types(sheets), out)?;
        self.zip.finish(out);
        Ok(())
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        if self.sheets.is_empty() {
            return Ok(());
        }
        self.compress(out)?;
        self.zip.flush(out)
    }
}
