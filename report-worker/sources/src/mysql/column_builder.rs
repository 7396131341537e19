//! Values of a column on their way into a batch, each type in its Arrow form.

use std::io::Write as _;

use arrow_array::builder::{
    Date32Builder, Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder,
    TimestampMicrosecondBuilder,
};
use chrono::NaiveDate;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Column as Described, Value};

use crate::text_builder::TextBuilder;

/// The character set of bytes that are no text.
const BINARY: u16 = 63;

/// The values of a column of the batch being filled, by their type.
pub(super) enum ColumnBuilder {
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Instant(TimestampMicrosecondBuilder),
    /// As the server writes its digits.
    Decimal(TextBuilder),
    /// Integers of 64 bits without sign.
    Unsigned(TextBuilder),
    Text(TextBuilder),
    Json(TextBuilder),
    Bytes(TextBuilder),
    Bits(Int64Builder),
    /// 64 of them.
    LongBits(TextBuilder),
    /// With as many digits of fraction.
    Time(TextBuilder, usize),
}

/// Why a value cannot be handed on.
pub(super) enum ValueError {
    /// `0000-00-00`, or the like.
    NoDay,
    /// Not what the column's type says, or more than a gigabyte.
    Unwritable,
}

/// What is known of a decimal: precision and scale.
type DeclaredDigits = Option<(u32, u32)>;

