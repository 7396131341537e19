//! Values of a row as text.

use shared::report::ColumnFormat;

use crate::format::cell::Cells;
use crate::format::number::{f32_text, f64_text};
use crate::format::time::{write_date, write_instant, write_timestamp};

/// Stands where there is no value.
pub(super) const NULL: &str = "–";

/// Returns a value's text, made in `buffer` where it is not text already; nothing for a null.
pub(super) fn text_of<'a>(
    buffer: &'a mut Vec<u8>,
    cells: &Cells<'a>,
    row: usize,
    format: Option<&ColumnFormat>,
) -> Option<&'a str> {
    if cells.is_null(row) {
        return None;
    }
    if let Cells::Text(array) = cells {
        return Some(array.value(row));
    }
    buffer.clear();
    let _ = format;
    match cells {
        Cells::Boolean(array) => buffer.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
        Cells::Int16(array) => buffer.extend_from_slice(itoa::Buffer::new().format(array.value(row)).as_bytes()),
        Cells::Int32(array) => buffer.extend_from_slice(itoa::Buffer::new().format(array.value(row)).as_bytes()),
        Cells::Int64(array) => buffer.extend_from_slice(itoa::Buffer::new().format(array.value(row)).as_bytes()),
        Cells::Float32(array) => {
            buffer.extend_from_slice(f32_text(&mut zmij::Buffer::new(), array.value(row)).as_bytes());
        }
        Cells::Float64(array) => {
            buffer.extend_from_slice(f64_text(&mut zmij::Buffer::new(), array.value(row)).as_bytes());
        }
        Cells::Numeric(array) => buffer.extend_from_slice(array.value(row).as_bytes()),
        Cells::Date(array) => write_date(buffer, i64::from(array.value(row))),
        Cells::Timestamp(array) => write_timestamp(buffer, array.value(row), b' '),
        Cells::Instant(array) => write_instant(buffer, array.value(row)),
        Cells::Null | Cells::Text(_) => {}
    }
    Some(std::str::from_utf8(buffer).unwrap_or_default())
}
