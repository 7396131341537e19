//! Columns of a result: from wire form to Arrow, each by its type.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Date32Builder, Float32Builder, Float64Builder, Int16Builder, Int32Builder,
    Int64Builder, TimestampMicrosecondBuilder,
};
use arrow_schema::{DataType, Field, TimeUnit};
use model::problem::{Problem, ProblemKind};
use tokio_postgres::types::{Kind, Type};
use values::{json_field, measure_field, numeric_field};

use super::decimal::DecimalBuilder;
use super::scalar::{MalformedValue, Scalar, days, exactly, flag, json_text, micros};
use crate::conversion::wrapped;
use crate::text_builder::{InvalidText, TextBuilder};

/// One column and its values of the batch being filled.
pub(super) struct Column {
    name: String,
    kind: Type,
    /// Precision and scale of a `numeric(p, s)`.
    digits: Option<(u16, u16)>,
    /// Its text is a length of time or an amount of money.
    is_measure: bool,
    values: ColumnBuilder,
    /// Values are written here first where their length is not known before.
    scratch: Vec<u8>,
}

enum ColumnBuilder {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Oid(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Instant(TimestampMicrosecondBuilder),
    /// As it comes.
    Text(TextBuilder),
    Jsonb(TextBuilder),
    /// Numbers of few digits.
    Decimal(DecimalBuilder),
    Written(Scalar, TextBuilder),
    /// A JSON array of such.
    List(Scalar, TextBuilder),
}

/// Tells whether values of a type are read from their wire form. Of others the server makes text.
pub(super) fn is_read_here(kind: &Type) -> bool {
    Scalar::of(element(kind).unwrap_or(kind)).is_some()
}

/// Returns the type of the elements of an array.
fn element(kind: &Type) -> Option<&Type> {
    match kind.kind() {
        Kind::Array(element) => Some(element),
        Kind::Domain(inner) => element(inner),
        _ => None,
    }
}

fn is_money(kind: &Type) -> bool {
    match kind.kind() {
        Kind::Domain(inner) => is_money(inner),
        _ => *kind == Type::MONEY,
    }
}

impl Column {
    /// Prepares to read a column. `modifier` is the server's `typmod`.
    ///
    /// # Errors
    /// Names the column where its type is not read here.
    pub(super) fn new(name: &str, kind: &Type, modifier: i32) -> Result<Self, Problem> {
        let digits = digits(kind, modifier);
        let decimals =
            digits.and_then(|(precision, scale)| DecimalBuilder::new(precision, scale)).map(ColumnBuilder::Decimal);
        let values = decimals.or_else(|| ColumnBuilder::of(kind)).ok_or_else(|| {
            Problem::new(
                ProblemKind::UnsupportedColumn,
                format!(
                    "column `{name}` has the type {kind}, which cannot be written; cast it, for example {}",
                    wrapped(name, |column| format!("{column}::text"))
                ),
            )
        })?;
        let is_measure = matches!(values, ColumnBuilder::Written(Scalar::Interval, _));
        Ok(Self { name: name.to_owned(), kind: kind.clone(), digits, is_measure, values, scratch: Vec::new() })
    }

    /// Says what the server makes text of.
    pub(super) fn made_of(mut self, kind: &Type) -> Self {
        self.is_measure |= is_money(kind);
        self
    }

