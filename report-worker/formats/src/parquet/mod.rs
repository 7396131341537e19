//! Parquet: typed columns, zstd, statistics, row groups of a size that readers like.
//!
//! Numbers of which the source knows precision and scale are decimals; other exact numbers are text, because every decimal type
//! would cut some. A column without a type when the file begins (only nulls so far, where a source learns types from its rows)
//! is text for the whole file, and what comes later is written there as text: a file has one type a column, and the rows
//! that would tell may be millions away. JSON is text that says so, points in time are in UTC.

mod column;
mod column_encoding;
mod decimal;
mod metadata;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use model::problem::{Problem, ProblemKind};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::schema::types::{ColumnPath, SchemaDescriptor};
use values::stored_columns::COLUMNS;

use self::column::Column;
use self::column_encoding::ColumnEncoding;
use self::metadata::{SourceSchemas, annotate, entry, properties};
use crate::cell::distinct_names;
use crate::{About, FileSummary, Growth, RowWriter};

/// A row group ends with this many bytes of encoded columns in memory,
const HELD: usize = 12 << 20;
/// or when this many bytes of values went into it,
const GROUP_BYTES: usize = 64 << 20;
/// or this many rows.
const GROUP_ROWS: usize = 1 << 20;

/// Writes one file. The row group under way is in memory, encoded.
#[derive(Debug)]
pub(super) struct ParquetWriter {
    about: Arc<About>,
    open: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    schema: SchemaRef,
    columns: Vec<Column>,
    /// What the file says of its columns.
    described: SchemaDescriptor,
    source: SourceSchemas,
    /// None before the first rows: they tell how columns are written.
    writer: Option<ArrowWriter<Vec<u8>>>,
    /// Bytes of values in the row group under way.
    values: usize,
    /// Rows so far.
    rows: usize,
}

impl ParquetWriter {
    pub(super) fn new(about: &Arc<About>) -> Self {
        Self { about: Arc::clone(about), open: None }
    }
}

impl RowWriter for ParquetWriter {
    fn begin(&mut self, schema: &Schema, _out: &mut Vec<u8>) -> Result<(), Problem> {
        distinct_names(schema, "a Parquet file")?;
        let columns = schema.fields().iter().map(|field| Column::of(field)).collect::<Result<Vec<_>, _>>()?;
        let described =
            |(field, column): (&Arc<Field>, &Column)| Field::new(field.name(), column.data_type(field), true);
        let written = Arc::new(Schema::new(schema.fields().iter().zip(&columns).map(described).collect::<Vec<_>>()));
        let described = annotate(schema, &written).map_err(|error| not_encoded(&error))?;
        let first = Arc::new(schema.clone());
        let source = SourceSchemas { first: Arc::clone(&first), last: first };
        self.open = Some(OpenFile { schema: written, columns, described, source, writer: None, values: 0, rows: 0 });
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Problem> {
        let open = self.open.as_mut().ok_or_else(not_begun)?;
        open.source.last = batch.schema();
        let fields = batch.schema_ref().fields().iter();
        let arrays = fields
            .zip(batch.columns())
            .zip(open.columns.iter().zip(open.schema.fields()))
            .map(|((field, array), (column, wanted))| {
                column.convert(wanted.data_type(), field, array, (open.rows, self.about.secret))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&open.schema), arrays)
            .map_err(|error| Problem::new(ProblemKind::Internal, format!("the columns changed: {error}")))?;
        open.append(&self.about, out, Some(&batch), |open, writer| open.add(writer, &batch))
    }

    fn finish(&mut self, summary: FileSummary, out: &mut Vec<u8>) -> Result<(), Problem> {
        let mut open = self.open.take().ok_or_else(not_begun)?;
        open.append(&self.about, out, None, |open, writer| {
            if let Some(columns) = open.source.spell() {
                writer.append_key_value_metadata(entry(COLUMNS, columns));
            }
            writer.append_key_value_metadata(entry("rows", summary.rows.to_string()));
            writer.append_key_value_metadata(entry("complete", summary.complete.to_string()));
            writer.finish().map(drop)
        })
    }

    fn growth(&mut self, batch: &RecordBatch, _summary: FileSummary) -> Growth {
        let Some(open) = &self.open else { return Growth::Unknown };
        let values: usize =
            batch.columns().iter().map(|array| array.to_data().get_slice_memory_size().unwrap_or(0)).sum();
        let (held, groups) =
            open.writer.as_ref().map_or((0, 0), |writer| (writer.memory_size(), writer.flushed_row_groups().len()));
        let footer: usize = groups + 2;
        // Compressed pages hardly grow; names and statistics of each column stand in the footer once a row group.
        let columns = open.schema.fields().iter().map(|field| 512 + 2 * field.name().len()).sum::<usize>();
        Growth::AtMost((held + values * 9 / 8 + footer * columns + (16 << 10)) as u64)
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        match &mut self.open {
            Some(open) if open.writer.is_some() => open.append(&self.about, out, None, OpenFile::end_group),
            _ => Ok(()),
        }
    }
}

impl OpenFile {
    /// Lets the writer, which is made by the first rows, append to what there is already: nothing is copied.
    fn append(
        &mut self,
        about: &About,
        out: &mut Vec<u8>,
        first: Option<&RecordBatch>,
        work: impl FnOnce(&mut Self, &mut ArrowWriter<Vec<u8>>) -> Result<(), ParquetError>,
    ) -> Result<(), Problem> {
        let appending = || -> Result<(), ParquetError> {
            let mut writer = match self.writer.take() {
                Some(mut writer) => {
                    std::mem::swap(out, writer.inner_mut());
                    writer
                }
                None => self.start(about, first, std::mem::take(out))?,
            };
            work(self, &mut writer)?;
            writer.sync()?;
            std::mem::swap(out, writer.inner_mut());
            self.writer = Some(writer);
            Ok(())
        };
        appending().map_err(|error| not_encoded(&error))
    }

