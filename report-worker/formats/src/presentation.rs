//! How the values of a column are shown to people: heading, format, alignment; and values as text in that format.

use arrow_schema::Field;
use report::{ColumnAlign, ColumnTotal};
use values::number::{f32_text, f64_text};

use super::About;
use super::cell::ColumnCells;
use super::display_format::{DisplayFormat, ValueType, write_short};
use super::total::TotalValue;

/// How a column is shown: what the definition says, else what its type suggests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Presentation {
    /// Heading.
    pub(super) title: String,
    /// Format of its values.
    pub(super) show: DisplayFormat,
    /// Where in its cell a value stands.
    pub(super) align: ColumnAlign,
    /// Width in characters, where the definition says one.
    pub(super) width: Option<u16>,
    /// What stands below the last row.
    pub(super) total: Option<ColumnTotal>,
}

impl Presentation {
    /// Finds out how a column is shown.
    pub(super) fn of(about: &About, field: &Field) -> Self {
        let spec = about.column(field.name());
        let show = DisplayFormat::of(spec.and_then(|spec| spec.format.as_ref()), field);
        let by_type = if ValueType::of(field) == ValueType::Number && show != DisplayFormat::Text {
            ColumnAlign::Right
        } else {
            ColumnAlign::Left
        };
        Self {
            title: spec.and_then(|spec| spec.title.clone()).unwrap_or_else(|| field.name().clone()),
            show,
            align: spec.and_then(|spec| spec.align).unwrap_or(by_type),
            width: spec.and_then(|spec| spec.width),
            total: spec.and_then(|spec| spec.total),
        }
    }

    /// Writes the value in row `row` as it is shown. Null is nothing.
    pub(super) fn write(&self, out: &mut Vec<u8>, cells: &ColumnCells<'_>, row: usize) {
        if cells.is_null(row) {
            return;
        }
        match cells {
            ColumnCells::Null => {}
            ColumnCells::Boolean(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            ColumnCells::Int16(array) => self.write_integer(out, i64::from(array.value(row))),
            ColumnCells::Int32(array) => self.write_integer(out, i64::from(array.value(row))),
            ColumnCells::Int64(array) => self.write_integer(out, array.value(row)),
            ColumnCells::Float32(array) => {
                self.show.write_number(out, f32_text(&mut zmij::Buffer::new(), array.value(row)));
            }
            ColumnCells::Float64(array) => {
                self.show.write_number(out, f64_text(&mut zmij::Buffer::new(), array.value(row)));
            }
            ColumnCells::Numeric(array) => self.show.write_number(out, array.value(row)),
            ColumnCells::Decimal(array, scale) => self.show.write_decimal(out, array.value(row), *scale),
            ColumnCells::Text(array) => out.extend_from_slice(array.value(row).as_bytes()),
            ColumnCells::Date(array) => self.show.write_day(out, array.value(row)),
            ColumnCells::Timestamp(array) => self.show.write_time(out, array.value(row), false),
            ColumnCells::Instant(array) => self.show.write_time(out, array.value(row), true),
        }
    }

    fn write_integer(&self, out: &mut Vec<u8>, value: i64) {
        self.show.write_number(out, itoa::Buffer::new().format(value));
    }

    /// Writes a total of the column. A count is a whole number whatever the column's format.
    pub(super) fn write_total(&self, out: &mut Vec<u8>, value: &TotalValue) {
        match value {
            TotalValue::Number(text) => match (self.total, &self.show) {
                (Some(ColumnTotal::Count), _) => DisplayFormat::Number { decimals: 0 }.write_number(out, text),
                (Some(ColumnTotal::Average), DisplayFormat::Plain) => write_short(out, text),
                (_, show) => show.write_number(out, text),
            },
            TotalValue::Text(text) => out.extend_from_slice(text.as_bytes()),
            TotalValue::Date(days) => self.show.write_day(out, *days),
            TotalValue::Timestamp(micros) => self.show.write_time(out, *micros, false),
            TotalValue::Instant(micros) => self.show.write_time(out, *micros, true),
        }
    }
}
