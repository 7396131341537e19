//! Values of PostgreSQL types as text, from their wire form.

use std::io::Write as _;

use tokio_postgres::types::{Kind, Type};
use values::{number, time};

use super::interval::{write_fraction, write_interval};
use super::numeric::write_numeric;

/// Days from 1970-01-01 to 2000-01-01, from which PostgreSQL counts.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// Bytes that are not what the type says, or a value beyond what can be handed on (the year 294,250).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MalformedValue;

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
    Timetz,
    Timestamp,
    Timestamptz,
    Interval,
}

impl Scalar {
    /// Finds the wire form of a type. `None`: the server must make text of it.
    pub(super) fn of(kind: &Type) -> Option<Self> {
        match kind.kind() {
            Kind::Domain(inner) => return Self::of(inner),
            Kind::Enum(_) => return Some(Self::Text),
            Kind::Simple => {}
            _ => return matches!(*kind, Type::UNKNOWN | Type::VOID).then_some(Self::Text),
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
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => Self::Text,
            Type::JSON => Self::Json,
            Type::JSONB => Self::Jsonb,
            Type::UUID => Self::Uuid,
            Type::BYTEA => Self::Bytea,
            Type::DATE => Self::Date,
            Type::TIME => Self::Time,
            Type::TIMETZ => Self::Timetz,
            Type::TIMESTAMP => Self::Timestamp,
            Type::TIMESTAMPTZ => Self::Timestamptz,
            Type::INTERVAL => Self::Interval,
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

    /// Writes the value's text. Text of the server goes on as it is: whether it is UTF-8 is looked at when a batch is full.
    pub(super) fn write(self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), MalformedValue> {
        let mut integer = itoa::Buffer::new();
        match self {
            Self::Bool => out.extend_from_slice(if flag(raw)? { b"true" } else { b"false" }),
            Self::Int2 => out.extend_from_slice(integer.format(i16::from_be_bytes(exactly(raw)?)).as_bytes()),
            Self::Int4 => out.extend_from_slice(integer.format(i32::from_be_bytes(exactly(raw)?)).as_bytes()),
            Self::Int8 => out.extend_from_slice(integer.format(i64::from_be_bytes(exactly(raw)?)).as_bytes()),
            Self::Oid => out.extend_from_slice(integer.format(u32::from_be_bytes(exactly(raw)?)).as_bytes()),
            Self::Float4 => {
                let value = f32::from_be_bytes(exactly(raw)?);
                out.extend_from_slice(number::f32_text(&mut zmij::Buffer::new(), value).as_bytes());
            }
            Self::Float8 => {
                let value = f64::from_be_bytes(exactly(raw)?);
                out.extend_from_slice(number::f64_text(&mut zmij::Buffer::new(), value).as_bytes());
            }
            Self::Numeric => write_numeric(out, raw)?,
            Self::Text | Self::Json => out.extend_from_slice(raw),
            Self::Jsonb => out.extend_from_slice(json_text(raw)?),
            Self::Uuid => {
                let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                let uuid = uuid::Uuid::from_bytes(exactly(raw)?);
                out.extend_from_slice(uuid.hyphenated().encode_lower(&mut text).as_bytes());
            }
            Self::Bytea => write_hex(out, raw)?,
            Self::Date => time::write_date(out, i64::from(days(raw)?)),
            Self::Time => write_time(out, i64::from_be_bytes(exactly(raw)?))?,
            Self::Timetz => write_time_with_zone(out, raw)?,
            Self::Timestamp => time::write_timestamp(out, micros(raw)?, b'T'),
            Self::Timestamptz => time::write_instant(out, micros(raw)?),
            Self::Interval => write_interval(out, raw)?,
        }
        Ok(())
    }
}

/// Reads a boolean.
pub(super) const fn flag(raw: &[u8]) -> Result<bool, MalformedValue> {
    match raw {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(MalformedValue),
    }
}

/// Reads days since 1970-01-01. Infinity stays the largest or smallest number.
pub(super) fn days(raw: &[u8]) -> Result<i32, MalformedValue> {
    match i32::from_be_bytes(exactly(raw)?) {
        infinite @ (i32::MIN | i32::MAX) => Ok(infinite),
        days => days.checked_add(EPOCH_DAYS).filter(|days| *days != i32::MAX).ok_or(MalformedValue),
    }
}

/// Reads microseconds since 1970-01-01T00:00:00. Infinity stays the largest or smallest number.
pub(super) fn micros(raw: &[u8]) -> Result<i64, MalformedValue> {
    match i64::from_be_bytes(exactly(raw)?) {
        infinite @ (i64::MIN | i64::MAX) => Ok(infinite),
        micros => micros.checked_add(EPOCH_MICROS).filter(|micros| *micros != i64::MAX).ok_or(MalformedValue),
    }
}

/// Returns the text of a `jsonb`: one byte of version stands before it.
pub(super) const fn json_text(raw: &[u8]) -> Result<&[u8], MalformedValue> {
    match raw.split_first() {
        Some((1, text)) => Ok(text),
        _ => Err(MalformedValue),
    }
}

/// Returns the bytes of a value of fixed size.
pub(super) fn exactly<const N: usize>(raw: &[u8]) -> Result<[u8; N], MalformedValue> {
    raw.try_into().map_err(|_| MalformedValue)
}

/// Writes `\x` and two digits a byte, as the server does.
fn write_hex(out: &mut Vec<u8>, raw: &[u8]) -> Result<(), MalformedValue> {
    out.extend_from_slice(b"\\x");
    let from = out.len();
    out.resize(from + 2 * raw.len(), 0);
    hex::encode_to_slice(raw, &mut out[from..]).map_err(|_| MalformedValue)
}

/// Writes `HH:MM:SS` and what fraction there is.
fn write_time(out: &mut Vec<u8>, micros: i64) -> Result<(), MalformedValue> {
    const DAY: u64 = 86_400_000_000;
    let micros = u64::try_from(micros).ok().filter(|micros| *micros <= DAY).ok_or(MalformedValue)?;
    time::write_time(out, micros - micros % 1_000_000);
    write_fraction(out, micros % 1_000_000);
    Ok(())
}

/// Writes a time and its zone. On the wire: microseconds, then seconds west of Greenwich.
fn write_time_with_zone(out: &mut Vec<u8>, raw: &[u8]) -> Result<(), MalformedValue> {
    let (clock, zone) = raw.split_first_chunk::<8>().ok_or(MalformedValue)?;
    write_time(out, i64::from_be_bytes(*clock))?;
    let west = i32::from_be_bytes(exactly(zone)?);
    out.push(if west > 0 { b'-' } else { b'+' });
    let seconds = west.unsigned_abs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let _ = write!(out, "{hours:02}");
    if minutes > 0 || seconds > 0 {
        let _ = write!(out, ":{minutes:02}");
    }
    if seconds > 0 {
        let _ = write!(out, ":{seconds:02}");
    }
    Ok(())
}
