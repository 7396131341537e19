//! How the values of a column are shown to people: heading, format, alignment; and values as text in that format.

use arrow_schema::{DataType, Field};
use model::locale::Tz;
use report::{ColumnAlign, ColumnTotal};
use values::duration::parse_duration;
use values::number::{f32_text, f64_text};

use super::About;
use super::cell::ColumnCells;
use super::display_format::{DisplayFormat, ValueType, seconds_to_micros, write_short};
use super::local_time::LocalTime;
use super::total::TotalValue;
use super::web_address::web_address;

/// How a column is shown: what the definition says, else what its type suggests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Presentation {
    /// Heading.
    pub(super) title: String,
    /// Format of its values.
    pub(super) show: DisplayFormat,
    /// Whether the definition asks for it: then what it does not show may go where a reader cannot keep it.
    pub(super) asked: bool,
    /// Where in its cell a value stands.
    pub(super) align: ColumnAlign,
    /// Whether the definition says so.
    pub(super) aligned: bool,
    /// Zone in which its points in time are shown, if not UTC.
    pub(super) zone: Option<Tz>,
    /// Width in characters, where the definition says one.
    pub(super) width: Option<u16>,
    /// What stands below the last row.
    pub(super) total: Option<ColumnTotal>,
}

impl Presentation {
    /// Finds out how a column is shown.
    pub(super) fn of(about: &About, field: &Field) -> Self {
        let spec = about.column(field.name());
        let wanted = spec.and_then(|spec| spec.format.as_ref());
        let show = DisplayFormat::of(wanted, field);
        let is_instant = matches!(field.data_type(), DataType::Timestamp(_, Some(_)));
        let is_number = ValueType::of(field) == ValueType::Number && show != DisplayFormat::Text;
        let by_type = if is_number || show == DisplayFormat::Duration { ColumnAlign::Right } else { ColumnAlign::Left };
        Self {
            title: spec.and_then(|spec| spec.title.clone()).unwrap_or_else(|| field.name().clone()),
            asked: wanted.is_some()
                && !matches!(show, DisplayFormat::Plain | DisplayFormat::Text | DisplayFormat::Link),
            show,
            align: spec.and_then(|spec| spec.align).unwrap_or(by_type),
            aligned: spec.is_some_and(|spec| spec.align.is_some()),
            zone: spec.and_then(|spec| spec.time_zone).or(about.time_zone).filter(|_| is_instant),
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
            ColumnCells::Text(array) => self.show.write_text(out, array.value(row)),
            ColumnCells::Date(array) => self.show.write_day(out, array.value(row)),
            ColumnCells::Timestamp(array) => self.show.write_time(out, array.value(row), false),
            ColumnCells::Instant(array) => self.write_instant(out, array.value(row)),
        }
    }

    /// Returns a value's text as it came, if it is shown so.
    pub(super) fn text<'a>(&self, cells: &ColumnCells<'a>, row: usize) -> Option<&'a str> {
        match cells {
            ColumnCells::Text(array) if self.show != DisplayFormat::Duration && !cells.is_null(row) => {
                Some(array.value(row))
            }
            _ => None,
        }
    }

    /// Returns the address that a text of the column leads to.
    pub(super) fn address(&self, text: &str) -> Option<String> {
        if self.show == DisplayFormat::Link { web_address(text) } else { None }
    }

    /// Returns the microseconds of a value, which is not null, that is shown as a length of time. `None`: it is none.
    pub(super) fn duration(&self, cells: &ColumnCells<'_>, row: usize) -> Option<i64> {
        if let ColumnCells::Text(array) = cells {
            return parse_duration(array.value(row));
        }
        let mut seconds = Vec::new();
        cells.write_plain(row, &mut seconds);
        seconds_to_micros(std::str::from_utf8(&seconds).unwrap_or_default())
    }

    fn write_instant(&self, out: &mut Vec<u8>, micros: i64) {
        let Some(local) = self.zone.and_then(|zone| LocalTime::at(zone, micros)) else {
            return self.show.write_time(out, micros, true);
        };
        self.show.write_time(out, local.micros, false);
        if self.show != DisplayFormat::Date {
            local.write_offset(out);
        }
    }

    /// Returns what the clock of the column's zone shows at a point in time, in microseconds.
    pub(super) fn clock(&self, micros: i64) -> i64 {
        self.zone.and_then(|zone| LocalTime::at(zone, micros)).map_or(micros, |local| local.micros)
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
            TotalValue::Instant(micros) => self.write_instant(out, *micros),
        }
    }
}
