//! One column of a sheet: everything that is the same in each of its cells, made once.

use arrow_schema::{DataType, Field};
use model::problem::Problem;
use report::ColumnTotal;
use values::number::{f32_text, f64_text, write_decimal};
use values::{has_floats, is_numeric};

use super::links::Links;
use super::looks::{Looks, TextKind};
use super::names::letters;
use super::strings::{StringSharing, Strings};
use super::style::Styles;
use super::text::{check_length, has_outer_space, write_text};
use super::value::{
    SerialTime, is_exact, is_exact_integer, is_float, is_in_range, serial_day, serial_duration, serial_time,
    shown_number,
};
use crate::About;
use crate::cell::ColumnCells;
use crate::display_format::{DisplayFormat, seconds_to_micros};
use crate::presentation::Presentation;

/// A column and the pieces its cells are made of.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// Name in the result.
    pub(super) name: String,
    pub(super) letters: String,
    pub(super) presentation: Presentation,
    /// Type of the values, as far as it is known.
    pub(super) kind: DataType,
    pub(super) is_number: bool,
    /// Floats are among its numbers: digits beyond those of a double were never there.
    pub(super) has_floats: bool,
    pub(super) looks: Looks,
    /// Values of numbers and times that had to be written as text.
    pub(super) texts: u64,
    /// `<c r="A`
    open: Vec<u8>,
    sharing: StringSharing,
}

/// Where the cells of a row go.
pub(super) struct Row<'a> {
    pub(super) xml: &'a mut Vec<u8>,
    pub(super) strings: &'a mut Strings,
    pub(super) links: &'a mut Links,
    /// Number in the sheet, as text.
    pub(super) number: &'a [u8],
    /// Number in the result, from 1.
    pub(super) of_result: u64,
}

impl Column {
    /// Prepares column `index` (from 0).
    pub(super) fn new(about: &About, field: &Field, index: usize, styles: &mut Styles) -> Self {
        let mut presentation = Presentation::of(about, field);
        let zoned = matches!(field.data_type(), DataType::Timestamp(_, Some(_))) && presentation.zone.is_none();
        if let Some(zone) = presentation.zone {
            // A cell has no place for it.
            presentation.title = format!("{} ({zone})", presentation.title);
        }
        let letters = letters(index);
        Self {
            name: field.name().clone(),
            open: format!("<c r=\"{letters}").into_bytes(),
            letters,
            kind: field.data_type().clone(),
            is_number: field.data_type().is_numeric() || is_numeric(field),
            has_floats: has_floats(field),
            looks: Looks::of(&presentation, zoned, styles),
            texts: 0,
            sharing: StringSharing::default(),
            presentation,
        }
    }

    /// Writes the cell of a batch's row `at`.
    ///
    /// # Errors
    /// Names column and row of a text that fits no cell.
    pub(super) fn write(&mut self, row: &mut Row<'_>, cells: &ColumnCells<'_>, at: usize) -> Result<(), Problem> {
        row.xml.extend_from_slice(&self.open);
        row.xml.extend_from_slice(row.number);
        if cells.is_null(at) {
            row.xml.extend_from_slice(&self.looks.empty);
            return Ok(());
        }
        if let Some(text) = self.presentation.text(cells, at) {
            return self.write_own_text(row, text);
        }
        if self.write_value(row.xml, cells, at) {
            return Ok(());
        }
        self.texts += 1;
        let mut text = Vec::new();
        exact_text(&mut text, &self.presentation, cells, at);
        self.write_text(row, &String::from_utf8_lossy(&text), TextKind::Instead)
    }

    /// Writes a text that is the value of its cell, which may be a link.
    fn write_own_text(&mut self, row: &mut Row<'_>, text: &str) -> Result<(), Problem> {
        let is_link =
            self.presentation.address(text).is_some_and(|address| row.links.add(&self.letters, row.number, address));
        self.write_text(row, text, if is_link { TextKind::Link } else { TextKind::Own })
    }

