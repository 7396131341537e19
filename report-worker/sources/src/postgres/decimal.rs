//! `numeric(p, s)` of up to 18 digits: whole numbers of 64 bits and a scale. Where a batch has a value that is none (`NaN`), the
//! column's values are text in this batch.

use std::sync::Arc;

use arrow_array::builder::PrimitiveBuilder;
use arrow_array::types::Decimal64Type;
use arrow_array::{Array as _, ArrayRef};
use arrow_schema::DataType;
use values::BATCH_ROWS;
use values::number::write_decimal;

use super::numeric::write_numeric;
use super::scalar::MalformedValue;
use crate::text_builder::{InvalidText, TextBuilder};

/// Digits that 64 bits hold whatever they are.
const MOST_DIGITS: u16 = 18;
/// A digit on the wire has so many values, and so many digits of ours.
const BASE: u64 = 10_000;
const BASE_DIGITS: u32 = 4;

/// The values of one column of the batch being filled.
pub(super) struct DecimalBuilder {
    size: DecimalSize,
    numbers: PrimitiveBuilder<Decimal64Type>,
    /// All values of the batch, once one of them is no number of this size.
    texts: Option<TextBuilder>,
}

/// Digits in all, and behind the point; and what follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DecimalSize {
    precision: u8,
    scale: u8,
    /// The first number that has too many digits.
    limit: u64,
    /// Groups behind the point that belong to a number as a whole.
    whole_groups: u32,
    /// What the digits of the last group that belong to it multiply with, and what those divide by that do not. One and `BASE`: none do.
    last: (u64, u64),
}

impl DecimalBuilder {
    /// Prepares a column with these digits. `None`: 64 bits are too few.
    pub(super) fn new(precision: u16, scale: u16) -> Option<Self> {
        let fits = (1..=MOST_DIGITS).contains(&precision) && scale <= precision;
        let size = DecimalSize::new(u8::try_from(precision).ok()?, u8::try_from(scale).ok()?);
        fits.then(|| Self { size, numbers: builder(size), texts: None })
    }

    /// Returns the type of a batch in which every value is a number.
    pub(super) const fn data_type(&self) -> DataType {
        data_type(self.size)
    }

    /// Adds a value in its wire form.
    #[inline]
    pub(super) fn push(&mut self, raw: &[u8], scratch: &mut Vec<u8>) -> Result<(), MalformedValue> {
        if self.texts.is_none() {
            if let Some(value) = self.size.read(raw) {
                self.numbers.append_value(value);
                return Ok(());
            }
            self.texts = Some(self.so_far()?);
        }
        let Some(texts) = &mut self.texts else { return Err(MalformedValue) };
        scratch.clear();
        write_numeric(scratch, raw)?;
        Ok(texts.push(scratch)?)
    }

    /// Adds a null.
    pub(super) fn push_null(&mut self) {
        match &mut self.texts {
            Some(texts) => texts.push_null(),
            None => self.numbers.append_null(),
        }
    }

    /// Takes the values and starts the next batch.
    pub(super) fn take(&mut self) -> Result<ArrayRef, InvalidText> {
        if let Some(mut texts) = self.texts.take() {
            return texts.take();
        }
        let mut next = builder(self.size);
        std::mem::swap(&mut next, &mut self.numbers);
        Ok(Arc::new(next.finish()))
    }

    /// Turns the numbers of the batch into text.
    fn so_far(&mut self) -> Result<TextBuilder, InvalidText> {
        let (numbers, mut texts, mut text) = (self.numbers.finish(), TextBuilder::default(), Vec::new());
        for row in 0..numbers.len() {
            if numbers.is_null(row) {
                texts.push_null();
                continue;
            }
            text.clear();
            write_decimal(&mut text, numbers.value(row), usize::from(self.size.scale));
            texts.push(&text)?;
        }
        Ok(texts)
    }
}

const fn data_type(size: DecimalSize) -> DataType {
    DataType::Decimal64(size.precision, size.scale.cast_signed())
}

fn builder(size: DecimalSize) -> PrimitiveBuilder<Decimal64Type> {
    PrimitiveBuilder::with_capacity(BATCH_ROWS).with_data_type(data_type(size))
}

impl DecimalSize {
    const fn new(precision: u8, scale: u8) -> Self {
        let rest = scale as u32 % BASE_DIGITS;
        Self {
            precision,
            scale,
            limit: 10_u64.saturating_pow(precision as u32),
            whole_groups: scale as u32 / BASE_DIGITS,
            last: (10_u64.pow(rest), 10_u64.pow(BASE_DIGITS - rest)),
        }
    }

