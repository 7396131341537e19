//! Which columns of a Parquet file are worth a dictionary, told by their first rows.
//!
//! A dictionary makes columns of few values small, and costs a look-up a value. Where nearly every value is another one it is given up
//! after a megabyte, in each row group anew: the look-ups were for nothing.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

/// Rows that are looked at, and with how many the look begins to tell anything.
const SAMPLE: usize = 2048;
const FEWEST: usize = 512;
/// One value in so many rows must come again for numbers to be worth a dictionary: without it they are still packed.
const ROWS_PER_NUMBER: usize = 8;

/// How a column's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnEncoding {
    /// By their place in a dictionary.
    Dictionary,
    /// As differences from one to the next, in as few bits as they take.
    Differences,
    /// As they are.
    Plain,
}

impl ColumnEncoding {
    /// Looks at the first values of a column.
    pub(super) fn of(array: &ArrayRef) -> Self {
        let first = array.slice(0, array.len().min(SAMPLE));
        if first.len() < FEWEST {
            return Self::Dictionary;
        }
        let numbers = match first.data_type() {
            DataType::Int16 => distinct::<Int16Type>(&first),
            DataType::Int32 => distinct::<Int32Type>(&first),
            DataType::Int64 => distinct::<Int64Type>(&first),
            DataType::Date32 => distinct::<Date32Type>(&first),
            DataType::Decimal64(..) => distinct::<Decimal64Type>(&first),
            DataType::Timestamp(TimeUnit::Microsecond, _) => distinct::<TimestampMicrosecondType>(&first),
            DataType::Utf8 => {
                let different = count_distinct(first.as_string::<i32>().iter().collect());
                return if different > first.len() / 4 * 3 { Self::Plain } else { Self::Dictionary };
            }
            _ => return Self::Dictionary,
        };
        if numbers > first.len() / ROWS_PER_NUMBER { Self::Differences } else { Self::Dictionary }
    }
}

fn distinct<T: ArrowPrimitiveType>(array: &ArrayRef) -> usize
where
    T::Native: Ord,
{
    count_distinct(array.as_primitive::<T>().iter().collect())
}

fn count_distinct<T: Ord>(mut values: Vec<T>) -> usize {
    values.sort_unstable();
    values.dedup();
    values.len()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int32Array, StringArray};

    use super::ColumnEncoding;

    #[test]
    fn columns_of_few_values_get_a_dictionary_and_others_do_not() {
        let numbers = |of: fn(i32) -> i32| -> ArrayRef { Arc::new(Int32Array::from_iter_values((0..4096).map(of))) };
        let texts = |of: fn(i32) -> i32| -> ArrayRef {
            Arc::new(StringArray::from_iter_values((0..4096).map(|row| of(row).to_string())))
        };
        assert_eq!(ColumnEncoding::of(&numbers(|row| row % 50)), ColumnEncoding::Dictionary);
        assert_eq!(ColumnEncoding::of(&numbers(|row| row / 4)), ColumnEncoding::Differences);
        assert_eq!(ColumnEncoding::of(&texts(|row| row / 4)), ColumnEncoding::Dictionary);
        assert_eq!(ColumnEncoding::of(&texts(|row| row)), ColumnEncoding::Plain);
        assert_eq!(
            ColumnEncoding::of(&numbers(|row| row).slice(0, 100)),
            ColumnEncoding::Dictionary,
            "too few to tell"
        );
    }
}
