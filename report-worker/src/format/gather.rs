//! The first rows of a file are gathered for writers that lay out their columns by them.
//!
//! A slow query sends its first rows as they come, one or two at a time. A page that was laid out by one row would look
//! otherwise than the same report a minute later.

use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use shared::problem::{Problem, ProblemKind};

use super::{Ending, RowWriter};

/// Rows that are enough to see what columns look like,
const ROWS: usize = 1000;
/// or bytes of them.
const BYTES: usize = 1 << 20;

/// Hands the first rows on as one batch.
pub(super) struct Gathered {
    writer: Box<dyn RowWriter>,
    held: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    /// There were enough rows.
    open: bool,
}

/// Wraps a writer whose file depends on what is in its first batch.
pub(super) fn gathered(writer: Box<dyn RowWriter>) -> Box<dyn RowWriter> {
    Box::new(Gathered { writer, held: Vec::new(), rows: 0, bytes: 0, open: false })
}

impl RowWriter for Gathered {
    fn begin(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.writer.begin(schema, out)
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Problem> {
        if self.open {
            return self.writer.write(batch, out);
        }
        self.rows += batch.num_rows();
        self.bytes += batch.get_array_memory_size();
        self.held.push(batch.clone());
        if self.rows >= ROWS || self.bytes >= BYTES { self.release(out) } else { Ok(()) }
    }

    fn finish(&mut self, ending: Ending, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.release(out)?;
        self.writer.finish(ending, out)
    }
}

impl Gathered {
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
