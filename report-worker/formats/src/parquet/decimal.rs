//! Exact decimal text becomes decimal numbers of a fixed scale, or it is said which text does not.

use std::sync::Arc;

use arrow_array::types::{Decimal64Type, Decimal128Type, Decimal256Type, DecimalType};
use arrow_array::{Array, ArrayRef, ArrowNativeTypeOp, PrimitiveArray, StringArray};
use arrow_buffer::{ScalarBuffer, i256};

/// Digits that a 64-bit number holds whatever they are.
const SURE: usize = 18;

/// How many digits numbers have at most, and how many of them stand behind the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DecimalSize {
    precision: u8,
    scale: u8,
}

impl DecimalSize {
    /// Takes what a source knows. `None`: no decimal type is that wide.
    pub(super) fn new(precision: u32, scale: u32) -> Option<Self> {
        let (precision, scale) = (u8::try_from(precision).ok()?, u8::try_from(scale).ok()?);
        ((1..=76).contains(&precision) && scale <= precision).then_some(Self { precision, scale })
    }

    /// Returns the narrowest Arrow type.
    pub(super) fn data_type(self) -> arrow_schema::DataType {
        let (precision, scale) = (self.precision, self.scale.cast_signed());
        match precision {
            0..=18 => arrow_schema::DataType::Decimal64(precision, scale),
            19..=38 => arrow_schema::DataType::Decimal128(precision, scale),
            _ => arrow_schema::DataType::Decimal256(precision, scale),
        }
    }

    /// Turns a column of text into numbers.
    ///
    /// # Errors
    /// The first text that is no number of this size.
    pub(super) fn read(self, texts: &StringArray) -> Result<ArrayRef, &str> {
        match self.precision {
            0..=18 => self.read_as::<Decimal64Type>(texts, |value| value),
            19..=38 => self.read_as::<Decimal128Type>(texts, i128::from),
            _ => self.read_as::<Decimal256Type>(texts, |value| i256::from_i128(value.into())),
        }
    }

    fn read_as<T: DecimalType>(self, texts: &StringArray, from: fn(i64) -> T::Native) -> Result<ArrayRef, &str>
    where
        T::Native: ArrowNativeTypeOp,
    {
        let mut values = Vec::with_capacity(texts.len());
        for row in 0..texts.len() {
            values.push(if texts.is_null(row) {
                T::Native::default()
            } else {
                let text = texts.value(row);
                self.parse(text, from).ok_or(text)?
            });
        }
        let array = PrimitiveArray::<T>::new(ScalarBuffer::from(values), texts.nulls().cloned());
        // Both numbers were checked when this size was made.
        let array = array.with_precision_and_scale(self.precision, self.scale.cast_signed()).map_err(|_| "")?;
        Ok(Arc::new(array))
    }

    fn parse<N: ArrowNativeTypeOp>(self, text: &str, from: fn(i64) -> N) -> Option<N> {
        let scale = usize::from(self.scale);
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        // Zeros behind the last place that is kept say nothing.
        let (fraction, beyond) = fraction.split_at_checked(scale).unwrap_or((fraction, ""));
        let whole = whole.trim_start_matches('0');
        if digits.is_empty() || beyond.bytes().any(|digit| digit != b'0') {
            return None;
        }
        if whole.len() + scale > usize::from(self.precision) {
            return None;
        }
        let (from_digits, zeros) = (whole.bytes().chain(fraction.bytes()), scale - fraction.len());
        let value = if whole.len() + scale <= SURE {
            from(short(from_digits, zeros)?)
        } else {
            long(from_digits, zeros, from)?
        };
        if negative { value.neg_checked().ok() } else { Some(value) }
    }
}

fn digit(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}

fn short(digits: impl Iterator<Item = u8>, zeros: usize) -> Option<i64> {
    let mut value = 0;
    for byte in digits {
        value = value * 10 + digit(byte)?;
    }
    Some((0..zeros).fold(value, |value, _| value * 10))
}

fn long<N: ArrowNativeTypeOp>(digits: impl Iterator<Item = u8>, zeros: usize, from: fn(i64) -> N) -> Option<N> {
    let ten = from(10);
    let mut value = from(0);
    for byte in digits.chain(std::iter::repeat_n(b'0', zeros)) {
        value = value.mul_checked(ten).ok()?.add_checked(from(digit(byte)?)).ok()?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::DecimalSize;

    #[test]
    fn numbers_keep_every_digit_or_are_refused() {
        let size = |precision, scale| DecimalSize::new(precision, scale).unwrap();
        let cases = [
            (size(4, 2), "12.34", Some(1234_i64)),
            (size(4, 2), "-12.3", Some(-1230)),
            (size(4, 2), "012.3400", Some(1234)),
            (size(4, 2), "7", Some(700)),
            (size(4, 2), ".5", Some(50)),
            (size(4, 2), "123", None),
            (size(4, 2), "1.234", None),
            (size(4, 2), "NaN", None),
            (size(4, 2), "-Infinity", None),
            (size(4, 2), "1e2", None),
            (size(4, 2), "", None),
            (size(4, 2), "-", None),
            (size(18, 0), "999999999999999999", Some(999_999_999_999_999_999)),
            (size(18, 18), "-0.999999999999999999", Some(-999_999_999_999_999_999)),
        ];
        for (size, text, expected) in cases {
            assert_eq!(size.parse(text, i128::from), expected.map(i128::from), "{text}");
        }
        let most = "9".repeat(38);
        assert_eq!(size(38, 0).parse(&most, i128::from), most.parse().ok());
        assert_eq!(DecimalSize::new(77, 0), None);
        assert_eq!(DecimalSize::new(2, 3), None);
        assert_eq!(DecimalSize::new(0, 0), None);
    }
}
