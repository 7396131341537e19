//! `interval` from its wire form to ISO 8601, as the server shows it with `intervalstyle = iso_8601`.

use std::io::Write as _;

use super::scalar::{MalformedValue, exactly};

/// Writes `P1Y2M3DT4H5M6.5S`. Each part has its own sign; parts that are zero are left out, and nothing at all is `PT0S`.
///
/// On the wire: microseconds, days, months. All at their limits stand for infinity.
pub(super) fn write_interval(out: &mut Vec<u8>, raw: &[u8]) -> Result<(), MalformedValue> {
    let raw: [u8; 16] = exactly(raw)?;
    let (micros, rest) = raw.split_first_chunk::<8>().ok_or(MalformedValue)?;
    let (days, months) = rest.split_first_chunk::<4>().ok_or(MalformedValue)?;
    let micros = i64::from_be_bytes(*micros);
    let (days, months) = (i32::from_be_bytes(*days), i32::from_be_bytes(exactly(months)?));
    match (micros, days, months) {
        (i64::MAX, i32::MAX, i32::MAX) => out.extend_from_slice(b"infinity"),
        (i64::MIN, i32::MIN, i32::MIN) => out.extend_from_slice(b"-infinity"),
        (0, 0, 0) => out.extend_from_slice(b"PT0S"),
        _ => {
            out.push(b'P');
            write_part(out, i64::from(months / 12), b'Y');
            write_part(out, i64::from(months % 12), b'M');
            write_part(out, i64::from(days), b'D');
            write_clock(out, micros);
        }
    }
    Ok(())
}

fn write_clock(out: &mut Vec<u8>, micros: i64) {
    const SECOND: i64 = 1_000_000;
    if micros == 0 {
        return;
    }
    out.push(b'T');
    write_part(out, micros / (3600 * SECOND), b'H');
    write_part(out, micros / (60 * SECOND) % 60, b'M');
    let rest = micros % (60 * SECOND);
    if rest == 0 {
        return;
    }
    if rest < 0 {
        out.push(b'-');
    }
    let _ = write!(out, "{}", (rest / SECOND).unsigned_abs());
    write_fraction(out, (rest % SECOND).unsigned_abs());
    out.push(b'S');
}

/// Writes a point and the microseconds behind it without zeros at their end, or nothing.
pub(super) fn write_fraction(out: &mut Vec<u8>, micros: u64) {
    if micros > 0 {
        let _ = write!(out, ".{micros:06}");
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

fn write_part(out: &mut Vec<u8>, value: i64, name: u8) {
    if value != 0 {
        let _ = write!(out, "{value}");
        out.push(name);
    }
}
