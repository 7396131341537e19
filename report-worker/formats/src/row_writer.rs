//! The contract of formats.

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use model::problem::Problem;

use crate::about::FileSummary;

/// Turns batches into the bytes of one file.
///
/// Rules for every implementation:
/// * Memory does not grow with the number of rows.
/// * A batch brings its own schema: a column that was `Null` may have got its type while rows come.
/// * A value is written exactly or not at all: [`model::problem::ProblemKind::UnsupportedColumn`] names the column. Where a format that
///   the definition asks for rounds it, it may be the nearest that is shown alike.
pub trait RowWriter: Send {
    /// Appends what stands before the first row.
    ///
    /// # Errors
    /// Names a column that cannot be written.
    fn begin(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), Problem>;
    /// Appends the rows of a batch.
    ///
    /// # Errors
    /// Names a column that cannot be written.
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Problem>;
    /// Appends what stands behind the last row.
    ///
    /// # Errors
    /// Says why the file cannot be finished.
    fn finish(&mut self, summary: FileSummary, out: &mut Vec<u8>) -> Result<(), Problem>;
    /// Tells how much the file would grow if the batch were written next and then finished with this summary. Asked only where a
    /// file may be cut at a number of bytes, and only when it comes near to that.
    fn growth(&mut self, _batch: &RecordBatch, _summary: FileSummary) -> Growth {
        Growth::Unknown
    }
    /// Appends what is held back, where that makes it smaller: the next bound of [`Self::growth`] is a closer one.
    ///
    /// # Errors
    /// Says why it cannot be written.
    fn flush(&mut self, _out: &mut Vec<u8>) -> Result<(), Problem> {
        Ok(())
    }
}

/// How much a file grows by a batch that is the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// By what `write` appends to `out`. The writer remembers nothing of a batch, so that the batch is taken back by taking
    /// back those bytes.
    AsWritten,
    /// By this many bytes at most.
    AtMost(u64),
    /// Nobody can tell, because the batch cannot be written: writing it says why.
    Unknown,
}