    /// Writes what the cell of a value shows.
    pub(super) fn write_shown(&self, out: &mut Vec<u8>, cells: &ColumnCells<'_>, at: usize) {
        let is_text = cells.is_null(at) || self.presentation.text(cells, at).is_some();
        if is_text || self.write_value(&mut Vec::new(), cells, at) {
            self.presentation.write(out, cells, at);
        } else {
            exact_text(out, &self.presentation, cells, at);
        }
    }

    /// Returns a total, given in seconds, as a length of time.
    pub(super) fn total_duration(&self, seconds: &str) -> Option<SerialTime> {
        let is_duration = self.presentation.show == DisplayFormat::Duration;
        let counts = self.presentation.total == Some(ColumnTotal::Count);
        serial_duration(seconds_to_micros(seconds).filter(|_| is_duration && !counts)?)
    }

    /// Returns the number of a total. `None`: a spreadsheet has no number that is, or in the column's format shows, exactly that.
    pub(super) fn total_number(&self, text: &str) -> Option<String> {
        let (kind, show) = (self.presentation.total, &self.presentation.show);
        if *show == DisplayFormat::Duration && kind != Some(ColumnTotal::Count) {
            return None;
        }
        let shown = || self.presentation.asked.then(|| shown_number(text, show)).flatten();
        // Means have no last digit, and columns of floats are not exact: the nearest number is all there is to say.
        let nearest = || {
            let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
            Some(f64_text(&mut zmij::Buffer::new(), number).to_owned())
        };
        match kind {
            Some(ColumnTotal::Count) => is_exact(text).then(|| text.to_owned()),
            Some(ColumnTotal::Average) => shown().or_else(nearest),
            _ if self.has_floats => shown().or_else(nearest),
            _ => is_exact(text).then(|| text.to_owned()).or_else(shown),
        }
    }

    /// Writes a value that is more than text. Returns false where a spreadsheet has no such value.
    fn write_value(&self, xml: &mut Vec<u8>, cells: &ColumnCells<'_>, at: usize) -> bool {
        match self.presentation.show {
            DisplayFormat::Text => return false,
            DisplayFormat::Duration => {
                let time = self.presentation.duration(cells, at).and_then(serial_duration);
                return time.is_some_and(|time| self.write_time(xml, time));
            }
            _ => {}
        }
        match cells {
            ColumnCells::Int16(array) => self.write_integer(xml, i64::from(array.value(at))),
            ColumnCells::Int32(array) => self.write_integer(xml, i64::from(array.value(at))),
            ColumnCells::Int64(array) => self.write_integer(xml, array.value(at)),
            ColumnCells::Float32(array) => {
                let value = array.value(at);
                is_in_range(f64::from(value)) && self.write_number(xml, f32_text(&mut zmij::Buffer::new(), value))
            }
            ColumnCells::Float64(array) => self.write_float(xml, array.value(at)),
            ColumnCells::Numeric(array) => self.write_digits(xml, array.value(at)),
            ColumnCells::Decimal(array, scale) => self.write_decimal(xml, array.value(at), *scale),
            ColumnCells::Date(array) => {
                serial_day(array.value(at)).is_some_and(|serial| self.write_integer(xml, serial))
            }
            ColumnCells::Timestamp(array) => {
                let time = serial_time(array.value(at), self.presentation.asked);
                time.is_some_and(|time| self.write_time(xml, time))
            }
            ColumnCells::Instant(array) => {
                let time = serial_time(self.presentation.clock(array.value(at)), self.presentation.asked);
                time.is_some_and(|time| self.write_time(xml, time))
            }
            ColumnCells::Boolean(array) => {
                xml.extend_from_slice(&self.looks.boolean);
                xml.extend_from_slice(if array.value(at) { b"1</v></c>" } else { b"0</v></c>" });
                true
            }
            ColumnCells::Null | ColumnCells::Text(_) => false,
        }
    }

