//! Batches become the bytes of one file: counted, kept within the limits, and cut at the end of a row where the report allows it.

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use formats::{FileSummary, Growth, RowWriter};
use model::problem::Problem;

use crate::limits::ReportLimits;

/// No format makes more of a byte of a value, or of the place of one, than this; nor more than this of everything else. Files that are
/// further from their limit need not be asked how much they grow.
const MAX_GROWTH_PER_BYTE: u64 = 512;
const MAX_FIXED_GROWTH: u64 = 64 << 20;
/// Rows are added as long as more than one of so many fits.
const SMALLEST_PART: usize = 16;

/// One file while its rows come.
pub(crate) struct FileEncoder {
    writer: Box<dyn RowWriter>,
    limits: ReportLimits,
    /// Encoded, and not taken yet.
    out: Vec<u8>,
    /// Taken.
    bytes: u64,
    rows: u64,
    /// No further row fits.
    full: bool,
}

impl FileEncoder {
    pub(crate) fn new(writer: Box<dyn RowWriter>, limits: ReportLimits) -> Self {
        Self { writer, limits, out: Vec::new(), bytes: 0, rows: 0, full: false }
    }

    pub(crate) fn begin(&mut self, schema: &Schema) -> Result<(), Problem> {
        self.writer.begin(schema, &mut self.out)
    }

    /// Adds rows, or as many of them as fit.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), Problem> {
        if self.full {
            return Ok(());
        }
        let fitting = if self.limits.truncates() { self.add_within(batch)? } else { self.add_all(batch)? };
        self.rows += fitting as u64;
        self.full = fitting < batch.num_rows();
        Ok(())
    }

    /// Ends the file. `complete`: whether the rows that came were all there are.
    pub(crate) fn finish(&mut self, complete: bool) -> Result<FileSummary, Problem> {
        let ending = FileSummary { rows: self.rows, complete: complete && !self.full };
        self.writer.finish(ending, &mut self.out)?;
        self.limits.check_bytes(self.size())?;
        Ok(ending)
    }

    /// Tells whether further rows would be for nothing.
    pub(crate) const fn is_full(&self) -> bool {
        self.full
    }

    /// Returns how many bytes can be taken.
    pub(crate) const fn ready(&self) -> usize {
        self.out.len()
    }

    /// Takes what is encoded.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.bytes += self.out.len() as u64;
        std::mem::take(&mut self.out)
    }

    /// Makes room for bytes to come, so that they need not move while they become more.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    const fn size(&self) -> u64 {
        self.bytes + self.out.len() as u64
    }

    fn add_all(&mut self, batch: &RecordBatch) -> Result<usize, Problem> {
        self.writer.write(batch, &mut self.out)?;
        self.limits.check_bytes(self.size())?;
        Ok(batch.num_rows())
    }

    fn fits(&self, more: u64) -> bool {
        self.limits.check_bytes(self.size().saturating_add(more)).is_ok()
    }

    /// The summary of a file that is cut behind so many rows more.
    const fn cut_behind(&self, rows: usize) -> FileSummary {
        FileSummary { rows: self.rows + rows as u64, complete: false }
    }

    /// Adds the first rows that fit and returns how many.
    fn add_within(&mut self, batch: &RecordBatch) -> Result<usize, Problem> {
        if self.fits(max_growth(batch)) {
            return self.add_all(batch);
        }
        match self.writer.growth(batch, self.cut_behind(batch.num_rows())) {
            Growth::Unknown => self.add_all(batch),
            Growth::AsWritten => {
                let before = self.out.len();
                self.writer.write(batch, &mut self.out)?;
                if self.limits.check_bytes(self.size()).is_ok() {
                    return Ok(batch.num_rows());
                }
                self.out.truncate(before);
                self.add_row_by_row(batch)
            }
            Growth::AtMost(bytes) if self.fits(bytes) => self.add_all(batch),
            Growth::AtMost(_) => self.add_slices(batch),
        }
    }

    fn add_row_by_row(&mut self, batch: &RecordBatch) -> Result<usize, Problem> {
        for row in 0..batch.num_rows() {
            let before = self.out.len();
            self.writer.write(&batch.slice(row, 1), &mut self.out)?;
            if self.limits.check_bytes(self.size()).is_err() {
                self.out.truncate(before);
                return Ok(row);
            }
        }
        Ok(batch.num_rows())
    }

    /// Adds what surely fits, and of the rest again: bounds are generous, and what was written may have taken less.
    fn add_slices(&mut self, batch: &RecordBatch) -> Result<usize, Problem> {
        let mut taken = 0;
        loop {
            self.writer.flush(&mut self.out)?;
            let rest = batch.slice(taken, batch.num_rows() - taken);
            let rows = self.rows_that_surely_fit(&rest, taken);
            self.writer.write(&rest.slice(0, rows), &mut self.out)?;
            taken += rows;
            if rows < rest.num_rows().div_ceil(SMALLEST_PART) || taken == batch.num_rows() {
                return Ok(taken);
            }
        }
    }

    /// Halves what is in question until one row is left: more rows never need less room.
    fn rows_that_surely_fit(&mut self, batch: &RecordBatch, taken: usize) -> usize {
        let (mut fit, mut too_many) = (0, batch.num_rows() + 1);
        while too_many - fit > 1 {
            let middle = fit + (too_many - fit) / 2;
            let ending = self.cut_behind(taken + middle);
            let grown = match self.writer.growth(&batch.slice(0, middle), ending) {
                Growth::AtMost(bytes) => bytes,
                Growth::AsWritten | Growth::Unknown => u64::MAX,
            };
            if self.fits(grown) {
                fit = middle;
            } else {
                too_many = middle;
            }
        }
        fit
    }
}

/// Returns what no file grows beyond by rows.
fn max_growth(batch: &RecordBatch) -> u64 {
    let values: usize = batch.columns().iter().map(|array| array.to_data().get_slice_memory_size().unwrap_or(0)).sum();
    let places = 8 * batch.num_rows() * batch.num_columns();
    (values + places) as u64 * MAX_GROWTH_PER_BYTE + MAX_FIXED_GROWTH
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
