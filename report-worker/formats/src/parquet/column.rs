//! What becomes of a source's column in a Parquet file.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Date32Type, TimestampMicrosecondType};
use arrow_array::{Array as _, ArrayRef, StringArray, new_null_array};
use arrow_schema::{DataType, Field, TimeUnit};
use model::problem::{Problem, ProblemKind};
use values::declared_digits;
use values::time::{infinite_date, infinite_timestamp};

use super::decimal::DecimalSize;
use crate::cell::{ColumnCells, cells_of, unsupported};

/// What becomes of a column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    Unchanged,
    Text,
    Decimal(DecimalSize),
}

impl Column {
    pub(super) fn of(field: &Field) -> Result<Self, Problem> {
        Ok(match field.data_type() {
            DataType::Null => Self::Text,
            DataType::Utf8 => declared_digits(field)
                .and_then(|(precision, scale)| DecimalSize::new(precision, scale))
                .map_or(Self::Text, Self::Decimal),
            DataType::Decimal64(precision, scale @ 0..) => {
                let size = DecimalSize::new(u32::from(*precision), u32::from(scale.unsigned_abs()));
                Self::Decimal(size.ok_or_else(|| unsupported(field, field.data_type()))?)
            }
            DataType::Boolean
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Date32
            | DataType::Timestamp(TimeUnit::Microsecond, _) => Self::Unchanged,
            _ => return Err(unsupported(field, field.data_type())),
        })
    }

    pub(super) fn data_type(self, field: &Field) -> DataType {
        match self {
            Self::Unchanged => field.data_type().clone(),
            Self::Text => DataType::Utf8,
            Self::Decimal(size) => size.data_type(),
        }
    }

    /// `before`: the rows written before these, and whether values are to stay out of problems.
    pub(super) fn convert(
        self,
        wanted: &DataType,
        field: &Field,
        array: &ArrayRef,
        (before, secret): (usize, bool),
    ) -> Result<ArrayRef, Problem> {
        match (self, array.data_type()) {
            (_, DataType::Null) => Ok(new_null_array(wanted, array.len())),
            (Self::Decimal(_), found) if found == wanted => Ok(Arc::clone(array)),
            (Self::Decimal(size), DataType::Utf8) => {
                let texts: &StringArray = array.as_string();
                size.read(texts).map_err(|text| {
                    let row = texts.iter().position(|found| found == Some(text)).unwrap_or_default();
                    not_held(field, wanted, text, (before + row, secret))
                })
            }
            (Self::Text | Self::Unchanged, found) if found == wanted => match infinite(array) {
                None => Ok(Arc::clone(array)),
                Some((row, word)) => Err(not_held(field, wanted, word, (before + row, secret))),
            },
            (Self::Text, _) => Ok(Arc::new(as_text(&cells_of(field, array)?, array.len()))),
            (_, found) => Err(unsupported(field, found)),
        }
    }
}

/// `row` counts from 0; of a `secret` column no value is told.
fn not_held(field: &Field, wanted: &DataType, text: &str, (row, secret): (usize, bool)) -> Problem {
    let (name, row) = (field.name(), row + 1);
    // A word in place of a number or a day: most likely nobody would miss it.
    let is_word = text.ends_with(|last: char| last.is_ascii_alphabetic());
    let shown: String = match secret && !is_word {
        true => "a number (withheld: the report has a sensitive parameter)".to_owned(),
        false => text.chars().take(40).collect(),
    };
    let cure = match wanted {
        _ if is_word => format!("write nullif({name}, '{shown}') as {name}, or "),
        DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
            format!("write round({name}, {scale}) as {name}, give it other digits by its `type` in [[columns]], or ")
        }
        _ => String::new(),
    };
    Problem::new(
        ProblemKind::UnsupportedColumn,
        format!(
            "column `{name}` holds {shown} in row {row}, which {wanted} cannot say; for Parquet, {cure}cast the column to text"
        ),
    )
}

/// Returns row and word of the first date or time without end: readers would take it for a day far off.
fn infinite(array: &ArrayRef) -> Option<(usize, &'static str)> {
    let words: &mut dyn Iterator<Item = Option<&'static str>> = match array.data_type() {
        DataType::Date32 => &mut array.as_primitive::<Date32Type>().iter().map(|days| infinite_date(days?.into())),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            &mut array.as_primitive::<TimestampMicrosecondType>().iter().map(|micros| infinite_timestamp(micros?))
        }
        _ => return None,
    };
    words.enumerate().find_map(|(row, word)| Some((row, word?)))
}

fn as_text(cells: &ColumnCells<'_>, rows: usize) -> StringArray {
    let mut text = Vec::new();
    let value = |row| {
        if cells.is_null(row) {
            return None;
        }
        text.clear();
        cells.write_plain(row, &mut text);
        Some(String::from_utf8_lossy(&text).into_owned())
    };
    (0..rows).map(value).collect()
}