    fn write_integer(&self, xml: &mut Vec<u8>, value: i64) -> bool {
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(value);
        if is_exact_integer(value) { self.write_number(xml, text) } else { self.write_rounded(xml, text) }
    }

    fn write_digits(&self, xml: &mut Vec<u8>, text: &str) -> bool {
        if is_exact(text) || self.has_floats && is_float(text) {
            return self.write_number(xml, text);
        }
        self.write_rounded(xml, text)
    }

    /// Writes a number that is not held to its last digit, if the format asked for does not show that.
    #[cold]
    fn write_rounded(&self, xml: &mut Vec<u8>, text: &str) -> bool {
        let shown = self.presentation.asked.then(|| shown_number(text, &self.presentation.show)).flatten();
        shown.is_some_and(|number| self.write_number(xml, &number))
    }

    fn write_time(&self, xml: &mut Vec<u8>, time: SerialTime) -> bool {
        xml.extend_from_slice(if time.fraction { &self.looks.fine_time } else { &self.looks.number });
        xml.extend_from_slice(f64_text(&mut zmij::Buffer::new(), time.serial).as_bytes());
        xml.extend_from_slice(b"</v></c>");
        true
    }

    fn write_decimal(&self, xml: &mut Vec<u8>, value: i64, scale: usize) -> bool {
        let start = xml.len();
        xml.extend_from_slice(&self.looks.number);
        let digits = xml.len();
        write_decimal(xml, value, scale);
        // Zeros at the end may be beyond what is kept, and then say nothing.
        let exact = is_exact_integer(value) || std::str::from_utf8(&xml[digits..]).is_ok_and(is_exact);
        if exact {
            xml.extend_from_slice(b"</v></c>");
            return true;
        }
        let text = String::from_utf8_lossy(&xml[digits..]).into_owned();
        xml.truncate(start);
        self.write_rounded(xml, &text)
    }

    fn write_float(&self, xml: &mut Vec<u8>, value: f64) -> bool {
        is_in_range(value) && self.write_number(xml, f64_text(&mut zmij::Buffer::new(), value))
    }

    fn write_number(&self, xml: &mut Vec<u8>, text: &str) -> bool {
        xml.extend_from_slice(&self.looks.number);
        xml.extend_from_slice(text.as_bytes());
        xml.extend_from_slice(b"</v></c>");
        true
    }

    fn write_text(&mut self, row: &mut Row<'_>, text: &str, kind: TextKind) -> Result<(), Problem> {
        let pieces = self.looks.text(kind);
        if let Some(place) = row.strings.place(text, &mut self.sharing) {
            row.xml.extend_from_slice(&pieces.shared);
            row.xml.extend_from_slice(itoa::Buffer::new().format(place).as_bytes());
            row.xml.extend_from_slice(b"</v></c>");
            return Ok(());
        }
        check_length(text, &self.name, row.of_result)?;
        row.xml.extend_from_slice(&pieces.inline);
        row.xml.extend_from_slice(if has_outer_space(text) { b" xml:space=\"preserve\">" } else { b">" });
        write_text(row.xml, text);
        row.xml.extend_from_slice(b"</t></is></c>");
        Ok(())
    }
}

/// Writes a number with every digit it has, and a date, time or length of time as it is shown.
fn exact_text(out: &mut Vec<u8>, presentation: &Presentation, cells: &ColumnCells<'_>, at: usize) {
    let is_time = matches!(cells, ColumnCells::Date(_) | ColumnCells::Timestamp(_) | ColumnCells::Instant(_));
    let keeps = is_time && presentation.show != DisplayFormat::Date || presentation.show == DisplayFormat::Duration;
    if keeps || matches!(cells, ColumnCells::Date(_)) {
        presentation.write(out, cells, at);
    } else {
        let plain = Presentation { show: DisplayFormat::Plain, ..presentation.clone() };
        plain.write(out, cells, at);
    }
}
