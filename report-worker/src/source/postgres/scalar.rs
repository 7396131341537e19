//! Values of PostgreSQL types as text, from their wire form.

use std::fmt::Write as _;

use tokio_postgres::types::{Kind, Type};

use super::numeric::write_numeric;
use crate::format::{number, time};

/// Days from 1970-01-01 to 2000-01-01, from which PostgreSQL counts.
pub(super) const EPOCH_DAYS: i64 = 10_957;
/// The same in microseconds.
pub(super) const EPOCH_MICROS: i64 = EPOCH_DAYS * 86_400_000_000;

/// Bytes that are not what the type says, or a value that has no text of its kind (an infinite date).
#[derive(Debug)]
pub(super) struct Malformed;

/// A type with a wire form that is understood here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    Json,
    Jsonb,
    Uuid,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
}

impl Scalar {
    /// Finds the wire form of a type. `None`: the query must cast it.
    pub(super) fn of(kind: &Type) -> Option<Self> {
        match kind.kind() {
            Kind::Domain(inner) => return Self::of(inner),
            Kind::Enum(_) => return Some(Self::Text),
            Kind::Simple => {}
            _ => return (*kind == Type::UNKNOWN).then_some(Self::Text),
        }
        Some(match *kind {
            Type::BOOL => Self::Bool,
            Type::INT2 => Self::Int2,
            Type::INT4 => Self::Int4,
            Type::INT8 => Self::Int8,
            Type::OID => Self::Oid,
            Type::FLOAT4 => Self::Float4,
            Type::FLOAT8 => Self::Float8,
            Type::NUMERIC => Self::Numeric,
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::XML | Type::UNKNOWN => Self::Text,
            Type::JSON => Self::Json,
            Type::JSONB => Self::Jsonb,
            Type::UUID => Self::Uuid,
            Type::BYTEA => Self::Bytea,
            Type::DATE => Self::Date,
            Type::TIME => Self::Time,
            Type::TIMESTAMP => Self::Timestamp,
            Type::TIMESTAMPTZ => Self::Timestamptz,
            _ if kind.name() == "citext" => Self::Text,
            _ => return None,
        })
    }

    /// Tells whether JSON writes the value without quotes.
    pub(super) const fn is_json_bare(self) -> bool {
        matches!(self, Self::Bool | Self::Int2 | Self::Int4 | Self::Int8 | Self::Oid | Self::Json | Self::Jsonb)
    }

    /// Tells whether JSON writes the value without quotes when it is finite.
    pub(super) const fn is_decimal(self) -> bool {
        matches!(self, Self::Float4 | Self::Float8 | Self::Numeric)
    }

    /// Writes the value's text.
    pub(super) fn write(self, raw: &[u8], out: &mut String) -> Result<(), Malformed> {
        match self {
            Self::Bool => out.push_str(if raw == [0] { "false" } else { "true" }),
            Self::Int2 => out.push_str(itoa::Buffer::new().format(i16::from_be_bytes(exactly(raw)?))),
            Self::Int4 => out.push_str(itoa::Buffer::new().format(i32::from_be_bytes(exactly(raw)?))),
            Self::Int8 => out.push_str(itoa::Buffer::new().format(i64::from_be_bytes(exactly(raw)?))),
            Self::Oid => out.push_str(itoa::Buffer::new().format(u32::from_be_bytes(exactly(raw)?))),
            Self::Float4 => {
                out.push_str(number::f32_text(&mut zmij::Buffer::new(), f32::from_be_bytes(exactly(raw)?)));
            }
            Self::Float8 => number::write_f64(out, f64::from_be_bytes(exactly(raw)?)),
            Self::Numeric => write_numeric(out, raw)?,
            Self::Text | Self::Json => out.push_str(utf8(raw)?),
            // One byte of version first.
            Self::Jsonb => out.push_str(utf8(raw.get(1..).ok_or(Malformed)?)?),
            Self::Uuid => {
                let _ = write!(out, "{}", uuid::Uuid::from_bytes(exactly(raw)?));
            }
            Self::Bytea => {
                out.push_str("\\x");
                out.push_str(&hex::encode(raw));
            }
            Self::Date | Self::Time | Self::Timestamp | Self::Timestamptz => self.write_time(raw, out)?,
        }
        Ok(())
    }

    fn write_time(self, raw: &[u8], out: &mut String) -> Result<(), Malformed> {
        let mut text = Vec::with_capacity(32);
        match self {
            Self::Date => time::write_date(&mut text, i64::from(days(raw)?)),
            Self::Time => time::write_time(&mut text, i64::from_be_bytes(exactly(raw)?).unsigned_abs()),
            _ => time::write_timestamp(&mut text, micros(raw)?, b'T'),
        }
        if self == Self::Timestamptz {
            text.push(b'Z');
        }
        out.push_str(utf8(&text)?);
        Ok(())
    }
}

/// Reads days since 1970-01-01. `infinity` is none.
pub(super) fn days(raw: &[u8]) -> Result<i32, Malformed> {
    let days = i32::from_be_bytes(exactly(raw)?);
    if matches!(days, i32::MIN | i32::MAX) {
        return Err(Malformed);
    }
    i32::try_from(i64::from(days) + EPOCH_DAYS).map_err(|_| Malformed)
}

/// Reads microseconds since 1970-01-01T00:00:00. `infinity` is none.
pub(super) fn micros(raw: &[u8]) -> Result<i64, Malformed> {
    let micros = i64::from_be_bytes(exactly(raw)?);
    if matches!(micros, i64::MIN | i64::MAX) {
        return Err(Malformed);
    }
    micros.checked_add(EPOCH_MICROS).ok_or(Malformed)
}

/// Returns the bytes as text.
pub(super) fn utf8(raw: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(raw).map_err(|_| Malformed)
}

/// Returns the bytes of a value of fixed size.
pub(super) fn exactly<const N: usize>(raw: &[u8]) -> Result<[u8; N], Malformed> {
    raw.try_into().map_err(|_| Malformed)
}
