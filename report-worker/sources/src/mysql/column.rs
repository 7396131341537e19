//! Columns of a result: from the driver's values to Arrow, each by its type.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::ArrayBuilder;
use arrow_schema::{DataType, Field, TimeUnit};
use model::problem::{Problem, ProblemKind};
use mysql_async::{Column as Described, Value};
use values::{json_field, measure_field, numeric_field};

use super::column_builder::{ColumnBuilder, ValueError};
use crate::conversion::{by_function, wrapped};

/// One column and its values of the batch being filled.
pub(super) struct Column {
    name: String,
    /// Precision and scale of a decimal.
    digits: Option<(u32, u32)>,
    values: ColumnBuilder,
    scratch: Vec<u8>,
}

/// Finds out how each column is read.
///
/// # Errors
/// Says that the statement is no query, or names a column of a type that cannot be read, and how to convert it.
pub(super) fn columns(described: &[Described]) -> Result<Vec<Column>, Problem> {
    if described.is_empty() {
        return Err(Problem::new(ProblemKind::QueryFailed, "the statement is not a query: it returns no columns"));
    }
    described.iter().map(Column::new).collect()
}

impl Column {
    fn new(described: &Described) -> Result<Self, Problem> {
        let name = described.name_str().into_owned();
        let (values, digits) = ColumnBuilder::of(described).map_err(|hint| {
            let kind = format!("{:?}", described.column_type());
            let kind = kind.trim_start_matches("MYSQL_TYPE_").to_ascii_lowercase();
            Problem::new(
                ProblemKind::UnsupportedColumn,
                format!(
                    "column `{name}` has the type {kind}, which cannot be written; convert it, for example {}",
                    by_function(hint, &name)
                ),
            )
        })?;
        Ok(Self { name, digits, values, scratch: Vec::new() })
    }

    /// Describes the column.
    pub(super) fn field(&self) -> Field {
        let kind = match &self.values {
            ColumnBuilder::Int16(_) => DataType::Int16,
            ColumnBuilder::Int32(_) => DataType::Int32,
            ColumnBuilder::Int64(_) | ColumnBuilder::Bits(_) => DataType::Int64,
            ColumnBuilder::Float32(_) => DataType::Float32,
            ColumnBuilder::Float64(_) => DataType::Float64,
            ColumnBuilder::Date(_) => DataType::Date32,
            ColumnBuilder::Timestamp(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
            ColumnBuilder::Instant(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            ColumnBuilder::Decimal(_)
            | ColumnBuilder::Unsigned(_)
            | ColumnBuilder::LongBits(_)
            | ColumnBuilder::Text(_)
            | ColumnBuilder::Json(_)
            | ColumnBuilder::Bytes(_)
            | ColumnBuilder::Time(..) => DataType::Utf8,
        };
        match self.values {
            ColumnBuilder::Decimal(_) | ColumnBuilder::Unsigned(_) | ColumnBuilder::LongBits(_) => {
                numeric_field(&self.name, self.digits)
            }
            ColumnBuilder::Json(_) => json_field(&self.name),
            ColumnBuilder::Time(..) => measure_field(&self.name),
            _ => Field::new(&self.name, kind, true),
        }
    }

    /// Adds the value of row `row` and returns about how many bytes it takes.
    pub(super) fn push(&mut self, value: &Value, row: u64) -> Result<usize, Problem> {
        if *value == Value::NULL {
            self.values.push_null();
            return Ok(4);
        }
        self.scratch.clear();
        self.values.push(value, &mut self.scratch).map_err(|fault| {
            let name = &self.name;
            let what = match fault {
                ValueError::NoDay => format!(
                    "a date that is no day of the calendar, such as 0000-00-00, in row {row}; write for example {}, or {}",
                    wrapped(name, |column| format!("nullif({column}, 0)")),
                    wrapped(name, |column| format!("cast({column} as char)"))
                ),
                ValueError::Unwritable => format!(
                    "a value that cannot be written (more than 1 GiB, perhaps) in row {row}; convert it in the query"
                ),
            };
            Problem::new(ProblemKind::UnsupportedColumn, format!("column `{name}` holds {what}"))
        })
    }

    /// Takes the values and starts the next batch.
    ///
    /// # Errors
    /// Names the column where its text is not UTF-8.
    pub(super) fn take(&mut self) -> Result<ArrayRef, Problem> {
        Ok(match &mut self.values {
            ColumnBuilder::Int16(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int32(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int64(builder) | ColumnBuilder::Bits(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Float32(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Float64(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Date(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Timestamp(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Instant(builder) => ArrayBuilder::finish(builder),
            ColumnBuilder::Decimal(texts)
            | ColumnBuilder::Unsigned(texts)
            | ColumnBuilder::LongBits(texts)
            | ColumnBuilder::Text(texts)
            | ColumnBuilder::Json(texts)
            | ColumnBuilder::Bytes(texts)
            | ColumnBuilder::Time(texts, _) => texts.take().map_err(|_| {
                let name = &self.name;
                Problem::new(
                    ProblemKind::UnsupportedColumn,
                    format!("column `{name}` holds text that is not UTF-8; write {}", by_function("hex", name)),
                )
            })?,
        })
    }
}
