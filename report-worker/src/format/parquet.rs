//! Parquet: typed columns, zstd, statistics, row groups of a size that readers like.
//!
//! Numbers of which the source knows precision and scale are decimals; other exact numbers are text, because every decimal type
//! would cut some. A column without a type when the file begins (only nulls so far, where a source learns types from its rows)
//! is text for the whole file, and what comes later is written there as text: a file has one type a column, and the rows
//! that would tell may be millions away. JSON is text that says so, points in time are in UTC.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Date32Type, TimestampMicrosecondType};
use arrow_array::{Array as _, ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::SecondsFormat;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, LogicalType, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{SchemaDescriptor, Type};
use shared::problem::{Problem, ProblemKind};

use super::cell::{Cells, cells_of, distinct_names, unsupported};
use super::decimal::Size;
use super::time::{infinite_date, infinite_timestamp};
use super::{About, Ending, Growth, RowWriter};
use crate::source::{declared_digits, is_json};

/// A row group ends with this many bytes of encoded columns in memory,
const HELD: usize = 12 << 20;
/// or when this many bytes of values went into it,
const GROUP_BYTES: usize = 64 << 20;
/// or this many rows.
const GROUP_ROWS: usize = 1 << 20;

/// What becomes of a column.
#[derive(Debug, Clone, Copy)]
enum Column {
    AsItIs,
    Text,
    Decimal(Size),
}

impl Column {
    fn of(field: &Field) -> Result<Self, Problem> {
        Ok(match field.data_type() {
            DataType::Null => Self::Text,
            DataType::Utf8 => declared_digits(field).and_then(Size::new).map_or(Self::Text, Self::Decimal),
            DataType::Boolean
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Date32
            | DataType::Timestamp(TimeUnit::Microsecond, _) => Self::AsItIs,
            _ => return Err(unsupported(field, field.data_type())),
        })
    }

    fn data_type(self, field: &Field) -> DataType {
        match self {
            Self::AsItIs => field.data_type().clone(),
            Self::Text => DataType::Utf8,
            Self::Decimal(size) => size.data_type(),
        }
    }

    /// `before`: the rows written before these.
    fn convert(self, wanted: &DataType, field: &Field, array: &ArrayRef, before: usize) -> Result<ArrayRef, Problem> {
        match (self, array.data_type()) {
            (_, DataType::Null) => Ok(new_null_array(wanted, array.len())),
            (Self::Decimal(size), DataType::Utf8) => {
                let texts: &StringArray = array.as_string();
                size.read(texts).map_err(|text| {
                    let row = texts.iter().position(|found| found == Some(text)).unwrap_or_default();
                    not_held(field, wanted, text, before + row)
                })
            }
            (Self::Text | Self::AsItIs, found) if found == wanted => match infinite(array) {
                None => Ok(Arc::clone(array)),
                Some((row, word)) => Err(not_held(field, wanted, word, before + row)),
            },
            (Self::Text, _) => Ok(Arc::new(as_text(&cells_of(field, array)?, array.len()))),
            (_, found) => Err(unsupported(field, found)),
        }
    }
}

/// `row` counts from 0.
fn not_held(field: &Field, wanted: &DataType, text: &str, row: usize) -> Problem {
    let (name, row) = (field.name(), row + 1);
    let shown: String = text.chars().take(40).collect();
    // A word in place of a number or a day: most likely nobody would miss it.
    let is_word = text.ends_with(|last: char| last.is_ascii_alphabetic());
    let or = if is_word { format!("write nullif({name}, '{shown}') as {name}, or ") } else { String::new() };
    Problem::new(
        ProblemKind::UnsupportedColumn,
        format!(
            "column `{name}` holds {shown} in row {row}, which {wanted} cannot say; for Parquet, {or}cast the column to text"
        ),
    )
}

/// Returns row and word of the first date or time without end: readers would take it for a day far off.
fn infinite(array: &ArrayRef) -> Option<(usize, &'static str)> {
    let words: &mut dyn Iterator<Item = Option<&'static str>> = match array.data_type() {
        DataType::Date32 => &mut array.as_primitive::<Date32Type>().iter().map(|days| infinite_date(days?.into())),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            &mut array.as_primitive::<TimestampMicrosecondType>().iter().map(|micros| infinite_timestamp(micros?))
        }
        _ => return None,
    };
    words.enumerate().find_map(|(row, word)| Some((row, word?)))
}

fn as_text(cells: &Cells<'_>, rows: usize) -> StringArray {
    let mut text = Vec::new();
    let value = |row| {
        if cells.is_null(row) {
            return None;
        }
        text.clear();
        cells.write_plain(row, &mut text);
        Some(String::from_utf8_lossy(&text).into_owned())
    };
    (0..rows).map(value).collect()
}

/// Writes one file. The row group under way is in memory, encoded.
#[derive(Debug)]
pub(super) struct ParquetWriter {
    about: Arc<About>,
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    writer: ArrowWriter<Vec<u8>>,
    schema: SchemaRef,
    columns: Vec<Column>,
    /// Bytes of values in the row group under way.
    values: usize,
    /// Rows so far.
    rows: usize,
}

impl ParquetWriter {
    pub(super) fn new(about: &Arc<About>) -> Self {
        Self { about: Arc::clone(about), begun: None }
    }
}

