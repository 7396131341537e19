//! Values of a row as text.

use arrow_schema::Schema;
use model::problem::{Problem, ProblemKind};

use crate::cell::ColumnCells;
use crate::presentation::Presentation;

/// Stands where there is no value.
pub(super) const NULL: &str = "–";

/// Returns a value's text, made in `buffer` where it is not text already; nothing for a null.
pub(super) fn text_of<'a>(
    buffer: &'a mut Vec<u8>,
    cells: &ColumnCells<'a>,
    row: usize,
    presentation: &Presentation,
) -> Option<&'a str> {
    if cells.is_null(row) {
        return None;
    }
    if let Some(text) = presentation.text(cells, row) {
        return Some(text);
    }
    buffer.clear();
    presentation.write(buffer, cells, row);
    Some(std::str::from_utf8(buffer).unwrap_or_default())
}

/// Bytes of the longest text that is set: some 300 pages of a column.
const MOST_TEXT: usize = 1 << 20;

/// Refuses a text that nobody would read on paper, before anybody measures it. `before`: the rows written before these.
pub(super) fn refuse_endless_text(schema: &Schema, cells: &[ColumnCells<'_>], before: u64) -> Result<(), Problem> {
    for (field, cells) in schema.fields().iter().zip(cells) {
        let ColumnCells::Text(array) = cells else { continue };
        if array.value_data().len() <= MOST_TEXT {
            continue;
        }
        if let Some(row) = array.iter().position(|text| text.is_some_and(|text| text.len() > MOST_TEXT)) {
            let (name, row) = (field.name(), before + row as u64 + 1);
            return Err(Problem::new(
                ProblemKind::UnsupportedColumn,
                format!(
                    "column `{name}` holds a text of more than {MOST_TEXT} bytes in row {row}, which no page should; shorten it in the \
                     query, for example left({name}, 1000), or take another format"
                ),
            ));
        }
    }
    Ok(())
}
