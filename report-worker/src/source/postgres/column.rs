//! Columns of a result: from wire form to Arrow, each by its type.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Date32Builder, Float32Builder, Float64Builder, Int16Builder, Int32Builder,
    Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_schema::{DataType, Field, TimeUnit};
use shared::problem::{Problem, ProblemKind};
use tokio_postgres::Statement;
use tokio_postgres::types::{Kind, Type};

use super::scalar::{Malformed, Scalar, days, exactly, micros, utf8};
use crate::source::{NUMERIC, VALUE_KIND};

/// One column and its values of the batch being filled.
pub(super) struct Column {
    name: String,
    kind: Type,
    values: Values,
}

enum Values {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Oid(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Text(StringBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Instant(TimestampMicrosecondBuilder),
    /// Written into the scratch first.
    Written(Scalar, StringBuilder, String),
    /// A JSON array of such.
    List(Scalar, StringBuilder, String),
}

/// Finds out how each column of a prepared statement is read.
///
/// # Errors
/// Names a column of a type that has no sensible text, and says how to cast it.
pub(super) fn columns(statement: &Statement) -> Result<Vec<Column>, Problem> {
    if statement.columns().is_empty() {
        return Err(Problem::new(ProblemKind::QueryFailed, "the statement is not a query: it returns no columns"));
    }
    statement.columns().iter().map(|column| Column::new(column.name(), column.type_())).collect()
}

impl Column {
    fn new(name: &str, kind: &Type) -> Result<Self, Problem> {
        let values = Values::of(kind).ok_or_else(|| {
            Problem::new(
                ProblemKind::UnsupportedColumn,
                format!(
                    "column `{name}` has the type {kind}, which cannot be written; cast it, for example {name}::text"
                ),
            )
        })?;
        Ok(Self { name: name.to_owned(), kind: kind.clone(), values })
    }

    /// Describes the column.
    pub(super) fn field(&self) -> Field {
        let kind = match &self.values {
            Values::Bool(_) => DataType::Boolean,
            Values::Int16(_) => DataType::Int16,
            Values::Int32(_) => DataType::Int32,
            Values::Int64(_) | Values::Oid(_) => DataType::Int64,
            Values::Float32(_) => DataType::Float32,
            Values::Float64(_) => DataType::Float64,
            Values::Date(_) => DataType::Date32,
            Values::Timestamp(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
            Values::Instant(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Values::Text(_) | Values::Written(..) | Values::List(..) => DataType::Utf8,
        };
        let field = Field::new(&self.name, kind, true);
        if matches!(self.values, Values::Written(Scalar::Numeric, ..)) {
            return field.with_metadata([(VALUE_KIND.to_owned(), NUMERIC.to_owned())]);
        }
        field
    }

    /// Adds a value and returns about how many bytes it takes.
    pub(super) fn push(&mut self, raw: Option<&[u8]>) -> Result<usize, Problem> {
        let Some(raw) = raw else {
            self.values.push_null();
            return Ok(4);
        };
        self.values.push(raw).map(|()| raw.len() + 4).map_err(|Malformed| {
            let (name, kind) = (&self.name, &self.kind);
            Problem::new(
                ProblemKind::UnsupportedColumn,
                format!(
                    "column `{name}` holds a value of the type {kind} that cannot be written (an infinite or very distant \
                     date, perhaps); cast it, for example {name}::text"
                ),
            )
        })
    }

    /// Takes the values and starts the next batch.
    pub(super) fn take(&mut self) -> ArrayRef {
        match &mut self.values {
            Values::Bool(builder) => Arc::new(builder.finish()),
            Values::Int16(builder) => Arc::new(builder.finish()),
            Values::Int32(builder) => Arc::new(builder.finish()),
            Values::Int64(builder) | Values::Oid(builder) => Arc::new(builder.finish()),
            Values::Float32(builder) => Arc::new(builder.finish()),
            Values::Float64(builder) => Arc::new(builder.finish()),
            Values::Date(builder) => Arc::new(builder.finish()),
            Values::Timestamp(builder) => Arc::new(builder.finish()),
            Values::Instant(builder) => ArrayBuilder::finish(builder),
            Values::Text(builder) | Values::Written(_, builder, _) | Values::List(_, builder, _) => {
                Arc::new(builder.finish())
            }
        }
    }
}

impl Values {
    fn of(kind: &Type) -> Option<Self> {
        if let Kind::Array(element) = kind.kind() {
            return Scalar::of(element).map(|scalar| Self::List(scalar, StringBuilder::new(), String::new()));
        }
        Some(match Scalar::of(kind)? {
            Scalar::Bool => Self::Bool(BooleanBuilder::new()),
            Scalar::Int2 => Self::Int16(Int16Builder::new()),
            Scalar::Int4 => Self::Int32(Int32Builder::new()),
            Scalar::Int8 => Self::Int64(Int64Builder::new()),
            Scalar::Oid => Self::Oid(Int64Builder::new()),
            Scalar::Float4 => Self::Float32(Float32Builder::new()),
            Scalar::Float8 => Self::Float64(Float64Builder::new()),
            Scalar::Text | Scalar::Json => Self::Text(StringBuilder::new()),
            Scalar::Date => Self::Date(Date32Builder::new()),
            Scalar::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new()),
            Scalar::Timestamptz => Self::Instant(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            written => Self::Written(written, StringBuilder::new(), String::new()),
        })
    }

    fn push(&mut self, raw: &[u8]) -> Result<(), Malformed> {
        match self {
            Self::Bool(builder) => builder.append_value(raw != [0]),
            Self::Int16(builder) => builder.append_value(i16::from_be_bytes(exactly(raw)?)),
            Self::Int32(builder) => builder.append_value(i32::from_be_bytes(exactly(raw)?)),
            Self::Int64(builder) => builder.append_value(i64::from_be_bytes(exactly(raw)?)),
            Self::Oid(builder) => builder.append_value(i64::from(u32::from_be_bytes(exactly(raw)?))),
            Self::Float32(builder) => builder.append_value(f32::from_be_bytes(exactly(raw)?)),
            Self::Float64(builder) => builder.append_value(f64::from_be_bytes(exactly(raw)?)),
            Self::Text(builder) => builder.append_value(utf8(raw)?),
            Self::Date(builder) => builder.append_value(days(raw)?),
            Self::Timestamp(builder) | Self::Instant(builder) => builder.append_value(micros(raw)?),
            Self::Written(scalar, builder, scratch) => {
                scratch.clear();
                scalar.write(raw, scratch)?;
                builder.append_value(&*scratch);
            }
            Self::List(scalar, builder, scratch) => {
                scratch.clear();
                super::list::write_list(*scalar, raw, scratch)?;
                builder.append_value(&*scratch);
            }
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Bool(builder) => builder.append_null(),
            Self::Int16(builder) => builder.append_null(),
            Self::Int32(builder) => builder.append_null(),
            Self::Int64(builder) | Self::Oid(builder) => builder.append_null(),
            Self::Float32(builder) => builder.append_null(),
            Self::Float64(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder) | Self::Instant(builder) => builder.append_null(),
            Self::Text(builder) | Self::Written(_, builder, _) | Self::List(_, builder, _) => builder.append_null(),
        }
    }
}
