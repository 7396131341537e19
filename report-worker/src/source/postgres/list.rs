//! Arrays as JSON text, from their wire form.

use super::scalar::{Malformed, Scalar};
use crate::source::text::LONGEST;

/// PostgreSQL allows no more.
const DIMENSIONS: usize = 6;

/// Writes an array, nested by its dimensions.
///
/// On the wire: number of dimensions, whether there are nulls, type of the elements; then length and lower bound of each
/// dimension; then each element with its length, -1 for null.
pub(super) fn write_list(scalar: Scalar, raw: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut rest = Reader(raw);
    let dimensions = rest.count()?;
    let (_nulls, _kind) = (rest.word()?, rest.word()?);
    if dimensions > DIMENSIONS {
        return Err(Malformed);
    }
    let mut lengths = [0; DIMENSIONS];
    let lengths = &mut lengths[..dimensions];
    let mut elements = 1_usize;
    for length in &mut *lengths {
        *length = rest.count()?;
        elements = elements.checked_mul(*length).ok_or(Malformed)?;
        rest.word()?;
    }
    if lengths.is_empty() {
        out.extend_from_slice(b"[]");
        return rest.end();
    }
    // Each takes four bytes at least: what is said to be there is there, or it is not even begun.
    if elements == 0 || elements > rest.0.len() / 4 {
        return Err(Malformed);
    }
    write_dimension(scalar, lengths, &mut rest, out)?;
    rest.end()
}

fn write_dimension(
    scalar: Scalar,
    lengths: &[usize],
    rest: &mut Reader<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let Some((length, inner)) = lengths.split_first() else { return write_element(scalar, rest, out) };
    out.push(b'[');
    for index in 0..*length {
        if index > 0 {
            out.push(b',');
        }
        write_dimension(scalar, inner, rest, out)?;
        // Short numbers may have many digits: a list that would not fit into a batch ends here.
        if out.len() > LONGEST {
            return Err(Malformed);
        }
    }
    out.push(b']');
    Ok(())
}

fn write_element(scalar: Scalar, rest: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let length = rest.word()?;
    if length == -1 {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    let raw = rest.bytes(usize::try_from(length).map_err(|_| Malformed)?)?;
    if scalar.is_json_bare() {
        return scalar.write(raw, out);
    }
    let mut text = Vec::new();
    scalar.write(raw, &mut text)?;
    if scalar.is_decimal() && text.last().is_some_and(u8::is_ascii_digit) {
        out.extend_from_slice(&text);
        return Ok(());
    }
    let text = std::str::from_utf8(&text).map_err(|_| Malformed)?;
    serde_json::to_writer(out, text).map_err(|_| Malformed)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = tail;
        Ok(head)
    }

    fn word(&mut self) -> Result<i32, Malformed> {
        self.bytes(4)?.try_into().map(i32::from_be_bytes).map_err(|_| Malformed)
    }

    fn count(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.word()?).map_err(|_| Malformed)
    }

    const fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}
