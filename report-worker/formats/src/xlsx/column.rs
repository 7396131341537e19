//! One column of a sheet: everything that is the same in each of its cells, made once.

use arrow_schema::{DataType, Field};
use model::problem::Problem;
use report::ColumnTotal;
use values::is_numeric;
use values::number::{f32_text, f64_text, write_decimal};

use super::names::letters;
use super::strings::{StringSharing, Strings};
use super::style::{CellRole, CellStyle, Styles, code};
use super::text::{check_length, has_outer_space, write_text};
use super::value::{is_exact, is_exact_integer, is_in_range, serial_day, serial_time};
use crate::About;
use crate::cell::ColumnCells;
use crate::display_format::DisplayFormat;
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
    /// Number of the look of its heading, and of its total.
    pub(super) head: usize,
    pub(super) total: usize,
    /// Values of numbers and times that had to be written as text.
    pub(super) texts: u64,
    /// `<c r="A`
    open: Vec<u8>,
    /// What stands between the row's number and a value, by the kind of the cell.
    empty: Vec<u8>,
    number: Vec<u8>,
    boolean: Vec<u8>,
    shared: Vec<u8>,
    inline: Vec<u8>,
    sharing: StringSharing,
}

/// Where the cells of a row go.
pub(super) struct Row<'a> {
    pub(super) xml: &'a mut Vec<u8>,
    pub(super) strings: &'a mut Strings,
    /// Number in the sheet, as text.
    pub(super) number: &'a [u8],
    /// Number in the result, from 1.
    pub(super) of_result: u64,
}

impl Column {
    /// Prepares column `index` (from 0).
    pub(super) fn new(about: &About, field: &Field, index: usize, styles: &mut Styles) -> Self {
        let presentation = Presentation::of(about, field);
        let zoned = matches!(field.data_type(), DataType::Timestamp(_, Some(_)));
        let format = code(&presentation.show, zoned);
        let align = presentation.align;
        let body = styles.number(CellStyle { role: CellRole::Body, align, format: format.clone() });
        let head = styles.number(CellStyle { role: CellRole::Head, align, format: String::new() });
        let format = match presentation.total {
            Some(ColumnTotal::Count) => code(&DisplayFormat::Number { decimals: 0 }, false),
            _ => format,
        };
        let total = styles.number(CellStyle { role: CellRole::Total, align, format });
        let letters = letters(index);
        let piece = |rest: &str| format!("\" s=\"{body}\"{rest}").into_bytes();
        Self {
            name: field.name().clone(),
            open: format!("<c r=\"{letters}").into_bytes(),
            letters,
            presentation,
            kind: field.data_type().clone(),
            is_number: field.data_type().is_numeric() || is_numeric(field),
            head,
            total,
            texts: 0,
            empty: piece("/>"),
            number: piece("><v>"),
            boolean: piece(" t=\"b\"><v>"),
            shared: piece(" t=\"s\"><v>"),
            inline: piece(" t=\"inlineStr\"><is><t"),
            sharing: StringSharing::default(),
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
            row.xml.extend_from_slice(&self.empty);
            return Ok(());
        }
        if let ColumnCells::Text(array) = cells {
            return self.write_text(row, array.value(at));
        }
        if self.presentation.show == DisplayFormat::Text || !self.write_value(row.xml, cells, at) {
            return self.write_as_text(row, cells, at);
        }
        Ok(())
    }

