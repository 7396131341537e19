//! How wide columns are: as wide as heading, first rows and total need, within reason.

use arrow_array::RecordBatch;
use model::problem::Problem;
use report::ColumnTotal;

use super::column::Column;
use super::sheet;
use crate::cell::cells;
use crate::total::Totals;

/// Rows that are looked at.
const SAMPLE: usize = 400;
/// Of columns whose width nobody chose, in characters.
const NARROWEST: usize = 8;
const WIDEST: usize = 60;
/// What the button of the filter takes beside a heading.
const BUTTON: usize = 3;
/// Space on both sides.
const PADDING: usize = 3;
/// Digits by which a number further down may be longer, and a sum.
const LONGER: usize = 2;
const LONGER_SUM: usize = 7;

/// Returns the width of each column in characters. `whole`: the batch is all there is.
pub(super) fn widths(
    columns: &[Column],
    sample: Option<&RecordBatch>,
    totals: &Totals,
    whole: bool,
) -> Result<Vec<usize>, Problem> {
    let values = sample.map(cells).transpose()?.unwrap_or_default();
    let rows = sample.map_or(0, |sample| sample.num_rows().min(SAMPLE));
    let mut text = Vec::new();
    let mut widths = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        if let Some(width) = column.presentation.width {
            widths.push(usize::from(width));
            continue;
        }
        let mut widest = 0;
        if let Some(cells) = values.get(index) {
            for row in 0..rows {
                text.clear();
                column.write_shown(&mut text, cells, row);
                widest = widest.max(extent(&text));
            }
        }
        if column.is_number && !whole {
            let sum = column.presentation.total == Some(ColumnTotal::Sum);
            widest += if sum { LONGER_SUM } else { LONGER };
        }
        if let Some(total) = totals.value(index) {
            text.clear();
            sheet::write_total_text(&mut text, column, &total);
            widest = widest.max(extent(&text) + 1);
        }
        let heading = extent(column.presentation.title.as_bytes()) + BUTTON;
        widths.push((widest.max(heading) + PADDING).clamp(NARROWEST, WIDEST));
    }
    Ok(widths)
}

/// Counts characters, wide ones twice, as far as a column can become wide.
fn extent(text: &[u8]) -> usize {
    let (seen, _) = text.split_at(text.len().min(4 * WIDEST));
    String::from_utf8_lossy(seen).chars().map(|char| if is_wide(char) { 2 } else { 1 }).sum()
}

/// Tells whether a character is of a script whose characters are twice as wide.
const fn is_wide(char: char) -> bool {
    matches!(char, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}')
}
