//! CSV after RFC 4180: UTF-8, CRLF, a header row, quotes only where they are needed; with the definition's options for the
//! programs that want it otherwise.
//!
//! Null is an empty field, empty text is `""`. Spreadsheets run text that is a formula, so such text gets an apostrophe before it,
//! unless the definition keeps it as it is: see [`super::formula`]. That goes by the column's type too: numbers, dates and times are
//! never touched, negative ones neither. `NaN`, `Infinity` and `-Infinity` stand as such.

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use model::problem::Problem;
use report::{CsvOptions, FormulaText};
use values::is_measure;

use super::cell::{ColumnCells, bytes_of, cells};
use super::formula::may_run;
use super::{FileSummary, Growth, RowWriter};

/// Bytes that are looked at together.
const PIECE: usize = 4096;

/// Writes CSV as the options say.
#[derive(Debug)]
pub(super) struct CsvWriter {
    options: CsvOptions,
    /// By byte: whether text that has it is quoted.
    quoted: [bool; 256],
}

/// A column of a batch.
struct CsvColumn<'a> {
    cells: ColumnCells<'a>,
    /// None of its texts has a byte that asks for quotes.
    clean: bool,
    /// Its texts are lengths of time or amounts of money: no formulas, whatever they begin with.
    measure: bool,
}

impl CsvWriter {
    pub(super) fn new(options: CsvOptions) -> Self {
        let mut quoted = [false; 256];
        for byte in [b'"', options.separator, b'\r', b'\n', 0] {
            quoted[usize::from(byte)] = true;
        }
        Self { options, quoted }
    }

    /// Writes a text field. `clean`: it is known that no byte within asks for quotes.
    fn write_text(&self, out: &mut Vec<u8>, text: &str, clean: bool, measure: bool) {
        let bytes = text.as_bytes();
        let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
            out.extend_from_slice(b"\"\"");
            return;
        };
        let formula = !measure && self.options.formulas == FormulaText::Escape && may_run(text);
        // Some readers trim fields, so outer spaces are quoted although the RFC does not ask for it.
        let spaced = first == b' ' || last == b' ';
        if clean && !formula {
            if spaced {
                out.push(b'"');
            }
            out.extend_from_slice(bytes);
            if spaced {
                out.push(b'"');
            }
            return;
        }
        let quoted = spaced || (!clean && bytes.iter().any(|byte| self.quoted[usize::from(*byte)]));
        if quoted {
            out.push(b'"');
        }
        if formula {
            out.push(b'\'');
        }
        if quoted {
            write_doubling_quotes(out, bytes);
            out.push(b'"');
        } else {
            out.extend_from_slice(bytes);
        }
    }

    /// Tells whether none of a column's texts has a byte that asks for quotes. Most columns have none in most batches, and all of
    /// their bytes are looked at in a fraction of the time that it takes one by one.
    fn is_clean(&self, column: &ColumnCells<'_>) -> bool {
        let ColumnCells::Text(array) = column else { return false };
        let separator = self.options.separator;
        let asks = |byte: u8| byte == b'"' || byte == separator || byte == b'\r' || byte == b'\n' || byte == 0;
        // Without a way out in the middle of a piece: so it can be compared many bytes at a time.
        !bytes_of(array).chunks(PIECE).any(|piece| piece.iter().fold(false, |found, byte| found | asks(*byte)))
    }

    fn write_cell(&self, out: &mut Vec<u8>, column: &CsvColumn<'_>, row: usize) {
        if let ColumnCells::Text(array) = &column.cells {
            return self.write_text(out, array.value(row), column.clean, column.measure);
        }
        let start = out.len();
        column.cells.write_plain(row, out);
        if self.options.decimal_comma
            && column.cells.is_fractional()
            && let Some(point) = out.iter_mut().skip(start).find(|byte| **byte == b'.')
        {
            *point = b',';
        }
    }
}

impl RowWriter for CsvWriter {
    fn begin(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), Problem> {
        if self.options.bom {
            out.extend_from_slice("\u{feff}".as_bytes());
        }
        if !self.options.header {
            return Ok(());
        }
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                out.push(self.options.separator);
            }
            self.write_text(out, field.name(), false, false);
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Problem> {
        let fields = batch.schema_ref().fields().iter();
        let known = |(cells, field)| CsvColumn { clean: self.is_clean(&cells), measure: is_measure(field), cells };
        let columns: Vec<_> = cells(batch)?.into_iter().zip(fields.map(AsRef::as_ref)).map(known).collect();
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(self.options.separator);
                }
                if !column.cells.is_null(row) {
                    self.write_cell(out, column, row);
                }
            }
            // A line of one null would be an empty line, which readers skip.
            if columns.len() == 1 && columns.iter().all(|column| column.cells.is_null(row)) {
                out.extend_from_slice(b"\"\"");
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn finish(&mut self, _summary: FileSummary, _out: &mut Vec<u8>) -> Result<(), Problem> {
        Ok(())
    }

    fn growth(&mut self, _batch: &RecordBatch, _summary: FileSummary) -> Growth {
        Growth::AsWritten
    }
}

fn write_doubling_quotes(out: &mut Vec<u8>, bytes: &[u8]) {
    for part in bytes.split_inclusive(|byte| *byte == b'"') {
        out.extend_from_slice(part);
        if part.last() == Some(&b'"') {
            out.push(b'"');
        }
    }
}
