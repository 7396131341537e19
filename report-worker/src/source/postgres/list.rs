//! Arrays as JSON text, from their wire form.

use super::scalar::{Malformed, Scalar};

/// Writes an array, nested by its dimensions.
///
/// On the wire: number of dimensions, whether there are nulls, type of the elements; then length and lower bound of each
/// dimension; then each element with its length, -1 for null.
pub(super) fn write_list(scalar: Scalar, raw: &[u8], out: &mut String) -> Result<(), Malformed> {
    let mut rest = Reader(raw);
    let dimensions = rest.count()?;
    let (_nulls, _kind) = (rest.word()?, rest.word()?);
    let mut lengths = Vec::new();
    for _ in 0..dimensions {
        lengths.push(rest.count()?);
        rest.word()?;
    }
    if lengths.is_empty() {
        out.push_str("[]");
        return Ok(());
    }
    write_dimension(scalar, &lengths, &mut rest, out)
}

fn write_dimension(
    scalar: Scalar,
    lengths: &[usize],
    rest: &mut Reader<'_>,
    out: &mut String,
) -> Result<(), Malformed> {
    let Some((length, inner)) = lengths.split_first() else { return write_element(scalar, rest, out) };
    out.push('[');
    for index in 0..*length {
        if index > 0 {
            out.push(',');
        }
        write_dimension(scalar, inner, rest, out)?;
    }
    out.push(']');
    Ok(())
}

fn write_element(scalar: Scalar, rest: &mut Reader<'_>, out: &mut String) -> Result<(), Malformed> {
    let length = rest.word()?;
    let Ok(length) = usize::try_from(length) else {
        out.push_str("null");
        return Ok(());
    };
    let raw = rest.bytes(length)?;
    if scalar.is_json_bare() {
        return scalar.write(raw, out);
    }
    let mut text = String::new();
    scalar.write(raw, &mut text)?;
    if scalar.is_decimal() && text.as_bytes().last().is_some_and(u8::is_ascii_digit) {
        out.push_str(&text);
    } else {
        out.push_str(&serde_json::Value::String(text).to_string());
    }
    Ok(())
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
}
