//! Columns of one name get names of their own before a writer sees them.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use model::problem::{Problem, ProblemKind};
use report::unique_names;

use super::{FileSummary, Growth, RowWriter};

/// A writer whose columns have names of their own.
pub(super) struct UniqueNames {
    pub(super) inner: Box<dyn RowWriter>,
}

fn renamed(schema: &Schema) -> SchemaRef {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let fields = schema.fields().iter().zip(unique_names(&names));
    let fields: Vec<Field> = fields.map(|(field, name)| field.as_ref().clone().with_name(name)).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn renamed_batch(batch: &RecordBatch) -> Result<RecordBatch, Problem> {
    RecordBatch::try_new(renamed(batch.schema_ref()), batch.columns().to_vec())
        .map_err(|error| Problem::new(ProblemKind::Internal, format!("the columns could not be renamed: {error}")))
}

impl RowWriter for UniqueNames {
    fn begin(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.inner.begin(&renamed(schema), out)
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.inner.write(&renamed_batch(batch)?, out)
    }

    fn finish(&mut self, summary: FileSummary, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.inner.finish(summary, out)
    }

    fn growth(&mut self, batch: &RecordBatch, summary: FileSummary) -> Growth {
        renamed_batch(batch).map_or(Growth::Unknown, |batch| self.inner.growth(&batch, summary))
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.inner.flush(out)
    }
}
