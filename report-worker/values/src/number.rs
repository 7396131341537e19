//! Numbers as text, without losing a digit.

use std::fmt::Write;

/// Returns the shortest text that reads back as the same number: `0.1`, `5`, `1e+300`, `NaN`, `-Infinity`.
#[must_use]
#[inline]
pub fn f64_text(buffer: &mut zmij::Buffer, value: f64) -> &str {
    non_finite(value).unwrap_or_else(|| without_zero(buffer.format_finite(value)))
}

/// Returns the shortest text that reads back as the same single-precision number.
#[must_use]
#[inline]
pub fn f32_text(buffer: &mut zmij::Buffer, value: f32) -> &str {
    non_finite(f64::from(value)).unwrap_or_else(|| without_zero(buffer.format_finite(value)))
}

/// Writes a decimal number with `scale` digits behind the point, all of them.
#[inline]
pub fn write_decimal(out: &mut Vec<u8>, value: i64, scale: usize) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value.unsigned_abs()).as_bytes();
    if value < 0 {
        out.push(b'-');
    }
    match digits.len().checked_sub(scale) {
        _ if scale == 0 => out.extend_from_slice(digits),
        Some(point @ 1..) => {
            let (whole, fraction) = digits.split_at(point);
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
        _ => {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', scale - digits.len()));
            out.extend_from_slice(digits);
        }
    }
}

/// Writes what [`f64_text`] returns.
#[inline]
pub fn write_f64(out: &mut impl Write, value: f64) {
    // Writing into memory cannot fail.
    let _ = out.write_str(f64_text(&mut zmij::Buffer::new(), value));
}

fn non_finite(value: f64) -> Option<&'static str> {
    if value.is_finite() {
        None
    } else if value.is_nan() {
        Some("NaN")
    } else if value > 0.0 {
        Some("Infinity")
    } else {
        Some("-Infinity")
    }
}

/// `5.0` says no more than `5`.
fn without_zero(text: &str) -> &str {
    text.strip_suffix(".0").unwrap_or(text)
}