impl RowWriter for ParquetWriter {
    fn begin(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), Problem> {
        distinct_names(schema, "a Parquet file")?;
        let columns = schema.fields().iter().map(|field| Column::of(field)).collect::<Result<Vec<_>, _>>()?;
        let described =
            |(field, column): (&Arc<Field>, &Column)| Field::new(field.name(), column.data_type(field), true);
        let written = Arc::new(Schema::new(schema.fields().iter().zip(&columns).map(described).collect::<Vec<_>>()));
        let annotated = annotate(schema, &written).map_err(|error| not_encoded(&error))?;
        let options = ArrowWriterOptions::new()
            .with_properties(properties(&self.about).map_err(|error| not_encoded(&error))?)
            .with_parquet_schema(annotated)
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(std::mem::take(out), Arc::clone(&written), options)
            .map_err(|error| not_encoded(&error))?;
        let begun = self.begun.insert(Begun { writer, schema: written, columns, values: 0, rows: 0 });
        begun.give_back(out)
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Problem> {
        let begun = self.begun.as_mut().ok_or_else(not_begun)?;
        let fields = batch.schema_ref().fields().iter();
        let arrays = fields
            .zip(batch.columns())
            .zip(begun.columns.iter().zip(begun.schema.fields()))
            .map(|((field, array), (column, wanted))| column.convert(wanted.data_type(), field, array, begun.rows))
            .collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&begun.schema), arrays)
            .map_err(|error| Problem::new(ProblemKind::Internal, format!("the columns changed: {error}")))?;
        // The writer appends to what there is already: nothing is copied.
        std::mem::swap(out, begun.writer.inner_mut());
        begun.add(&batch).map_err(|error| not_encoded(&error))?;
        begun.give_back(out)
    }

    fn finish(&mut self, ending: Ending, out: &mut Vec<u8>) -> Result<(), Problem> {
        let mut begun = self.begun.take().ok_or_else(not_begun)?;
        std::mem::swap(out, begun.writer.inner_mut());
        begun.writer.append_key_value_metadata(entry("rows", ending.rows.to_string()));
        begun.writer.append_key_value_metadata(entry("complete", ending.complete.to_string()));
        begun.writer.finish().map_err(|error| not_encoded(&error))?;
        begun.give_back(out)
    }

    fn growth(&mut self, batch: &RecordBatch) -> Growth {
        let Some(begun) = &self.begun else { return Growth::Unknown };
        let values: usize =
            batch.columns().iter().map(|array| array.to_data().get_slice_memory_size().unwrap_or(0)).sum();
        let footer: usize = begun.writer.flushed_row_groups().len() + 2;
        // Compressed pages hardly grow; names and statistics of each column stand in the footer once a row group.
        let columns = begun.schema.fields().iter().map(|field| 512 + 2 * field.name().len()).sum::<usize>();
        Growth::AtMost((begun.writer.memory_size() + values * 9 / 8 + footer * columns + (16 << 10)) as u64)
    }
}

impl Begun {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        self.writer.write(batch)?;
        self.rows += batch.num_rows();
        self.values += batch.get_array_memory_size();
        let full = self.values >= GROUP_BYTES
            || self.writer.in_progress_rows() >= GROUP_ROWS
            || self.writer.memory_size() >= HELD;
        if full {
            self.values = 0;
            self.writer.flush()?;
        }
        Ok(())
    }

    fn give_back(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.writer.sync().map_err(|error| not_encoded(&error.into()))?;
        std::mem::swap(out, self.writer.inner_mut());
        Ok(())
    }
}

/// Says of columns of JSON that they are. Arrow's own way of saying it is not compiled in.
fn annotate(source: &Schema, written: &Schema) -> Result<SchemaDescriptor, ParquetError> {
    let plain = ArrowSchemaConverter::new().convert(written)?;
    let mut fields = plain.root_schema().get_fields().to_vec();
    for (field, described) in fields.iter_mut().zip(source.fields()) {
        if is_json(described) {
            let json = Type::primitive_type_builder(described.name(), parquet::basic::Type::BYTE_ARRAY)
                .with_repetition(parquet::basic::Repetition::OPTIONAL)
                .with_logical_type(Some(LogicalType::Json));
            *field = Arc::new(json.build()?);
        }
    }
    let root = Type::group_type_builder(plain.root_schema().name()).with_fields(fields).build()?;
    Ok(SchemaDescriptor::new(Arc::new(root)))
}

fn properties(about: &About) -> Result<WriterProperties, ParquetError> {
    let params: serde_json::Map<_, _> =
        about.params.iter().map(|(label, value)| (label.clone(), value.clone().into())).collect();
    let entries = vec![
        entry("title", about.title.clone()),
        entry("report", about.report.clone()),
        entry("report_version", about.report_version.clone()),
        entry("job", about.job_id.to_string()),
        entry("params", serde_json::Value::Object(params).to_string()),
        entry("snapshot_at", about.snapshot_at.to_rfc3339_opts(SecondsFormat::Micros, true)),
    ];
    // Statistics a row group, not a page: readers skip by them, and what is kept of a page until the end would grow with the rows.
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(None)
        .set_key_value_metadata(Some(entries))
        .build())
}

fn entry(key: &str, value: String) -> KeyValue {
    KeyValue::new(format!("waitless.{key}"), value)
}

fn not_begun() -> Problem {
    Problem::new(ProblemKind::Internal, "the file was not begun")
}

fn not_encoded(error: &ParquetError) -> Problem {
    Problem::new(ProblemKind::Internal, format!("the file could not be encoded: {error}"))
}
