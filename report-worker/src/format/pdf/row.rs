//! Values of a row as text.

use crate::format::cell::Cells;
use crate::format::presentation::Presentation;

/// Stands where there is no value.
pub(super) const NULL: &str = "–";

/// Returns a value's text, made in `buffer` where it is not text already; nothing for a null.
pub(super) fn text_of<'a>(
    buffer: &'a mut Vec<u8>,
    cells: &Cells<'a>,
    row: usize,
    presentation: &Presentation,
) -> Option<&'a str> {
    if cells.is_null(row) {
        return None;
    }
    if let Cells::Text(array) = cells {
        return Some(array.value(row));
    }
    buffer.clear();
    presentation.write(buffer, cells, row);
    Some(std::str::from_utf8(buffer).unwrap_or_default())
}
