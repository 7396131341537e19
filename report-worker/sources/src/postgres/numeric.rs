//! `numeric` from its wire form to exact decimal text.

use super::scalar::MalformedValue;

/// The numbers 00 to 99.
static PAIRS: &[u8; 200] =
    b"0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/// Digits behind the point, at most, as the wire can say it.
const LONGEST_SCALE: u16 = 0x3FFF;

/// Writes the number as the server would: every digit, no exponent; `NaN`, `Infinity`, `-Infinity`.
///
/// On the wire: number of digits, weight of the first, sign, digits behind the point to show; then digits to the base 10,000.
pub(super) fn write_numeric(out: &mut Vec<u8>, raw: &[u8]) -> Result<(), MalformedValue> {
    let (head, groups) = raw.split_first_chunk::<8>().ok_or(MalformedValue)?;
    let [c0, c1, w0, w1, s0, s1, d0, d1] = *head;
    let count = usize::from(u16::from_be_bytes([c0, c1]));
    let weight = i32::from(i16::from_be_bytes([w0, w1]));
    let scale = u16::from_be_bytes([d0, d1]);
    if groups.len() != 2 * count || scale > LONGEST_SCALE {
        return Err(MalformedValue);
    }
    match u16::from_be_bytes([s0, s1]) {
        0x0000 => {}
        0x4000 => out.push(b'-'),
        0xC000 => return told(out, b"NaN"),
        0xD000 => return told(out, b"Infinity"),
        0xF000 => return told(out, b"-Infinity"),
        _ => return Err(MalformedValue),
    }
    let groups = DigitGroups { groups, weight };
    write_first(out, groups.at(weight.max(0))?);
    for position in (0..weight.max(0)).rev() {
        out.extend_from_slice(&four(groups.at(position)?));
    }
    if scale > 0 {
        out.push(b'.');
        let mut left = usize::from(scale);
        let mut position = -1;
        while left > 0 {
            let digits = four(groups.at(position)?);
            out.extend_from_slice(&digits[..left.min(4)]);
            left -= left.min(4);
            position -= 1;
        }
    }
    Ok(())
}

struct DigitGroups<'a> {
    groups: &'a [u8],
    weight: i32,
}

impl DigitGroups<'_> {
    /// Returns the digit to the base 10,000 that stands `position` before the point; beyond both ends it is zero.
    fn at(&self, position: i32) -> Result<u16, MalformedValue> {
        let Ok(index) = usize::try_from(self.weight - position) else { return Ok(0) };
        match self.groups.get(2 * index..2 * index + 2) {
            Some(&[high, low]) => {
                let group = u16::from_be_bytes([high, low]);
                if group < 10_000 { Ok(group) } else { Err(MalformedValue) }
            }
            _ => Ok(0),
        }
    }
}

fn four(group: u16) -> [u8; 4] {
    let (high, low) = (2 * usize::from(group / 100), 2 * usize::from(group % 100));
    [PAIRS[high], PAIRS[high + 1], PAIRS[low], PAIRS[low + 1]]
}

/// Writes a group without zeros before it.
fn write_first(out: &mut Vec<u8>, group: u16) {
    let digits = four(group);
    let zeros = usize::from(group < 1000) + usize::from(group < 100) + usize::from(group < 10);
    out.extend_from_slice(&digits[zeros..]);
}

fn told(out: &mut Vec<u8>, name: &[u8]) -> Result<(), MalformedValue> {
    out.extend_from_slice(name);
    Ok(())
}
