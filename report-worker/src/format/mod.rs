//! Rows become a file: one writer a format, streaming, over Arrow record batches.

mod about;
mod cell;
mod compress;
mod csv;
mod decimal;
mod dictionary;
mod digits;
mod gather;
pub(crate) mod glimpse;
mod jsonl;
pub(crate) mod number;
pub(crate) mod parquet;
mod pdf;
mod presentation;
mod rehearse;
pub(crate) mod time;
mod total;
mod xlsx;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use model::artifact::Format;
use model::problem::Problem;

use compress::compressed;
use gather::gathered;

pub use about::{About, Ending};
pub use pdf::{FontFile, load_fonts};

/// Turns batches into the bytes of one file.
///
/// Rules for every implementation:
/// * Memory does not grow with the number of rows.
/// * A batch brings its own schema: a column that was `Null` may have got its type (see [`crate::source::Reading::schema`]).
/// * A value is written exactly or not at all: [`model::problem::ProblemKind::UnsupportedColumn`] names the column.
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
    /// Tells how much the file would grow if the batch were written next and then finished with this ending. Asked only where a
    /// file may be cut at a number of bytes, and only when it comes near to that.
    fn growth(&mut self, _batch: &RecordBatch, _ending: Ending) -> Growth {
        Growth::Unknown
    }
    /// Appends what is held back, where that makes it smaller: the next bound of [`Self::growth`] is a closer one.
    ///
    /// # Errors
    /// Says why it cannot be written.
    fn settle(&mut self, _out: &mut Vec<u8>) -> Result<(), Problem> {
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

/// Returns a fresh writer of the format, for a file that says `about` of itself where the format has a place for it.
#[must_use]
pub fn writer(format: Format, about: &Arc<About>) -> Box<dyn RowWriter> {
    match format {
        Format::Csv => compressed(Box::new(csv::CsvWriter::new(about.csv)), about.csv.compression),
        Format::Jsonl => compressed(Box::new(jsonl::JsonlWriter::default()), about.jsonl.compression),
        Format::Parquet => Box::new(parquet::ParquetWriter::new(about)),
        Format::Pdf => gathered(pdf::PdfWriter::new(about)),
        Format::Xlsx => gathered(xlsx::XlsxWriter::new(about, xlsx::SHEET_ROWS)),
    }
}

/// Returns a fresh writer of workbooks whose sheets have at most `sheet_rows` rows, where those of the format are too many.
#[must_use]
pub fn xlsx_writer(about: &Arc<About>, sheet_rows: u32) -> Box<dyn RowWriter> {
    Box::new(xlsx::XlsxWriter::new(about, sheet_rows))
}
