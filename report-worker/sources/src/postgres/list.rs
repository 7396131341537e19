//! Arrays as JSON text, from their wire form.

use super::scalar::{MalformedValue, Scalar};
use crate::text_builder::MAX_TEXT_BYTES;

/// PostgreSQL allows no more.
const DIMENSIONS: usize = 6;

/// Writes an array, nested by its dimensions.
///
/// On the wire: number of dimensions, whether there are nulls, type of the elements; then length and lower bound of each
/// dimension; then each element with its length, -1 for null.
pub(super) fn write_list(scalar: Scalar, raw: &[u8], out: &mut Vec<u8>) -> Result<(), MalformedValue> {
    let mut rest = ArrayReader(raw);
    let dimensions = rest.count()?;
    let (_nulls, _kind) = (rest.word()?, rest.word()?);
    if dimensions > DIMENSIONS {
        return Err(MalformedValue);
    }
    let mut lengths = [0; DIMENSIONS];
    let lengths = &mut lengths[..dimensions];
    let mut elements = 1_usize;
    for length in &mut *lengths {
        *length = rest.count()?;
        elements = elements.checked_mul(*length).ok_or(MalformedValue)?;
        rest.word()?;
    }
    if lengths.is_empty() {
        out.extend_from_slice(b"[]");
        return rest.end();
    }
    // Each takes four bytes at least: what is said to be there is there, or it is not even begun.
    if elements == 0 || elements > rest.0.len() / 4 {
        return Err(MalformedValue);
    }
    write_dimension(scalar, lengths, &mut rest, out)?;
    rest.end()
}

fn write_dimension(
    scalar: Scalar,
    lengths: &[usize],
    rest: &mut ArrayReader<'_>,
    out: &mut Vec<u8>,
) -> Result<(), MalformedValue> {
    let Some((length, inner)) = lengths.split_first() else { return write_element(scalar, rest, out) };
    out.push(b'[');
    for index in 0..*length {
        if index > 0 {
            out.push(b',');
        }
        write_dimension(scalar, inner, rest, out)?;
        // Short numbers may have many digits: a list that would not fit into a batch ends here.
        if out.len() > MAX_TEXT_BYTES {
            return Err(MalformedValue);
        }
    }
    out.push(b']');
    Ok(())
}

fn write_element(scalar: Scalar, rest: &mut ArrayReader<'_>, out: &mut Vec<u8>) -> Result<(), MalformedValue> {
    let length = rest.word()?;
    if length == -1 {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    let raw = rest.bytes(usize::try_from(length).map_err(|_| MalformedValue)?)?;
    if scalar.is_json_bare() {
        return scalar.write(raw, out);
    }
    let mut text = Vec::new();
    scalar.write(raw, &mut text)?;
    if scalar.is_decimal() && text.last().is_some_and(u8::is_ascii_digit) {
        out.extend_from_slice(&text);
        return Ok(());
    }
    let text = std::str::from_utf8(&text).map_err(|_| MalformedValue)?;
    serde_json::to_writer(out, text).map_err(|_| MalformedValue)
}

struct ArrayReader<'a>(&'a [u8]);

impl<'a> ArrayReader<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], MalformedValue> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(MalformedValue)?;
        self.0 = tail;
        Ok(head)
    }

    fn word(&mut self) -> Result<i32, MalformedValue> {
        self.bytes(4)?.try_into().map(i32::from_be_bytes).map_err(|_| MalformedValue)
    }

    fn count(&mut self) -> Result<usize, MalformedValue> {
        usize::try_from(self.word()?).map_err(|_| MalformedValue)
    }

    const fn end(&self) -> Result<(), MalformedValue> {
        if self.0.is_empty() { Ok(()) } else { Err(MalformedValue) }
    }
}
