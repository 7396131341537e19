//! The first rows of a file are gathered for writers that lay out their columns by them.
//!
//! A slow query sends its first rows as they come, one or two at a time. A page that was laid out by one row would look
//! otherwise than the same report a minute later. So it is always the same rows that are gathered, in whatever batches they come.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use model::problem::{Problem, ProblemKind};
use values::BATCH_ROWS;

use super::dry_run::{DryRun, measure_growth};
use super::{FileSummary, Growth, RowWriter};

/// Rows that are enough to see what columns look like: a full batch, so that it need not be cut where rows come fast;
const ROWS: usize = BATCH_ROWS;
/// or bytes of them.
const BYTES: usize = 1 << 20;
/// Bytes of a value that is no text.
const FIXED: usize = 8;

/// Hands the first rows on as one batch.
pub(super) struct BufferedWriter<W> {
    writer: W,
    held: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    /// There were enough rows.
    open: bool,
}

/// Wraps a writer whose file depends on what is in its first batch.
pub(super) fn buffered<W: DryRun + 'static>(writer: W) -> Box<dyn RowWriter> {
    Box::new(BufferedWriter { writer, held: Vec::new(), rows: 0, bytes: 0, open: false })
}

impl<W: DryRun> RowWriter for BufferedWriter<W> {
    fn begin(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.writer.begin(schema, out)
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Problem> {
        if self.open {
            return self.writer.write(batch, out);
        }
        let taken = self.take(batch);
        if self.rows < ROWS && self.bytes < BYTES {
            return Ok(());
        }
        self.release(out)?;
        if taken == batch.num_rows() {
            return Ok(());
        }
        self.writer.write(&batch.slice(taken, batch.num_rows() - taken), out)
    }

    fn finish(&mut self, summary: FileSummary, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.release(out)?;
        self.writer.finish(summary, out)
    }

    fn growth(&mut self, batch: &RecordBatch, summary: FileSummary) -> Growth {
        let Self { writer, held, rows, bytes, open } = self;
        let copy = Self { writer: writer.dry_run(), held: held.clone(), rows: *rows, bytes: *bytes, open: *open };
        let pending_bytes = writer.pending_bytes();
        measure_growth(copy, batch, summary).map_or(Growth::Unknown, |grown| Growth::AtMost(grown + pending_bytes))
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.writer.flush(out)
    }
}

impl<W: RowWriter> BufferedWriter<W> {
    /// Holds rows of the batch until there are enough, and returns how many.
    fn take(&mut self, batch: &RecordBatch) -> usize {
        let texts: Vec<&[i32]> = batch.columns().iter().filter_map(|column| offsets(column)).collect();
        let fixed = (batch.num_columns() - texts.len()) * FIXED;
        let mut taken = 0;
        while taken < batch.num_rows() && self.rows < ROWS && self.bytes < BYTES {
            let lengths = texts.iter().filter_map(|offsets| Some(offsets.get(taken + 1)? - offsets.get(taken)?));
            self.bytes += fixed + lengths.filter_map(|length| usize::try_from(length).ok()).sum::<usize>();
            self.rows += 1;
            taken += 1;
        }
        self.held.push(batch.slice(0, taken));
        taken
    }

    fn release(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.open = true;
        let held = std::mem::take(&mut self.held);
        match held.as_slice() {
            [] => Ok(()),
            [one] => self.writer.write(one, out),
            [.., last] => {
                let joined = join(&held, &last.schema()).map_err(|error| {
                    Problem::new(ProblemKind::Internal, format!("the first rows do not fit: {error}"))
                })?;
                self.writer.write(&joined, out)
            }
        }
    }
}

/// Returns where the texts of a column begin and end.
fn offsets(column: &ArrayRef) -> Option<&[i32]> {
    column.as_string_opt::<i32>().map(|texts| texts.value_offsets())
}

/// Joins batches. The last knows best: a column may have been without a type before.
fn join(batches: &[RecordBatch], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let typed = |batch: &RecordBatch| {
        let columns: Vec<ArrayRef> = batch
            .columns()
            .iter()
            .zip(schema.fields())
            .map(|(array, field)| match array.data_type() {
                DataType::Null => new_null_array(field.data_type(), array.len()),
                _ => Arc::clone(array),
            })
            .collect();
        RecordBatch::try_new(Arc::clone(schema), columns)
    };
    let typed = batches.iter().map(typed).collect::<Result<Vec<_>, _>>()?;
    concat_batches(schema, &typed)
}
