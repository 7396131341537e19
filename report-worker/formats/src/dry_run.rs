//! How much a file would grow is found by a dry run: a copy of its writer writes the rows and ends the file, and the bytes are
//! counted. Where a file ends depends on everything before, so nothing simpler tells.

use arrow_array::RecordBatch;
use model::problem::Problem;

use super::{FileSummary, RowWriter};

/// A writer that can be copied in the midst of its file.
pub(super) trait DryRun: RowWriter {
    /// Returns how many bytes the writer itself may hold back at most, beside those its copy writes.
    fn pending_bytes(&self) -> u64;
    /// Returns a copy that writes on as the writer would. What it writes is as long, and need not fit what stands before.
    fn dry_run(&self) -> Self;
}

/// Writes rows and what stands behind them with a copy, and returns their bytes.
pub(super) fn measure_growth(
    mut copy: impl RowWriter,
    batch: &RecordBatch,
    summary: FileSummary,
) -> Result<u64, Problem> {
    let mut out = Vec::new();
    copy.write(batch, &mut out)?;
    copy.finish(summary, &mut out)?;
    Ok(out.len() as u64)
}
