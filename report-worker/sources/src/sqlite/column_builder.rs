//! Values of a column on their way into a batch, each kind in its Arrow form.

use std::borrow::Cow;
use std::fmt::Write as _;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use report::ColumnType;
use rusqlite::types::ValueRef;
use values::number;

use super::moment::{Moment, has_offset};
use super::url::TextReading;

/// The values of a column of the batch being filled.
pub(super) enum ColumnBuilder {
    /// Nulls only, so far.
    Undecided(usize),
    Integer(Int64Builder),
    Real(Float64Builder),
    Boolean(BooleanBuilder),
    /// Of both storage classes.
    Number(StringBuilder),
    /// The same, and text that is a number.
    Decimal(StringBuilder),
    Text(StringBuilder),
    Bytes(StringBuilder),
    Date(Date32Builder),
    Datetime(TimestampMicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl ColumnBuilder {
    /// Follows SQLite's own rules of affinity, and knows booleans besides.
    pub(super) fn declared(kind: Option<&str>) -> Self {
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

    /// Follows the report.
    pub(super) fn told(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::Datetime => Self::Datetime(TimestampMicrosecondBuilder::new()),
            ColumnType::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            ColumnType::Decimal => Self::Decimal(StringBuilder::new()),
        }
    }

    /// Picks the kind by the first value, behind `nulls` nulls of this batch.
    pub(super) fn decided_by(value: ValueRef<'_>, nulls: usize) -> Self {
        let mut builder = StringBuilder::new();
        builder.append_nulls(nulls);
        match value {
            ValueRef::Integer(_) | ValueRef::Real(_) => Self::Number(builder),
            ValueRef::Blob(_) => Self::Bytes(builder),
            ValueRef::Text(_) | ValueRef::Null => Self::Text(builder),
        }
    }

    /// Says what the column holds where the value is something else.
    pub(super) fn push(&mut self, value: ValueRef<'_>, reading: TextReading) -> Result<usize, &'static str> {
        match (self, value) {
            (values, ValueRef::Null) => values.push_null(),
            (Self::Integer(builder), ValueRef::Integer(value)) => builder.append_value(value),
            (Self::Real(builder), ValueRef::Real(value)) => builder.append_value(value),
            (Self::Boolean(builder), ValueRef::Integer(value @ 0..=1)) => builder.append_value(value == 1),
            (Self::Number(builder) | Self::Decimal(builder), ValueRef::Integer(value)) => {
                let _ = builder.write_str(itoa::Buffer::new().format(value));
                builder.append_value("");
            }
            (Self::Number(builder) | Self::Decimal(builder), ValueRef::Real(value)) => {
                number::write_f64(builder, value);
                builder.append_value("");
            }
            (Self::Text(builder), ValueRef::Text(value)) => {
                let text = read_text(value, reading).ok_or("text")?;
                builder.append_value(&text);
                return Ok(text.len() + 4);
            }
            (Self::Bytes(builder), ValueRef::Blob(value)) => {
                write_hex(builder, value);
                builder.append_value("");
                return Ok(2 * value.len() + 6);
            }
            (Self::Decimal(builder), ValueRef::Text(text)) if is_decimal(text) => {
                builder.append_value(String::from_utf8_lossy(text));
                return Ok(text.len() + 4);
            }
            (Self::Date(builder), ValueRef::Text(text)) => {
                builder.append_value(Moment::of(text).and_then(Moment::day).ok_or("days")?);
            }
            (Self::Datetime(builder), ValueRef::Text(text)) if !has_offset(text) => {
                builder.append_value(Moment::of(text).and_then(Moment::micros).ok_or("times")?);
            }
            (Self::Timestamp(builder), ValueRef::Text(text)) => {
                builder.append_value(Moment::of(text).and_then(Moment::micros).ok_or("times")?);
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
            Self::Number(builder) | Self::Decimal(builder) | Self::Text(builder) | Self::Bytes(builder) => {
                builder.append_null();
            }
            Self::Date(builder) => builder.append_null(),
            Self::Datetime(builder) | Self::Timestamp(builder) => builder.append_null(),
        }
    }

    const fn describe(&self) -> &'static str {
        match self {
            Self::Undecided(_) => "nulls",
            Self::Integer(_) => "integers",
            Self::Real(_) => "floating-point numbers",
            Self::Boolean(_) => "booleans (0 and 1)",
            Self::Number(_) | Self::Decimal(_) => "numbers",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Date(_) => "days",
            Self::Datetime(_) => "times without zone",
            Self::Timestamp(_) => "times",
        }
    }
}

/// Tells whether a text is a number and nothing else.
fn is_decimal(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let mut parts = digits.splitn(2, |byte| *byte == b'.');
    parts.all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

/// Reads text that may not be UTF-8. `None`: it is not, and nothing else was said.
fn read_text(text: &[u8], reading: TextReading) -> Option<Cow<'_, str>> {
    if let Ok(text) = std::str::from_utf8(text) {
        return Some(Cow::Borrowed(text));
    }
    match reading {
        TextReading::Exact => None,
        TextReading::Latin1 => Some(text.iter().map(|byte| char::from(*byte)).collect()),
        TextReading::Lossy => Some(String::from_utf8_lossy(text)),
    }
}

/// Writes bytes as PostgreSQL shows them: `\x` and two digits each.
fn write_hex(out: &mut StringBuilder, bytes: &[u8]) {
    let _ = out.write_str("\\x");
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
}
