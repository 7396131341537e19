//! The stream of a binary `COPY`: signature, rows, end.
//!
//! The server sends one row a message, but nothing here depends on it: rows may be cut anywhere.

use bytes::{Bytes, BytesMut};
use model::problem::{Problem, ProblemKind};

use super::column::Column;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, length of an extension.
const HEAD: usize = 11 + 4 + 4;
/// Flags in the upper half change how rows are read, and there is none that anybody sends.
const CRITICAL: u32 = 0xFFFF_0000;

/// What comes next in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Head,
    Row,
    Nothing,
}

/// Reads rows out of the stream.
#[derive(Debug)]
pub(super) struct Decoder {
    expect: Expected,
    /// What has come and was not read yet.
    rest: Bytes,
}

/// Bytes that are no binary `COPY`, or not of these columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ProtocolError(&'static str);

impl From<ProtocolError> for Problem {
    fn from(ProtocolError(what): ProtocolError) -> Self {
        Self::new(ProblemKind::SourceUnavailable, format!("the source's answer cannot be read: {what}"))
    }
}

impl Decoder {
    pub(super) const fn new() -> Self {
        Self { expect: Expected::Head, rest: Bytes::new() }
    }

    /// Takes the next bytes of the stream.
    pub(super) fn feed(&mut self, chunk: Bytes) {
        if self.rest.is_empty() {
            self.rest = chunk;
            return;
        }
        // In place where nobody else holds the bytes, so that a row in many pieces is not copied once a piece.
        let mut joined = std::mem::take(&mut self.rest).try_into_mut().unwrap_or_else(|held| BytesMut::from(&*held));
        joined.extend_from_slice(&chunk);
        self.rest = joined.freeze();
    }

    /// Adds the next row to the columns and returns about how many bytes it takes; `None` when the rest of it has not come yet.
    ///
    /// # Errors
    /// Says what is wrong with the stream, or names a column whose value cannot be handed on.
    pub(super) fn row(&mut self, columns: &mut [Column]) -> Result<Option<usize>, Problem> {
        if self.expect == Expected::Head && !self.read_head()? {
            return Ok(None);
        }
        let Some((count, fields)) = self.rest.split_first_chunk::<2>() else { return Ok(None) };
        if self.expect == Expected::Nothing {
            return Err(ProtocolError("something follows its end").into());
        }
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            self.expect = Expected::Nothing;
            self.rest = self.rest.slice(2..);
            return if self.rest.is_empty() {
                Ok(None)
            } else {
                Err(ProtocolError("something follows its end").into())
            };
        }
        if usize::try_from(count) != Ok(columns.len()) {
            return Err(ProtocolError("a row has another number of columns than the query").into());
        }
        let Some(length) = row_length(fields, columns.len())? else { return Ok(None) };
        let mut bytes = 0;
        let mut at = fields;
        for column in columns {
            bytes += column.push(next_field(&mut at)?)?;
        }
        if 2 + length == self.rest.len() {
            self.rest = Bytes::new();
        } else {
            self.rest = self.rest.slice(2 + length..);
        }
        Ok(Some(bytes))
    }

    /// Makes sure that the stream came to its end.
    ///
    /// # Errors
    /// When it was broken off, so that it never looks like a good one.
    pub(super) fn end(&self) -> Result<(), Problem> {
        match self.expect {
            Expected::Nothing if self.rest.is_empty() => Ok(()),
            Expected::Nothing => Err(ProtocolError("something follows its end").into()),
            _ => Err(ProtocolError("it was broken off before its end").into()),
        }
    }

    /// Reads what stands before the first row, once all of it has come.
    fn read_head(&mut self) -> Result<bool, ProtocolError> {
        let Some(head) = self.rest.first_chunk::<HEAD>() else { return Ok(false) };
        if !head.starts_with(SIGNATURE) {
            return Err(ProtocolError("it does not begin as one"));
        }
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if word(11) & CRITICAL != 0 {
            return Err(ProtocolError("it is of a later kind"));
        }
        let extension = usize::try_from(word(15)).map_err(|_| ProtocolError("its head is too long"))?;
        let Some(end) = HEAD.checked_add(extension).filter(|_| extension <= 1 << 16) else {
            return Err(ProtocolError("its head is too long"));
        };
        if self.rest.len() < end {
            return Ok(false);
        }
        self.rest = self.rest.slice(end..);
        self.expect = Expected::Row;
        Ok(true)
    }
}

/// Returns the length of a row without its number of fields; `None` when not all of it is here.
#[inline]
fn row_length(fields: &[u8], count: usize) -> Result<Option<usize>, ProtocolError> {
    let mut at = 0_usize;
    for _ in 0..count {
        let Some(length) = fields.get(at..).and_then(<[u8]>::first_chunk::<4>) else { return Ok(None) };
        at += 4;
        match i32::from_be_bytes(*length) {
            -1 => {}
            length => at += usize::try_from(length).map_err(|_| ProtocolError("a field has a negative length"))?,
        }
    }
    Ok((at <= fields.len()).then_some(at))
}

/// Returns the next field of a row that is known to be whole.
#[inline]
fn next_field<'a>(at: &mut &'a [u8]) -> Result<Option<&'a [u8]>, ProtocolError> {
    const TRUNCATED_WARNINGS: ProtocolError = ProtocolError("a row is shorter than it says");
    let (length, rest) = at.split_first_chunk::<4>().ok_or(TRUNCATED_WARNINGS)?;
    let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
        *at = rest;
        return Ok(None);
    };
    let (field, rest) = rest.split_at_checked(length).ok_or(TRUNCATED_WARNINGS)?;
    *at = rest;
    Ok(Some(field))
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
