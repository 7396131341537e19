//! Rows become a file: one writer a format, streaming, over Arrow record batches.

mod about;
mod cell;
mod csv;
mod jsonl;
pub(crate) mod number;
pub(crate) mod time;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use shared::artifact::Format;
use shared::problem::Problem;

pub use about::{About, Ending};

/// Turns batches into the bytes of one file.
///
/// Rules for every implementation:
/// * Memory does not grow with the number of rows.
/// * A batch brings its own schema: a column that was `Null` may have got its type (see [`crate::source::Reading::schema`]).
/// * A value is written exactly or not at all: [`shared::problem::ProblemKind::UnsupportedColumn`] names the column.
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
    fn finish(&mut self, ending: Ending, out: &mut Vec<u8>) -> Result<(), Problem>;
}

/// Returns a fresh writer of the format, for a file that says `about` of itself where the format has a place for it.
#[must_use]
pub fn writer(format: Format, _about: &Arc<About>) -> Box<dyn RowWriter> {
    match format {
        Format::Csv => Box::new(csv::CsvWriter),
        Format::Jsonl => Box::new(jsonl::JsonlWriter::default()),
    }
}
