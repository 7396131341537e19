//! How much a file would grow is found by rehearsal: a copy of its writer writes the rows and ends the file, and the bytes are
//! counted. Where a file ends depends on everything before, so nothing simpler tells.

use arrow_array::RecordBatch;
use model::problem::Problem;

use super::{Ending, RowWriter};

/// A writer that can be copied in the midst of its file.
pub(super) trait Rehearse: RowWriter {
    /// Returns how many bytes the writer itself may hold back at most, beside those its copy writes.
    fn held_back(&self) -> u64;
    /// Returns a copy that writes on as the writer would. What it writes is as long, and need not fit what stands before.
    fn rehearsal(&self) -> Self;
}

/// Writes rows and the ending with a copy, and returns their bytes.
pub(super) fn rehearsed(mut copy: impl RowWriter, batch: &RecordBatch, ending: Ending) -> Result<u64, Problem> {
    let mut out = Vec::new();
    copy.write(batch, &mut out)?;
    copy.finish(ending, &mut out)?;
    Ok(out.len() as u64)
}