    /// Makes the writer. How a column is written is chosen by its first rows, for the whole file.
    fn start(
        &self,
        about: &About,
        first: Option<&RecordBatch>,
        out: Vec<u8>,
    ) -> Result<ArrowWriter<Vec<u8>>, ParquetError> {
        let mut properties = properties(about)?;
        for (field, array) in self.schema.fields().iter().zip(first.map_or(&[][..], RecordBatch::columns)) {
            // A name with points in it is one name all the same.
            let column = || ColumnPath::new(vec![field.name().clone()]);
            properties = match ColumnEncoding::of(array) {
                ColumnEncoding::Dictionary => properties,
                ColumnEncoding::Plain => properties.set_column_dictionary_enabled(column(), false),
                ColumnEncoding::Differences => properties
                    .set_column_dictionary_enabled(column(), false)
                    .set_column_encoding(column(), Encoding::DELTA_BINARY_PACKED),
            };
        }
        let options = ArrowWriterOptions::new()
            .with_properties(properties.build())
            .with_parquet_schema(self.described.clone())
            .with_skip_arrow_metadata(true);
        ArrowWriter::try_new_with_options(out, Arc::clone(&self.schema), options)
    }

    fn add(&mut self, writer: &mut ArrowWriter<Vec<u8>>, batch: &RecordBatch) -> Result<(), ParquetError> {
        writer.write(batch)?;
        self.rows += batch.num_rows();
        self.values += batch.get_array_memory_size();
        let full =
            self.values >= GROUP_BYTES || writer.in_progress_rows() >= GROUP_ROWS || writer.memory_size() >= HELD;
        if full { self.end_group(writer) } else { Ok(()) }
    }

    /// Ends the row group under way, if it has rows.
    fn end_group(&mut self, writer: &mut ArrowWriter<Vec<u8>>) -> Result<(), ParquetError> {
        self.values = 0;
        writer.flush()
    }
}

fn not_begun() -> Problem {
    Problem::new(ProblemKind::Internal, "the file was not file")
}

fn not_encoded(error: &ParquetError) -> Problem {
    Problem::new(ProblemKind::Internal, format!("the file could not be encoded: {error}"))
}
