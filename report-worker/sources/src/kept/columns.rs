//! Columns of a kept file become the columns of the source that it was made from.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal64Type, Decimal128Type, Decimal256Type};
use arrow_array::{Array as _, ArrayRef, NullArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use model::problem::Problem;
use parquet::file::metadata::ParquetMetaData;
use values::is_numeric;
use values::number::write_decimal;
use values::stored_columns::{COLUMNS, ENTRY, LATE, read_column};

use super::damaged;

/// Digits that 64 bits hold: a source's numbers of so few are that wide.
const SHORT: u8 = 18;

/// Returns the schema to read a file by: numbers of few digits as numbers of 64 bits.
pub(super) fn read_as(found: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Decimal128(precision @ ..=SHORT, scale) => {
            let kind = DataType::Decimal64(*precision, *scale);
            Arc::new(field.as_ref().clone().with_data_type(kind))
        }
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new(found.fields().iter().map(field).collect::<Vec<_>>()))
}

/// What becomes of a column.
#[derive(Debug, Clone, Copy)]
enum Column {
    Unchanged,
    /// The source sends its numbers as text, all digits of their scale with them.
    Digits,
    /// There was never a value from which the source could have learned the type.
    Nulls,
}

/// The columns of one file.
#[derive(Debug)]
pub(super) struct Columns {
    /// As the source described them before the first row.
    opened: SchemaRef,
    /// As it described them in the end.
    source: SchemaRef,
    columns: Vec<Column>,
}

impl Columns {
    /// Reads what the file says of its source's columns.
    pub(super) fn of(metadata: &ParquetMetaData, stored: &Schema) -> Result<Self, Problem> {
        let entries = metadata.file_metadata().key_value_metadata().into_iter().flatten();
        let told = entries.filter(|entry| entry.key.strip_prefix(ENTRY) == Some(COLUMNS)).find_map(|entry| {
            let words = entry.value.as_deref()?;
            serde_json::from_str::<Vec<String>>(words).ok()
        });
        let told = told.ok_or_else(|| {
            damaged("it was written by a version of this service that did not say yet what the source's columns were")
        })?;
        if told.len() != stored.fields().len() {
            return Err(damaged("it does not say of each column what it was"));
        }
        let (mut opened, mut fields, mut columns) = (Vec::new(), Vec::new(), Vec::new());
        for (word, stored) in told.iter().zip(stored.fields()) {
            let late = word.strip_prefix(LATE);
            let field = read_column(stored.name(), late.unwrap_or(word));
            let column = field.and_then(|field| Some((Column::of(&field, stored.data_type())?, field)));
            let (column, field) = column.ok_or_else(|| {
                let (name, kind) = (stored.name(), stored.data_type());
                damaged(&format!("its column `{name}` of the type {kind} is said to be `{word}`"))
            })?;
            columns.push(column);
            opened.push(if late.is_some() { Field::new(stored.name(), DataType::Null, true) } else { field.clone() });
            fields.push(field);
        }
        let [opened, source] = [opened, fields].map(|fields| Arc::new(Schema::new(fields)));
        Ok(Self { opened, source, columns })
    }

    /// Describes the columns as the source did before the first row.
    pub(super) fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.opened)
    }

    /// Turns a batch of the file into one of the source.
    pub(super) fn restore(&self, batch: &RecordBatch) -> Result<RecordBatch, Problem> {
        let arrays = self.columns.iter().zip(batch.columns()).map(|(column, array)| match column {
            Column::Unchanged => Arc::clone(array),
            Column::Digits => Arc::new(digits(array)),
            Column::Nulls => Arc::new(NullArray::new(array.len())) as ArrayRef,
        });
        RecordBatch::try_new(SchemaRef::clone(&self.source), arrays.collect())
            .map_err(|error| damaged(&error.to_string()))
    }
}

impl Column {
    fn of(source: &Field, stored: &DataType) -> Option<Self> {
        match (source.data_type(), stored) {
            (source, stored) if source == stored => Some(Self::Unchanged),
            (DataType::Null, DataType::Utf8) => Some(Self::Nulls),
            (
                DataType::Utf8,
                DataType::Decimal64(_, 0..) | DataType::Decimal128(_, 0..) | DataType::Decimal256(_, 0..),
            ) if is_numeric(source) => Some(Self::Digits),
            _ => None,
        }
    }
}

fn digits(array: &ArrayRef) -> StringArray {
    let text = |row: usize| match array.data_type() {
        DataType::Decimal64(_, scale) => {
            let mut text = Vec::new();
            let value = array.as_primitive::<Decimal64Type>().value(row);
            write_decimal(&mut text, value, usize::from(scale.unsigned_abs()));
            String::from_utf8_lossy(&text).into_owned()
        }
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        _ => array.as_primitive::<Decimal256Type>().value_as_string(row),
    };
    (0..array.len()).map(|row| array.is_valid(row).then(|| text(row))).collect()
}