    /// Describes the column.
    pub(super) fn field(&self) -> Field {
        let kind = match &self.values {
            ColumnBuilder::Bool(_) => DataType::Boolean,
            ColumnBuilder::Int16(_) => DataType::Int16,
            ColumnBuilder::Int32(_) => DataType::Int32,
            ColumnBuilder::Int64(_) | ColumnBuilder::Oid(_) => DataType::Int64,
            ColumnBuilder::Float32(_) => DataType::Float32,
            ColumnBuilder::Float64(_) => DataType::Float64,
            ColumnBuilder::Date(_) => DataType::Date32,
            ColumnBuilder::Timestamp(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
            ColumnBuilder::Instant(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            ColumnBuilder::Decimal(decimals) => decimals.data_type(),
            ColumnBuilder::Text(_) | ColumnBuilder::Jsonb(_) | ColumnBuilder::Written(..) | ColumnBuilder::List(..) => {
                DataType::Utf8
            }
        };
        match (&self.values, Scalar::of(&self.kind)) {
            (ColumnBuilder::Written(Scalar::Numeric, _), _) => {
                numeric_field(&self.name, self.digits.map(|(precision, scale)| (precision.into(), scale.into())))
            }
            (ColumnBuilder::Decimal(_), _) => {
                let digits = self.digits.map(|(precision, scale)| (precision.into(), scale.into()));
                numeric_field(&self.name, digits).with_data_type(kind)
            }
            (ColumnBuilder::List(..), _) | (_, Some(Scalar::Json | Scalar::Jsonb)) => json_field(&self.name),
            _ if self.is_measure => measure_field(&self.name),
            _ => Field::new(&self.name, kind, true),
        }
    }

    /// Adds a value and returns about how many bytes it takes.
    #[inline]
    pub(super) fn push(&mut self, raw: Option<&[u8]>) -> Result<usize, Problem> {
        let Some(raw) = raw else {
            self.values.push_null();
            return Ok(4);
        };
        match self.values.push(raw, &mut self.scratch) {
            // Few bytes may be many digits.
            Ok(()) => Ok(raw.len().max(self.scratch.len()) + 4),
            Err(MalformedValue) => Err(self.unwritable("a value")),
        }
    }

    /// Takes the values and starts the next batch. Decimals may come as text: see [`DecimalBuilder`].
    ///
    /// # Errors
    /// Names the column where its text is not UTF-8.
    pub(super) fn take(&mut self) -> Result<ArrayRef, Problem> {
        Ok(match &mut self.values {
            ColumnBuilder::Bool(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int16(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int32(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int64(builder) | ColumnBuilder::Oid(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Float32(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Float64(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Date(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Timestamp(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Instant(builder) => ArrayBuilder::finish(builder),
            ColumnBuilder::Decimal(decimals) => decimals.take().map_err(|InvalidText| self.unwritable("a value"))?,
            ColumnBuilder::Text(texts)
            | ColumnBuilder::Jsonb(texts)
            | ColumnBuilder::Written(_, texts)
            | ColumnBuilder::List(_, texts) => {
                texts.take().map_err(|InvalidText| self.unwritable("text that is not UTF-8, or a value"))?
            }
        })
    }

    fn unwritable(&self, what: &str) -> Problem {
        let (name, kind) = (&self.name, &self.kind);
        Problem::new(
            ProblemKind::UnsupportedColumn,
            format!(
                "column `{name}` holds {what} of the type {kind} that cannot be written (a year beyond 294,000, or more than \
                 1 GiB, perhaps); cast it, for example {}",
                wrapped(name, |column| format!("{column}::text"))
            ),
        )
    }
}

/// Reads precision and scale out of a modifier, as `numeric` keeps them: both in 16 bits, the scale signed in eleven.
fn digits(kind: &Type, modifier: i32) -> Option<(u16, u16)> {
    let packed = u32::try_from(modifier).ok()?.checked_sub(4)?;
    let (precision, scale) = ((packed >> 16) & 0xFFFF, packed & 0x7FF);
    (*kind == Type::NUMERIC && scale <= 1000).then_some((u16::try_from(precision).ok()?, u16::try_from(scale).ok()?))
}

impl From<InvalidText> for MalformedValue {
    fn from(InvalidText: InvalidText) -> Self {
        Self
    }
}

impl ColumnBuilder {
    fn of(kind: &Type) -> Option<Self> {
        let bytes = TextBuilder::default();
        if let Some(element) = element(kind) {
            return Scalar::of(element).map(|scalar| Self::List(scalar, bytes));
        }
        Some(match Scalar::of(kind)? {
            Scalar::Bool => Self::Bool(BooleanBuilder::new()),
            Scalar::Int2 => Self::Int16(Int16Builder::new()),
            Scalar::Int4 => Self::Int32(Int32Builder::new()),
            Scalar::Int8 => Self::Int64(Int64Builder::new()),
            Scalar::Oid => Self::Oid(Int64Builder::new()),
            Scalar::Float4 => Self::Float32(Float32Builder::new()),
            Scalar::Float8 => Self::Float64(Float64Builder::new()),
            Scalar::Text | Scalar::Json => Self::Text(bytes),
            Scalar::Jsonb => Self::Jsonb(bytes),
            Scalar::Date => Self::Date(Date32Builder::new()),
            Scalar::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new()),
            Scalar::Timestamptz => Self::Instant(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            written => Self::Written(written, bytes),
        })
    }

    #[inline]
    fn push(&mut self, raw: &[u8], scratch: &mut Vec<u8>) -> Result<(), MalformedValue> {
        match self {
            Self::Bool(builder) => builder.append_value(flag(raw)?),
            Self::Int16(builder) => builder.append_value(i16::from_be_bytes(exactly(raw)?)),
            Self::Int32(builder) => builder.append_value(i32::from_be_bytes(exactly(raw)?)),
            Self::Int64(builder) => builder.append_value(i64::from_be_bytes(exactly(raw)?)),
            Self::Oid(builder) => builder.append_value(i64::from(u32::from_be_bytes(exactly(raw)?))),
            Self::Float32(builder) => builder.append_value(f32::from_be_bytes(exactly(raw)?)),
            Self::Float64(builder) => builder.append_value(f64::from_be_bytes(exactly(raw)?)),
            Self::Date(builder) => builder.append_value(days(raw)?),
            Self::Timestamp(builder) | Self::Instant(builder) => builder.append_value(micros(raw)?),
            Self::Text(texts) => texts.push(raw)?,
            Self::Jsonb(texts) => texts.push(json_text(raw)?)?,
            Self::Decimal(decimals) => decimals.push(raw, scratch)?,
            Self::Written(scalar, texts) => {
                scratch.clear();
                scalar.write(raw, scratch)?;
                texts.push(scratch)?;
            }
            Self::List(scalar, texts) => {
                scratch.clear();
                super::list::write_list(*scalar, raw, scratch)?;
                texts.push(scratch)?;
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
            Self::Decimal(decimals) => decimals.push_null(),
            Self::Text(texts) | Self::Jsonb(texts) | Self::Written(_, texts) | Self::List(_, texts) => {
                texts.push_null();
            }
        }
    }
}
