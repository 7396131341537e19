//! A column of a batch, its type looked up once and not for every cell.

use std::collections::HashSet;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Decimal64Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use model::problem::{Problem, ProblemKind};
use values::is_numeric;
use values::number::{f32_text, f64_text, write_decimal};
use values::time::{write_date, write_instant, write_timestamp};

/// The values of one column.
pub(super) enum ColumnCells<'a> {
    Null,
    Boolean(&'a BooleanArray),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    /// Exact decimal numbers, or `NaN`, `Infinity`, `-Infinity`.
    Numeric(&'a StringArray),
    /// Exact decimal numbers, and their digits behind the point.
    Decimal(&'a PrimitiveArray<Decimal64Type>, usize),
    Text(&'a StringArray),
    Date(&'a PrimitiveArray<Date32Type>),
    /// A local time: nobody said of which zone.
    Timestamp(&'a PrimitiveArray<TimestampMicrosecondType>),
    /// A point in time.
    Instant(&'a PrimitiveArray<TimestampMicrosecondType>),
}

/// Looks up the columns of a batch.
pub(super) fn cells(batch: &RecordBatch) -> Result<Vec<ColumnCells<'_>>, Problem> {
    batch.schema_ref().fields().iter().zip(batch.columns()).map(|(field, array)| cells_of(field, array)).collect()
}

pub(super) fn cells_of<'a>(field: &Field, array: &'a ArrayRef) -> Result<ColumnCells<'a>, Problem> {
    Ok(match array.data_type() {
        DataType::Null => ColumnCells::Null,
        DataType::Boolean => ColumnCells::Boolean(array.as_boolean()),
        DataType::Int16 => ColumnCells::Int16(array.as_primitive()),
        DataType::Int32 => ColumnCells::Int32(array.as_primitive()),
        DataType::Int64 => ColumnCells::Int64(array.as_primitive()),
        DataType::Float32 => ColumnCells::Float32(array.as_primitive()),
        DataType::Float64 => ColumnCells::Float64(array.as_primitive()),
        DataType::Utf8 if is_numeric(field) => ColumnCells::Numeric(array.as_string()),
        DataType::Decimal64(_, scale @ 0..) => {
            ColumnCells::Decimal(array.as_primitive(), usize::from(scale.unsigned_abs()))
        }
        DataType::Utf8 => ColumnCells::Text(array.as_string()),
        DataType::Date32 => ColumnCells::Date(array.as_primitive()),
        DataType::Timestamp(TimeUnit::Microsecond, None) => ColumnCells::Timestamp(array.as_primitive()),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => ColumnCells::Instant(array.as_primitive()),
        other => return Err(unsupported(field, other)),
    })
}

/// Returns the bytes of all texts of a column, one behind the other.
pub(super) fn bytes_of(texts: &StringArray) -> &[u8] {
    let offsets = texts.value_offsets();
    let place = |offset: Option<&i32>| offset.and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0);
    texts.value_data().get(place(offsets.first())..place(offsets.last())).unwrap_or_default()
}

/// The problem of a column that a format cannot hold.
pub(super) fn unsupported(field: &Field, found: &DataType) -> Problem {
    let name = field.name();
    Problem::new(
        ProblemKind::UnsupportedColumn,
        format!("column `{name}` has the type {found}, which this format cannot hold; cast it to text"),
    )
}

/// Refuses a result in which a column could not be told from another by its name.
pub(super) fn distinct_names(schema: &Schema, what: &str) -> Result<(), Problem> {
    let mut seen = HashSet::with_capacity(schema.fields().len());
    match schema.fields().iter().find(|field| !seen.insert(field.name())) {
        None => Ok(()),
        Some(field) => Err(Problem::new(
            ProblemKind::UnsupportedColumn,
            format!(
                "two columns are named `{}`, which {what} cannot hold; give one another name by `as`",
                field.name()
            ),
        )),
    }
}

impl ColumnCells<'_> {
    /// Tells whether row `row` is null.
    pub(super) fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Null => true,
            Self::Boolean(array) => array.is_null(row),
            Self::Int16(array) => array.is_null(row),
            Self::Int32(array) => array.is_null(row),
            Self::Int64(array) => array.is_null(row),
            Self::Float32(array) => array.is_null(row),
            Self::Float64(array) => array.is_null(row),
            Self::Numeric(array) | Self::Text(array) => array.is_null(row),
            Self::Decimal(array, _) => array.is_null(row),
            Self::Date(array) => array.is_null(row),
            Self::Timestamp(array) | Self::Instant(array) => array.is_null(row),
        }
    }

    /// Appends the value of row `row`, which is not null, as plain text: no quotes, nothing escaped.
    pub(super) fn write_plain(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Null => {}
            Self::Boolean(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            Self::Int16(array) => write_integer(out, array.value(row)),
            Self::Int32(array) => write_integer(out, array.value(row)),
            Self::Int64(array) => write_integer(out, array.value(row)),
            Self::Float32(array) => {
                out.extend_from_slice(f32_text(&mut zmij::Buffer::new(), array.value(row)).as_bytes());
            }
            Self::Float64(array) => {
                out.extend_from_slice(f64_text(&mut zmij::Buffer::new(), array.value(row)).as_bytes());
            }
            Self::Numeric(array) | Self::Text(array) => out.extend_from_slice(array.value(row).as_bytes()),
            Self::Decimal(array, scale) => write_decimal(out, array.value(row), *scale),
            Self::Date(array) => write_date(out, i64::from(array.value(row))),
            Self::Timestamp(array) => write_timestamp(out, array.value(row), b' '),
            Self::Instant(array) => write_instant(out, array.value(row)),
        }
    }

    /// Tells whether the values may have a decimal point.
    pub(super) const fn is_fractional(&self) -> bool {
        matches!(self, Self::Float32(_) | Self::Float64(_) | Self::Numeric(_) | Self::Decimal(..))
    }
}

fn write_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}
