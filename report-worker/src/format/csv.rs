//! CSV after RFC 4180: UTF-8, CRLF, a header row, quotes only where they are needed.
//!
//! Null is an empty field, empty text is `""`. Spreadsheets run text that looks like a formula, so text that starts with one of
//! `= + - @`, a tab or a carriage return gets an apostrophe before it. That goes by the column's type: numbers, dates and
//! times are never touched, negative ones neither. `NaN`, `Infinity` and `-Infinity` stand as such.

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use shared::problem::Problem;

use super::cell::{Cells, cells};
use super::number::{f32_text, f64_text};
use super::time::{write_date, write_instant, write_timestamp};
use super::{Ending, RowWriter};

#[derive(Debug)]
pub(super) struct CsvWriter;

impl RowWriter for CsvWriter {
    fn begin(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), Problem> {
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_text(out, field.name());
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Problem> {
        let columns = cells(batch)?;
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                if !column.is_null(row) {
                    write_cell(out, column, row);
                }
            }
            // A line of one null would be an empty line, which readers skip.
            if columns.len() == 1 && columns.iter().all(|column| column.is_null(row)) {
                out.extend_from_slice(b"\"\"");
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn finish(&mut self, _ending: Ending, _out: &mut Vec<u8>) -> Result<(), Problem> {
        Ok(())
    }
}

fn write_cell(out: &mut Vec<u8>, column: &Cells<'_>, row: usize) {
    match column {
        Cells::Null => {}
        Cells::Boolean(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
        Cells::Int16(array) => write_integer(out, array.value(row)),
        Cells::Int32(array) => write_integer(out, array.value(row)),
        Cells::Int64(array) => write_integer(out, array.value(row)),
        Cells::Float32(array) => {
            out.extend_from_slice(f32_text(&mut zmij::Buffer::new(), array.value(row)).as_bytes());
        }
        Cells::Float64(array) => {
            out.extend_from_slice(f64_text(&mut zmij::Buffer::new(), array.value(row)).as_bytes());
        }
        Cells::Numeric(array) => out.extend_from_slice(array.value(row).as_bytes()),
        Cells::Text(array) => write_text(out, array.value(row)),
        Cells::Date(array) => write_date(out, i64::from(array.value(row))),
        Cells::Timestamp(array) => write_timestamp(out, array.value(row), b' '),
        Cells::Instant(array) => write_instant(out, array.value(row)),
    }
}

fn write_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Writes a text field.
fn write_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let Some(&first) = bytes.first() else {
        out.extend_from_slice(b"\"\"");
        return;
    };
    let formula = matches!(first, b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r');
    // Some readers trim fields, so outer spaces are quoted although the RFC does not ask for it.
    let quoted = first == b' ' || bytes.last() == Some(&b' ') || bytes.iter().any(|byte| must_quote(*byte));
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

const fn must_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b',' | b'\r' | b'\n' | 0)
}

fn write_doubling_quotes(out: &mut Vec<u8>, bytes: &[u8]) {
    for part in bytes.split_inclusive(|byte| *byte == b'"') {
        out.extend_from_slice(part);
        if part.last() == Some(&b'"') {
            out.push(b'"');
        }
    }
}
