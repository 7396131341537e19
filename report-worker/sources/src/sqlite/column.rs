//! Columns of a source whose types belong to values.
//!
//! What the report says of a column decides; else a declared type where there is one that SQLite enforces; else the first value that
//! is not null, between numbers, text and bytes. Numbers of both storage classes go on as decimal text that says so, because a sum is an integer in one
//! row and a float in the next. A value of another kind fails the read: it is never converted in silence.

use std::sync::Arc;

use arrow_array::{ArrayRef, NullArray};
use arrow_schema::{DataType, Field, TimeUnit};
use model::problem::{Problem, ProblemKind};
use report::{ColumnSpec, ColumnType};
use rusqlite::Statement;
use rusqlite::types::ValueRef;
use values::{mixed_number_field, numeric_field};

use super::column_builder::ColumnBuilder;
use super::url::TextReading;
use crate::conversion::{by_function, wrapped};

/// One column and its values of the batch being filled.
pub(super) struct Column {
    name: String,
    text: TextReading,
    /// What the report says of it.
    told: Option<ColumnType>,
    values: ColumnBuilder,
}

impl Column {
    /// Looks at the types that the report's `specs` and the tables declare for a statement's columns.
    pub(super) fn of(statement: &Statement<'_>, specs: &[ColumnSpec], text: TextReading) -> Vec<Self> {
        let columns = statement.columns();
        let prepared = columns.iter().map(|column| {
            let told = specs.iter().find(|spec| spec.name == column.name()).and_then(|spec| spec.kind);
            let values = told.map_or_else(|| ColumnBuilder::declared(column.decl_type()), ColumnBuilder::told);
            Self { name: column.name().to_owned(), text, told, values }
        });
        prepared.collect()
    }

    /// Describes the column as it is now.
    pub(super) fn field(&self) -> Field {
        let kind = match &self.values {
            ColumnBuilder::Undecided(_) => DataType::Null,
            ColumnBuilder::Integer(_) => DataType::Int64,
            ColumnBuilder::Real(_) => DataType::Float64,
            ColumnBuilder::Boolean(_) => DataType::Boolean,
            ColumnBuilder::Number(_) => return mixed_number_field(&self.name),
            ColumnBuilder::Decimal(_) => return numeric_field(&self.name, None),
            ColumnBuilder::Text(_) | ColumnBuilder::Bytes(_) => DataType::Utf8,
            ColumnBuilder::Date(_) => DataType::Date32,
            ColumnBuilder::Datetime(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
            ColumnBuilder::Timestamp(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        };
        Field::new(&self.name, kind, true)
    }

    /// Adds the value of row `number` and returns about how many bytes it takes.
    pub(super) fn push(&mut self, value: ValueRef<'_>, number: u64) -> Result<usize, Problem> {
        if let (ColumnBuilder::Undecided(nulls), false) = (&self.values, value == ValueRef::Null) {
            self.values = ColumnBuilder::decided_by(value, *nulls);
        }
        self.values.push(value, self.text).map_err(|expected| self.mixed(value, expected, number))
    }

    /// Takes the values and starts the next batch with a column of the same kind.
    pub(super) fn take(&mut self) -> (Field, ArrayRef) {
        let field = self.field();
        let array: ArrayRef = match &mut self.values {
            ColumnBuilder::Undecided(nulls) => Arc::new(NullArray::new(std::mem::take(nulls))),
            ColumnBuilder::Integer(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Real(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Boolean(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Number(builder)
            | ColumnBuilder::Decimal(builder)
            | ColumnBuilder::Text(builder)
            | ColumnBuilder::Bytes(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Date(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Datetime(builder) | ColumnBuilder::Timestamp(builder) => Arc::new(builder.finish()),
        };
        (field, array)
    }

    fn mixed(&self, value: ValueRef<'_>, expected: &str, row: u64) -> Problem {
        let name = &self.name;
        let as_text = || wrapped(name, |column| format!("cast({column} as text)"));
        let (found, cure) = match value {
            // A cast to text would leave the bytes as they are.
            ValueRef::Text(text) if std::str::from_utf8(text).is_err() => {
                let hex = by_function("hex", name);
                let cure =
                    format!("write {hex}, or put ?text=latin1 or ?text=lossy behind the path in the source's url");
                let why = format!("column `{name}` holds text that is not UTF-8 in row {row}; {cure}");
                return Problem::new(ProblemKind::UnsupportedColumn, why);
            }
            ValueRef::Null => ("null", as_text()),
            ValueRef::Integer(_) => ("an integer", as_text()),
            ValueRef::Real(_) => ("a floating-point number", as_text()),
            ValueRef::Text(_) => ("text", as_text()),
            ValueRef::Blob(_) => ("bytes", by_function("hex", name)),
        };
        if let Some(told) = self.told {
            let why = format!(
                "column `{name}` holds {expected}, as its `type` in [[columns]] says, but {found} that is none in row {row}; {}",
                cure_of(told, name)
            );
            return Problem::new(ProblemKind::UnsupportedColumn, why);
        }
        Problem::new(
            ProblemKind::UnsupportedColumn,
            format!(
                "column `{name}` holds {expected}, but {found} in row {row}; give it one type in the query, for example {cure}"
            ),
        )
    }
}

/// Says how what is in a column becomes what its `type` says.
fn cure_of(told: ColumnType, name: &str) -> String {
    let by = |convert: &str| wrapped(name, |column| convert.replace("{}", column));
    match told {
        ColumnType::Date => {
            format!("write {}, or, of seconds since 1970, {}", by("date({})"), by("date({}, 'unixepoch')"))
        }
        ColumnType::Datetime | ColumnType::Timestamp => {
            format!("write {}, or, of seconds since 1970, {}", by("datetime({})"), by("datetime({}, 'unixepoch')"))
        }
        ColumnType::Decimal => "a number has digits, and a point and digits behind it".to_owned(),
    }
}
