//! Columns of a source whose types belong to values.
//!
//! A declared type decides where there is one that SQLite enforces; else the first value that is not null decides between
//! numbers, text and bytes. Numbers of both storage classes go on as exact decimal text, because a sum is an integer in one
//! row and a float in the next. A value of another kind fails the read: it is never converted in silence.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, NullArray};
use arrow_schema::{DataType, Field};
use model::problem::{Problem, ProblemKind};
use rusqlite::Statement;
use rusqlite::types::ValueRef;
use values::number;
use values::{NUMERIC, VALUE_KIND};

/// One column and its values of the batch being filled.
pub(super) struct Column {
    name: String,
    values: ColumnBuilder,
}

enum ColumnBuilder {
    /// Nulls only, so far.
    Undecided(usize),
    Integer(Int64Builder),
    Real(Float64Builder),
    Boolean(BooleanBuilder),
    Number(StringBuilder),
    Text(StringBuilder),
    Bytes(StringBuilder),
}

impl Column {
    /// Looks at the declared types of a statement's columns.
    pub(super) fn of(statement: &Statement<'_>) -> Vec<Self> {
        statement
            .columns()
            .iter()
            .map(|column| Self { name: column.name().to_owned(), values: ColumnBuilder::declared(column.decl_type()) })
            .collect()
    }

    /// Describes the column as it is now.
    pub(super) fn field(&self) -> Field {
        let kind = match &self.values {
            ColumnBuilder::Undecided(_) => DataType::Null,
            ColumnBuilder::Integer(_) => DataType::Int64,
            ColumnBuilder::Real(_) => DataType::Float64,
            ColumnBuilder::Boolean(_) => DataType::Boolean,
            ColumnBuilder::Number(_) => {
                let numeric = HashMap::from([(VALUE_KIND.to_owned(), NUMERIC.to_owned())]);
                return Field::new(&self.name, DataType::Utf8, true).with_metadata(numeric);
            }
            ColumnBuilder::Text(_) | ColumnBuilder::Bytes(_) => DataType::Utf8,
        };
        Field::new(&self.name, kind, true)
    }

    /// Adds the value of row `number` and returns about how many bytes it takes.
    pub(super) fn push(&mut self, value: ValueRef<'_>, number: u64) -> Result<usize, Problem> {
        if let (ColumnBuilder::Undecided(nulls), false) = (&self.values, value == ValueRef::Null) {
            self.values = ColumnBuilder::decided_by(value, *nulls);
        }
        self.values.push(value).map_err(|expected| self.mixed(value, expected, number))
    }

    /// Takes the values and starts the next batch with a column of the same kind.
    pub(super) fn take(&mut self) -> (Field, ArrayRef) {
        let field = self.field();
        let array: ArrayRef = match &mut self.values {
            ColumnBuilder::Undecided(nulls) => Arc::new(NullArray::new(std::mem::take(nulls))),
            ColumnBuilder::Integer(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Real(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Boolean(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Number(builder) | ColumnBuilder::Text(builder) | ColumnBuilder::Bytes(builder) => {
                Arc::new(builder.finish())
            }
        };
        (field, array)
    }

    fn mixed(&self, value: ValueRef<'_>, expected: &str, row: u64) -> Problem {
        let found = match value {
            ValueRef::Null => "null",
            ValueRef::Integer(_) => "an integer",
            ValueRef::Real(_) => "a floating-point number",
            ValueRef::Text(text) if std::str::from_utf8(text).is_err() => "text that is not UTF-8",
            ValueRef::Text(_) => "text",
            ValueRef::Blob(_) => "bytes",
        };
        let name = &self.name;
        Problem::new(
            ProblemKind::UnsupportedColumn,
            format!(
                "column `{name}` holds {expected}, but {found} in row {row}; give it one type in the query, for example \
                 cast({name} as text) as {name}, or hex({name}) for bytes"
            ),
        )
    }
}

impl ColumnBuilder {
    /// Follows SQLite's own rules of affinity, and knows booleans besides.
    fn declared(kind: Option<&str>) -> Self {
        let kind = kind.unwrap_or_default().to_ascii_uppercase();
        let has = |words: &[&str]| words.iter().any(|word| kind.contains(word));
        if has(&["INT"]) {
            Self::Integer(Int64Builder::new())
        } else if has(&["CHAR", "CLOB", "TEXT"]) {
            Self::Text(StringBuilder::new())
        } else if has(&["REAL", "FLOA", "DOUB"]) {
            Self::Real(Float64Builder::new())
        } else if has(&["BOOL"]) {
            Self::Boolean(BooleanBuilder::new())
        } else if has(&["DEC", "NUMERIC"]) {
            Self::Number(StringBuilder::new())
        } else {
            Self::Undecided(0)
        }
    }

    /// Picks the kind by the first value, behind `nulls` nulls of this batch.
    fn decided_by(value: ValueRef<'_>, nulls: usize) -> Self {
        let mut builder = StringBuilder::new();
        builder.append_nulls(nulls);
        match value {
            ValueRef::Integer(_) | ValueRef::Real(_) => Self::Number(builder),
            ValueRef::Blob(_) => Self::Bytes(builder),
            ValueRef::Text(_) | ValueRef::Null => Self::Text(builder),
        }
    }

    /// Says what the column holds where the value is something else.
    fn push(&mut self, value: ValueRef<'_>) -> Result<usize, &'static str> {
        match (self, value) {
            (values, ValueRef::Null) => values.push_null(),
            (Self::Integer(builder), ValueRef::Integer(value)) => builder.append_value(value),
            (Self::Real(builder), ValueRef::Real(value)) => builder.append_value(value),
            (Self::Boolean(builder), ValueRef::Integer(value @ 0..=1)) => builder.append_value(value == 1),
            (Self::Number(builder), ValueRef::Integer(value)) => {
                let _ = builder.write_str(itoa::Buffer::new().format(value));
                builder.append_value("");
            }
            (Self::Number(builder), ValueRef::Real(value)) => {
                number::write_f64(builder, value);
                builder.append_value("");
            }
            (Self::Text(builder), ValueRef::Text(value)) => {
                let text = std::str::from_utf8(value).map_err(|_| "text")?;
                builder.append_value(text);
                return Ok(text.len() + 4);
            }
            (Self::Bytes(builder), ValueRef::Blob(value)) => {
                write_hex(builder, value);
                builder.append_value("");
                return Ok(2 * value.len() + 6);
            }
            (values, _) => return Err(values.describe()),
        }
        Ok(8)
    }

    fn push_null(&mut self) {
        match self {
            Self::Undecided(nulls) => *nulls += 1,
            Self::Integer(builder) => builder.append_null(),
            Self::Real(builder) => builder.append_null(),
            Self::Boolean(builder) => builder.append_null(),
            Self::Number(builder) | Self::Text(builder) | Self::Bytes(builder) => builder.append_null(),
        }
    }

    const fn describe(&self) -> &'static str {
        match self {
            Self::Undecided(_) => "nulls",
            Self::Integer(_) => "integers",
            Self::Real(_) => "floating-point numbers",
            Self::Boolean(_) => "booleans (0 and 1)",
            Self::Number(_) => "numbers",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
        }
    }
}

/// Writes bytes as PostgreSQL shows them: `\x` and two digits each.
pub(crate) fn write_hex(out: &mut StringBuilder, bytes: &[u8]) {
    let _ = out.write_str("\\x");
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
}