    /// Writes a value that is more than text. Returns false where a spreadsheet has no such value.
    fn write_value(&self, xml: &mut Vec<u8>, cells: &ColumnCells<'_>, at: usize) -> bool {
        match cells {
            ColumnCells::Int16(array) => self.write_integer(xml, i64::from(array.value(at))),
            ColumnCells::Int32(array) => self.write_integer(xml, i64::from(array.value(at))),
            ColumnCells::Int64(array) => self.write_integer(xml, array.value(at)),
            ColumnCells::Float32(array) => {
                let value = array.value(at);
                is_in_range(f64::from(value)) && self.write_number(xml, f32_text(&mut zmij::Buffer::new(), value))
            }
            ColumnCells::Float64(array) => self.write_float(xml, array.value(at)),
            ColumnCells::Numeric(array) => {
                let text = array.value(at);
                is_exact(text) && self.write_number(xml, text)
            }
            ColumnCells::Decimal(array, scale) => self.write_decimal(xml, array.value(at), *scale),
            ColumnCells::Date(array) => {
                serial_day(array.value(at)).is_some_and(|serial| self.write_integer(xml, serial))
            }
            ColumnCells::Timestamp(array) | ColumnCells::Instant(array) => {
                serial_time(array.value(at)).is_some_and(|serial| self.write_float(xml, serial))
            }
            ColumnCells::Boolean(array) => {
                xml.extend_from_slice(&self.boolean);
                xml.extend_from_slice(if array.value(at) { b"1</v></c>" } else { b"0</v></c>" });
                true
            }
            ColumnCells::Null | ColumnCells::Text(_) => false,
        }
    }

    fn write_integer(&self, xml: &mut Vec<u8>, value: i64) -> bool {
        is_exact_integer(value) && self.write_number(xml, itoa::Buffer::new().format(value))
    }

    fn write_decimal(&self, xml: &mut Vec<u8>, value: i64, scale: usize) -> bool {
        let start = xml.len();
        xml.extend_from_slice(&self.number);
        let digits = xml.len();
        write_decimal(xml, value, scale);
        // Zeros at the end may be beyond what is kept, and then say nothing.
        let exact = is_exact_integer(value) || std::str::from_utf8(&xml[digits..]).is_ok_and(is_exact);
        if exact {
            xml.extend_from_slice(b"</v></c>");
        } else {
            xml.truncate(start);
        }
        exact
    }

    fn write_float(&self, xml: &mut Vec<u8>, value: f64) -> bool {
        is_in_range(value) && self.write_number(xml, f64_text(&mut zmij::Buffer::new(), value))
    }

    fn write_number(&self, xml: &mut Vec<u8>, text: &str) -> bool {
        xml.extend_from_slice(&self.number);
        xml.extend_from_slice(text.as_bytes());
        xml.extend_from_slice(b"</v></c>");
        true
    }

    /// Writes a value as the text that loses nothing of it.
    fn write_as_text(&mut self, row: &mut Row<'_>, cells: &ColumnCells<'_>, at: usize) -> Result<(), Problem> {
        self.texts += 1;
        let mut text = Vec::new();
        exact_text(&mut text, &self.presentation, cells, at);
        self.write_text(row, &String::from_utf8_lossy(&text))
    }

    fn write_text(&mut self, row: &mut Row<'_>, text: &str) -> Result<(), Problem> {
        if let Some(place) = row.strings.place(text, &mut self.sharing) {
            row.xml.extend_from_slice(&self.shared);
            row.xml.extend_from_slice(itoa::Buffer::new().format(place).as_bytes());
            row.xml.extend_from_slice(b"</v></c>");
            return Ok(());
        }
        check_length(text, &self.name, row.of_result)?;
        row.xml.extend_from_slice(&self.inline);
        row.xml.extend_from_slice(if has_outer_space(text) { b" xml:space=\"preserve\">" } else { b">" });
        write_text(row.xml, text);
        row.xml.extend_from_slice(b"</t></is></c>");
        Ok(())
    }
}

/// Writes a number with every digit it has, and a date or time as it is shown.
fn exact_text(out: &mut Vec<u8>, presentation: &Presentation, cells: &ColumnCells<'_>, at: usize) {
    let is_time = matches!(cells, ColumnCells::Date(_) | ColumnCells::Timestamp(_) | ColumnCells::Instant(_));
    let keeps = is_time && presentation.show != DisplayFormat::Date;
    if keeps || matches!(cells, ColumnCells::Date(_)) {
        presentation.write(out, cells, at);
    } else {
        let plain = Presentation { show: DisplayFormat::Plain, ..presentation.clone() };
        plain.write(out, cells, at);
    }
}