    /// Reads a number that has exactly these digits behind the point, and no more before it than may be.
    ///
    /// On the wire: number of digits, weight of the first, sign, digits behind the point to show; then digits to the base 10,000.
    #[inline]
    fn read(self, raw: &[u8]) -> Option<i64> {
        let (head, groups) = raw.split_first_chunk::<8>()?;
        let [c0, c1, w0, w1, s0, s1, d0, d1] = *head;
        let weight = i16::from_be_bytes([w0, w1]);
        let negative = match u16::from_be_bytes([s0, s1]) {
            0x0000 => false,
            0x4000 => true,
            _ => return None,
        };
        let scale = u32::from(self.scale);
        let right_length = groups.len() == 2 * usize::from(u16::from_be_bytes([c0, c1]));
        if !right_length || u32::from(u16::from_be_bytes([d0, d1])) != scale || !(-6..=4).contains(&weight) {
            return None;
        }
        let mut groups = groups.chunks_exact(2).map(|pair| u64::from(u16::from_be_bytes([pair[0], pair[1]])));
        let mut next = |position: i32| {
            // Zeros before the first group and behind the last are not sent.
            let group = if position > i32::from(weight) { Some(0) } else { groups.next().or(Some(0)) };
            group.filter(|group| *group < BASE)
        };
        let mut value = 0_u64;
        for position in (0..=i32::from(weight)).rev() {
            value = value.checked_mul(BASE)?.checked_add(next(position)?)?;
        }
        let mut position = -1;
        for _ in 0..self.whole_groups {
            value = value.checked_mul(BASE)?.checked_add(next(position)?)?;
            position -= 1;
        }
        let (unit, cut) = self.last;
        if unit > 1 {
            let group = next(position)?;
            if !group.is_multiple_of(cut) {
                return None;
            }
            value = value.checked_mul(unit)?.checked_add(group / cut)?;
        }
        // A digit behind the last place would be dropped.
        if groups.next().is_some() || value >= self.limit {
            return None;
        }
        let value = i64::try_from(value).ok()?;
        Some(if negative { -value } else { value })
    }
}

#[cfg(test)]
mod tests {
    use super::{DecimalBuilder, DecimalSize};
    use crate::postgres::numeric::write_numeric;
    use arrow_array::cast::AsArray as _;
    use arrow_array::types::Decimal64Type;
    use proptest::prelude::*;

    fn wire(weight: i16, sign: u16, scale: u16, groups: &[u16]) -> Vec<u8> {
        let count = u16::try_from(groups.len()).unwrap();
        let words = [count, weight.cast_unsigned(), sign, scale].into_iter().chain(groups.iter().copied());
        words.flat_map(u16::to_be_bytes).collect()
    }

    #[test]
    fn numbers_of_the_size_are_read_and_others_are_not() {
        let size = DecimalSize::new(15, 2);
        for (raw, expected) in [
            (wire(0, 0, 2, &[17]), Some(1700)),
            (wire(1, 0x4000, 2, &[2, 1168, 2300]), Some(-2_116_823)),
            (wire(-1, 0, 2, &[400]), Some(4)),
            (wire(0, 0, 2, &[]), Some(0)),
            (wire(1, 0, 2, &[5]), Some(5_000_000)),
            (wire(0, 0xC000, 0, &[]), None),
            (wire(0, 0, 3, &[17]), None),
            (wire(-1, 0, 2, &[401]), None),
            (wire(-2, 0, 2, &[4]), None),
            (wire(0, 0, 2, &[17, 0, 1]), None),
            (wire(3, 0, 2, &[9999, 9999, 9999, 9999]), None),
            (wire(0, 0, 2, &[10_000]), None),
        ] {
            assert_eq!(size.read(&raw), expected, "{raw:?}");
        }
        assert_eq!(DecimalSize::new(18, 18).read(&wire(-5, 0, 18, &[1200])), Some(12));
    }

    #[test]
    fn a_batch_with_a_value_that_is_no_number_is_text() {
        let (mut decimals, mut scratch) = (DecimalBuilder::new(15, 2).unwrap(), Vec::new());
        decimals.push(&wire(0, 0x4000, 2, &[0, 500]), &mut scratch).unwrap();
        decimals.push_null();
        decimals.push(&wire(0, 0xC000, 0, &[]), &mut scratch).unwrap();
        decimals.push(&wire(0, 0, 2, &[3]), &mut scratch).unwrap();
        let texts = decimals.take().map_err(|_| "no text").unwrap();
        let texts: Vec<_> = texts.as_string::<i32>().iter().collect();
        assert_eq!(texts, [Some("-0.05"), None, Some("NaN"), Some("3.00")]);
        decimals.push(&wire(0, 0, 2, &[3]), &mut scratch).unwrap();
        let numbers = decimals.take().map_err(|_| "no text").unwrap();
        assert_eq!(numbers.as_primitive::<Decimal64Type>().values(), &[300]);
    }

    /// The server has no negative zero, and no zeros in front.
    fn told_shortly(text: &str) -> String {
        let digits = text.trim_start_matches('-').trim_start_matches('0');
        let digits =
            if digits.is_empty() || digits.starts_with('.') { format!("0{digits}") } else { digits.to_owned() };
        let zero = digits.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        if text.starts_with('-') && !zero { format!("-{digits}") } else { digits }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_read_is_what_the_text_says(
            weight in -8_i16..7,
            negative in any::<bool>(),
            scale in 0_u16..19,
            groups in prop::collection::vec(prop_oneof![Just(0_u16), 0_u16..10_000, Just(9999)], 0..8),
        ) {
            let raw = wire(weight, if negative { 0x4000 } else { 0 }, scale, &groups);
            let size = DecimalSize::new(18, u8::try_from(scale).unwrap());
            if let Some(value) = size.read(&raw) {
                let (mut told, mut ours) = (Vec::new(), Vec::new());
                write_numeric(&mut told, &raw).map_err(|_| "malformed").unwrap();
                values::number::write_decimal(&mut ours, value, usize::from(scale));
                prop_assert_eq!(told_shortly(&String::from_utf8(told).unwrap()), String::from_utf8(ours).unwrap());
            }
        }
    }
}
