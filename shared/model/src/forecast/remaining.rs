//! How far a running attempt is, and what its rows alone say of the rest.

use super::Range;

/// How far a running attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RunProgress {
    /// Since the claim.
    pub elapsed_ms: f64,
    /// Rows read.
    pub rows: u64,
    /// Rows to be read, where known.
    pub total_rows: Option<u64>,
    /// Whether the total is a guess.
    pub total_is_estimate: bool,
}

/// What is left at the speed so far, and the share that is done; the nearer the end, the more certain.
pub(super) fn by_rows(going: &RunProgress) -> Option<(Range, f64)> {
    let total = going.total_rows.filter(|total| *total > 0)?;
    let done = going.rows as f64 / total as f64;
    if going.rows == 0 || done >= 1.0 {
        return None;
    }
    let left = going.elapsed_ms * (1.0 - done) / done;
    // A planner's guess is often wrong by half.
    let doubt = if going.total_is_estimate { 0.5 } else { 0.3 * (1.0 - done) + 0.05 };
    Some((
        Range::around(left, left * doubt, left * doubt * 2.0),
        if going.total_is_estimate { done / 2.0 } else { done },
    ))
}
