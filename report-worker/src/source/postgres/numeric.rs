//! `numeric` from its wire form to exact decimal text.

use super::scalar::Malformed;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;

/// Writes the number as the server would: every digit, no exponent; `NaN`, `Infinity`, `-Infinity`.
///
/// On the wire: number of digits, weight of the first, sign, digits behind the point to show; then digits to the base 10,000.
pub(super) fn write_numeric(out: &mut String, raw: &[u8]) -> Result<(), Malformed> {
    let word = |index: usize| -> Result<u16, Malformed> {
        let bytes = raw.get(2 * index..2 * index + 2).ok_or(Malformed)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    };
    let (count, weight, sign, scale) =
        (i32::from(word(0)?), i32::from(word(1)?.cast_signed()), word(2)?, usize::from(word(3)?));
    match sign {
        POSITIVE => {}
        NEGATIVE => out.push('-'),
        0xC000 => return told(out, "NaN"),
        0xD000 => return told(out, "Infinity"),
        0xF000 => return told(out, "-Infinity"),
        _ => return Err(Malformed),
    }
    // The digit to the base 10,000 that stands `position` before the point; beyond both ends it is zero.
    let group = |position: i32| -> Result<u16, Malformed> {
        match usize::try_from(weight - position) {
            Ok(index) if weight - position < count => word(4 + index),
            _ => Ok(0),
        }
    };
    let mut position = weight.max(0);
    out.push_str(itoa::Buffer::new().format(group(position)?));
    while position > 0 {
        position -= 1;
        push_group(out, group(position)?, 4);
    }
    if scale > 0 {
        out.push('.');
        let mut left = scale;
        while left > 0 {
            position -= 1;
            push_group(out, group(position)?, left.min(4));
            left -= left.min(4);
        }
    }
    Ok(())
}

/// Writes the first `digits` of the four digits of a group.
fn push_group(out: &mut String, group: u16, digits: usize) {
    let places = [group / 1000, group / 100 % 10, group / 10 % 10, group % 10];
    out.extend(places.iter().take(digits).filter_map(|digit| char::from_digit(u32::from(*digit), 10)));
}

fn told(out: &mut String, name: &str) -> Result<(), Malformed> {
    out.push_str(name);
    Ok(())
}
