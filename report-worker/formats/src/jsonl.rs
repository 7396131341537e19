//! JSON Lines: one object a row, keys in the order of the columns.
//!
//! Numbers are exact, decimals of any length included; `NaN`, `Infinity` and `-Infinity`, which JSON has no numbers for, are
//! the strings `"NaN"`, `"Infinity"` and `"-Infinity"`. Dates and times are strings: `2024-02-29`, `2024-02-29T12:00:00` without
//! zone, `2024-02-29T12:00:00Z` for points in time. JSON of the source is a string, or what it is where the definition says so.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};
use model::problem::Problem;
use report::JsonText;
use serde_json::value::RawValue;
use values::is_json;
use values::number::{f32_text, f64_text, write_decimal};
use values::time::{write_date, write_instant, write_timestamp};

use super::cell::{ColumnCells, bytes_of, cells, distinct_names};
use super::{FileSummary, Growth, RowWriter};

/// Writes JSON Lines as the options say.
#[derive(Debug)]
pub(super) struct JsonlWriter {
    json: JsonText,
    /// What stands before each value: `{"name":`, then `,"name":`.
    keys: Vec<Vec<u8>>,
}

impl JsonlWriter {
    pub(super) fn new(json: JsonText) -> Self {
        Self { json, keys: Vec::new() }
    }
}

/// A column of a batch.
struct JsonlColumn<'a> {
    cells: ColumnCells<'a>,
    /// None of its texts has a byte that must be escaped.
    clean: bool,
    /// Its texts are JSON, and stand as such.
    nested: bool,
}

impl RowWriter for JsonlWriter {
    fn begin(&mut self, schema: &Schema, _out: &mut Vec<u8>) -> Result<(), Problem> {
        self.keys.clear();
        distinct_names(schema, "a JSON object")?;
        for (index, field) in schema.fields().iter().enumerate() {
            let mut key = vec![if index == 0 { b'{' } else { b',' }];
            write_string(&mut key, field.name());
            key.push(b':');
            self.keys.push(key);
        }
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Problem> {
        let known = |(cells, field): (_, &Arc<Field>)| {
            let nested = self.json == JsonText::Nested && is_json(field);
            JsonlColumn { clean: !nested && is_clean(&cells), nested, cells }
        };
        let columns: Vec<_> = cells(batch)?.into_iter().zip(batch.schema_ref().fields()).map(known).collect();
        for row in 0..batch.num_rows() {
            for (key, column) in self.keys.iter().zip(&columns) {
                out.extend_from_slice(key);
                match &column.cells {
                    cells if cells.is_null(row) => out.extend_from_slice(b"null"),
                    ColumnCells::Text(array) if column.clean => {
                        out.push(b'"');
                        out.extend_from_slice(array.value(row).as_bytes());
                        out.push(b'"');
                    }
                    ColumnCells::Text(array) if column.nested => write_json(out, array.value(row)),
                    cells => write_cell(out, cells, row),
                }
            }
            out.extend_from_slice(b"}\n");
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

/// Tells whether no text of the column has a byte that must be escaped.
fn is_clean(column: &ColumnCells<'_>) -> bool {
    let ColumnCells::Text(array) = column else { return false };
    let asks = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    // Without a way out in the middle of a piece: so it can be compared many bytes at a time.
    !bytes_of(array).chunks(4096).any(|piece| piece.iter().fold(false, |found, byte| found | asks(*byte)))
}

fn write_cell(out: &mut Vec<u8>, column: &ColumnCells<'_>, row: usize) {
    match column {
        ColumnCells::Null => out.extend_from_slice(b"null"),
        ColumnCells::Boolean(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
        ColumnCells::Int16(array) => write_integer(out, array.value(row)),
        ColumnCells::Int32(array) => write_integer(out, array.value(row)),
        ColumnCells::Int64(array) => write_integer(out, array.value(row)),
        ColumnCells::Float32(array) => write_number(out, f32_text(&mut zmij::Buffer::new(), array.value(row))),
        ColumnCells::Float64(array) => write_number(out, f64_text(&mut zmij::Buffer::new(), array.value(row))),
        ColumnCells::Numeric(array) => write_number(out, array.value(row)),
        ColumnCells::Decimal(array, scale) => write_decimal(out, array.value(row), *scale),
        ColumnCells::Text(array) => write_string(out, array.value(row)),
        ColumnCells::Date(array) => {
            out.push(b'"');
            write_date(out, i64::from(array.value(row)));
            out.push(b'"');
        }
        ColumnCells::Timestamp(array) => {
            out.push(b'"');
            write_timestamp(out, array.value(row), b'T');
            out.push(b'"');
        }
        ColumnCells::Instant(array) => {
            out.push(b'"');
            write_instant(out, array.value(row));
            out.push(b'"');
        }
    }
}

/// Writes a JSON document as it is, on one line. What is none stays a string.
fn write_json(out: &mut Vec<u8>, text: &str) {
    let Ok(document) = serde_json::from_str::<&RawValue>(text) else { return write_string(out, text) };
    // Line ends stand between values only: within strings they are escaped.
    out.extend(document.get().bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
}

fn write_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Writes a number, quoted where JSON has none.
fn write_number(out: &mut Vec<u8>, text: &str) {
    let finite = text.as_bytes().last().is_some_and(u8::is_ascii_digit);
    if !finite {
        out.push(b'"');
    }
    out.extend_from_slice(text.as_bytes());
    if !finite {
        out.push(b'"');
    }
}

/// Writes a string, escaping what JSON requires and nothing else.
fn write_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut written = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[written..index]);
        written = index + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}