impl ColumnBuilder {
    /// Finds the values' form, or the function that makes text of the type.
    pub(super) fn of(described: &Described) -> Result<(Self, DeclaredDigits), &'static str> {
        use ColumnType as T;
        let flags = described.flags();
        let unsigned = flags.contains(ColumnFlags::UNSIGNED_FLAG);
        let length = described.column_length();
        Ok((
            match described.column_type() {
                T::MYSQL_TYPE_TINY | T::MYSQL_TYPE_YEAR => Self::Int16(Int16Builder::new()),
                T::MYSQL_TYPE_SHORT if !unsigned => Self::Int16(Int16Builder::new()),
                T::MYSQL_TYPE_SHORT | T::MYSQL_TYPE_INT24 => Self::Int32(Int32Builder::new()),
                T::MYSQL_TYPE_LONG if !unsigned => Self::Int32(Int32Builder::new()),
                T::MYSQL_TYPE_LONG => Self::Int64(Int64Builder::new()),
                T::MYSQL_TYPE_LONGLONG if !unsigned => Self::Int64(Int64Builder::new()),
                T::MYSQL_TYPE_DECIMAL | T::MYSQL_TYPE_NEWDECIMAL => {
                    let scale = u32::from(described.decimals());
                    let precision = length.saturating_sub(u32::from(scale > 0) + u32::from(!unsigned));
                    let digits = (scale <= precision && (1..=65).contains(&precision)).then_some((precision, scale));
                    return Ok((Self::Decimal(TextBuilder::default()), digits));
                }
                T::MYSQL_TYPE_FLOAT => Self::Float32(Float32Builder::new()),
                T::MYSQL_TYPE_DOUBLE => Self::Float64(Float64Builder::new()),
                T::MYSQL_TYPE_DATE | T::MYSQL_TYPE_NEWDATE => Self::Date(Date32Builder::new()),
                T::MYSQL_TYPE_DATETIME | T::MYSQL_TYPE_DATETIME2 => Self::Timestamp(TimestampMicrosecondBuilder::new()),
                T::MYSQL_TYPE_TIMESTAMP | T::MYSQL_TYPE_TIMESTAMP2 => {
                    Self::Instant(TimestampMicrosecondBuilder::new().with_timezone("UTC"))
                }
                T::MYSQL_TYPE_TIME | T::MYSQL_TYPE_TIME2 => {
                    Self::Time(TextBuilder::default(), usize::from(described.decimals()).min(6))
                }
                T::MYSQL_TYPE_BIT if length < 64 => Self::Bits(Int64Builder::new()),
                T::MYSQL_TYPE_LONGLONG => return Ok((Self::Unsigned(TextBuilder::default()), Some((20, 0)))),
                T::MYSQL_TYPE_BIT => return Ok((Self::LongBits(TextBuilder::default()), Some((20, 0)))),
                T::MYSQL_TYPE_JSON => Self::Json(TextBuilder::default()),
                T::MYSQL_TYPE_NULL | T::MYSQL_TYPE_ENUM | T::MYSQL_TYPE_SET => Self::Text(TextBuilder::default()),
                T::MYSQL_TYPE_VARCHAR
                | T::MYSQL_TYPE_VAR_STRING
                | T::MYSQL_TYPE_STRING
                | T::MYSQL_TYPE_TINY_BLOB
                | T::MYSQL_TYPE_MEDIUM_BLOB
                | T::MYSQL_TYPE_LONG_BLOB
                | T::MYSQL_TYPE_BLOB => {
                    let listed = flags.intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG);
                    if described.character_set() == BINARY && !listed {
                        Self::Bytes(TextBuilder::default())
                    } else {
                        Self::Text(TextBuilder::default())
                    }
                }
                T::MYSQL_TYPE_GEOMETRY => return Err("st_astext"),
                T::MYSQL_TYPE_VECTOR => return Err("vec_totext"),
                _ => return Err("hex"),
            },
            None,
        ))
    }

    /// Adds a value. What it means is said by the column's type alone: bytes of bits may look like the digits of a decimal.
    pub(super) fn push(&mut self, value: &Value, scratch: &mut Vec<u8>) -> Result<usize, ValueError> {
        let whole = || integer(value).ok_or(ValueError::Unwritable);
        match (self, value) {
            (Self::Int16(builder), _) => builder.append_value(narrow(whole()?)?),
            (Self::Int32(builder), _) => builder.append_value(narrow(whole()?)?),
            (Self::Int64(builder), _) => builder.append_value(narrow(whole()?)?),
            (Self::Bits(builder), Value::Bytes(raw)) => builder.append_value(narrow(bits(raw)?.into())?),
            (Self::Float32(builder), Value::Float(value)) => builder.append_value(*value),
            (Self::Float64(builder), Value::Double(value)) => builder.append_value(*value),
            (Self::Date(builder), Value::Date(year, month, day, ..)) => {
                let day = day_of(*year, *month, *day)?;
                builder.append_value(i32::try_from(day).map_err(|_| ValueError::Unwritable)?);
            }
            (
                Self::Timestamp(builder) | Self::Instant(builder),
                Value::Date(year, month, day, hour, minute, second, micros),
            ) => {
                let seconds = i64::from(*hour) * 3600 + i64::from(*minute) * 60 + i64::from(*second);
                let days = day_of(*year, *month, *day)?;
                builder.append_value((days * 86_400 + seconds) * 1_000_000 + i64::from(*micros));
            }
            (Self::Decimal(texts), Value::Bytes(digits)) => texts.push(digits).map_err(|_| ValueError::Unwritable)?,
            (Self::Unsigned(texts), _) => {
                let _ = write!(scratch, "{}", whole()?);
                texts.push(scratch).map_err(|_| ValueError::Unwritable)?;
            }
            (Self::LongBits(texts), Value::Bytes(raw)) => {
                let _ = write!(scratch, "{}", bits(raw)?);
                texts.push(scratch).map_err(|_| ValueError::Unwritable)?;
            }
            (Self::Text(texts) | Self::Json(texts), Value::Bytes(text)) => {
                texts.push(text).map_err(|_| ValueError::Unwritable)?;
                return Ok(text.len() + 4);
            }
            (Self::Bytes(texts), Value::Bytes(bytes)) => {
                scratch.extend_from_slice(b"\\x");
                scratch.resize(2 + 2 * bytes.len(), 0);
                hex::encode_to_slice(bytes, &mut scratch[2..]).map_err(|_| ValueError::Unwritable)?;
                texts.push(scratch).map_err(|_| ValueError::Unwritable)?;
                return Ok(scratch.len() + 4);
            }
            (Self::Time(texts, decimals), Value::Time(negative, days, hours, minutes, seconds, micros)) => {
                let hours = u64::from(*days) * 24 + u64::from(*hours);
                let _ = write!(scratch, "{}{hours:02}:{minutes:02}:{seconds:02}", if *negative { "-" } else { "" });
                if *decimals > 0 {
                    let fraction = format!("{micros:06}");
                    let _ = write!(scratch, ".{}", &fraction[..(*decimals).min(6)]);
                }
                texts.push(scratch).map_err(|_| ValueError::Unwritable)?;
            }
            _ => return Err(ValueError::Unwritable),
        }
        Ok(12)
    }

    pub(super) fn push_null(&mut self) {
        match self {
            Self::Int16(builder) => builder.append_null(),
            Self::Int32(builder) => builder.append_null(),
            Self::Int64(builder) | Self::Bits(builder) => builder.append_null(),
            Self::Float32(builder) => builder.append_null(),
            Self::Float64(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder) | Self::Instant(builder) => builder.append_null(),
            Self::Decimal(texts)
            | Self::Unsigned(texts)
            | Self::LongBits(texts)
            | Self::Text(texts)
            | Self::Json(texts)
            | Self::Bytes(texts)
            | Self::Time(texts, _) => texts.push_null(),
        }
    }
}

/// Reads a whole number.
fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Int(value) => Some(i128::from(*value)),
        Value::UInt(value) => Some(i128::from(*value)),
        _ => None,
    }
}

/// Reads bits, which come as bytes, the highest first.
fn bits(raw: &[u8]) -> Result<u64, ValueError> {
    let bytes = 8_usize.checked_sub(raw.len()).ok_or(ValueError::Unwritable)?;
    let mut number = [0; 8];
    number[bytes..].copy_from_slice(raw);
    Ok(u64::from_be_bytes(number))
}

fn narrow<T: TryFrom<i128>>(value: i128) -> Result<T, ValueError> {
    T::try_from(value).map_err(|_| ValueError::Unwritable)
}

/// Returns the day since 1970-01-01.
fn day_of(year: u16, month: u8, day: u8) -> Result<i64, ValueError> {
    let date = NaiveDate::from_ymd_opt(i32::from(year), month.into(), day.into()).ok_or(ValueError::NoDay)?;
    Ok(date.signed_duration_since(NaiveDate::default()).num_days())
}
