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
use model::problem::{Problem, ProblemKind};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, Encoding, LogicalType, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::{ColumnPath, SchemaDescriptor, Type};

use super::cell::{Cells, cells_of, distinct_names, unsupported};
use super::decimal::Size;
use super::dictionary::Spelling;
use super::time::{infinite_date, infinite_timestamp};
use super::{About, Ending, Growth, RowWriter};
use crate::source::{declared_digits, is_json, spell_column};

/// What stands before the keys of what a file says about itself.
pub(crate) const ENTRY: &str = "waitless.";
/// Key of what the source's columns were: a JSON array of the words of [`spell_column`].
pub(crate) const COLUMNS: &str = "columns";
/// What stands before the word of a column that had no type when the file began.
pub(crate) const LATE: &str = "late ";

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
            DataType::Decimal64(precision, scale @ 0..) => {
                let digits = (u32::from(*precision), u32::from(scale.unsigned_abs()));
                Self::Decimal(Size::new(digits).ok_or_else(|| unsupported(field, field.data_type()))?)
            }
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
            (Self::Decimal(_), found) if found == wanted => Ok(Arc::clone(array)),
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
    schema: SchemaRef,
    columns: Vec<Column>,
    /// What the file says of its columns.
    described: SchemaDescriptor,
    /// The first and the newest word of the source on its columns: types may come late.
    told: (SchemaRef, SchemaRef),
    /// None before the first rows: they tell how columns are written.
    writer: Option<ArrowWriter<Vec<u8>>>,
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
    fn begin(&mut self, schema: &Schema, _out: &mut Vec<u8>) -> Result<(), Problem> {
        distinct_names(schema, "a Parquet file")?;
        let columns = schema.fields().iter().map(|field| Column::of(field)).collect::<Result<Vec<_>, _>>()?;
        let described =
            |(field, column): (&Arc<Field>, &Column)| Field::new(field.name(), column.data_type(field), true);
        let written = Arc::new(Schema::new(schema.fields().iter().zip(&columns).map(described).collect::<Vec<_>>()));
        let described = annotate(schema, &written).map_err(|error| not_encoded(&error))?;
        let first = Arc::new(schema.clone());
        let told = (Arc::clone(&first), first);
        self.begun = Some(Begun { schema: written, columns, described, told, writer: None, values: 0, rows: 0 });
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Problem> {
        let begun = self.begun.as_mut().ok_or_else(not_begun)?;
        begun.told.1 = batch.schema();
        let fields = batch.schema_ref().fields().iter();
        let arrays = fields
            .zip(batch.columns())
            .zip(begun.columns.iter().zip(begun.schema.fields()))
            .map(|((field, array), (column, wanted))| column.convert(wanted.data_type(), field, array, begun.rows))
            .collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&begun.schema), arrays)
            .map_err(|error| Problem::new(ProblemKind::Internal, format!("the columns changed: {error}")))?;
        begun.append(&self.about, out, Some(&batch), |begun, writer| begun.add(writer, &batch))
    }

    fn finish(&mut self, ending: Ending, out: &mut Vec<u8>) -> Result<(), Problem> {
        let mut begun = self.begun.take().ok_or_else(not_begun)?;
        begun.append(&self.about, out, None, |begun, writer| {
            if let Some(columns) = columns_told(&begun.told) {
                writer.append_key_value_metadata(entry(COLUMNS, columns));
            }
            writer.append_key_value_metadata(entry("rows", ending.rows.to_string()));
            writer.append_key_value_metadata(entry("complete", ending.complete.to_string()));
            writer.finish().map(drop)
        })
    }

    fn growth(&mut self, batch: &RecordBatch, _ending: Ending) -> Growth {
        let Some(begun) = &self.begun else { return Growth::Unknown };
        let values: usize =
            batch.columns().iter().map(|array| array.to_data().get_slice_memory_size().unwrap_or(0)).sum();
        let (held, groups) =
            begun.writer.as_ref().map_or((0, 0), |writer| (writer.memory_size(), writer.flushed_row_groups().len()));
        let footer: usize = groups + 2;
        // Compressed pages hardly grow; names and statistics of each column stand in the footer once a row group.
        let columns = begun.schema.fields().iter().map(|field| 512 + 2 * field.name().len()).sum::<usize>();
        Growth::AtMost((held + values * 9 / 8 + footer * columns + (16 << 10)) as u64)
    }

    fn settle(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        match &mut self.begun {
            Some(begun) if begun.writer.is_some() => begun.append(&self.about, out, None, Begun::end_group),
            _ => Ok(()),
        }
    }
}

impl Begun {
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
            properties = match Spelling::of(array) {
                Spelling::Dictionary => properties,
                Spelling::Plain => properties.set_column_dictionary_enabled(column(), false),
                Spelling::Differences => properties
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

fn properties(about: &About) -> Result<WriterPropertiesBuilder, ParquetError> {
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
        .set_key_value_metadata(Some(entries)))
}

fn entry(key: &str, value: String) -> KeyValue {
    KeyValue::new(format!("{ENTRY}{key}"), value)
}

/// Says what the source's columns were, so that the rows can be read back as they came. A batch in which numbers are text, for a
/// `NaN` among them, is never written here: a decimal column stays one.
fn columns_told((first, last): &(SchemaRef, SchemaRef)) -> Option<String> {
    let word = |(first, last): (&Arc<Field>, &Arc<Field>)| {
        let late = if first.data_type() == last.data_type() || !first.data_type().is_null() { "" } else { LATE };
        Some(format!("{late}{}", spell_column(last)?))
    };
    let words = first.fields().iter().zip(last.fields()).map(word).collect::<Option<Vec<_>>>()?;
    Some(serde_json::Value::from(words).to_string())
}

fn not_begun() -> Problem {
    Problem::new(ProblemKind::Internal, "the file was not begun")
}

fn not_encoded(error: &ParquetError) -> Problem {
    Problem::new(ProblemKind::Internal, format!("the file could not be encoded: {error}"))
}
