//! A sheet of rows: what stands around its cells, and what stands below the last of them.

use std::io::Write as _;

use report::{ColumnAlign, ColumnTotal};
use values::number::f64_text;

use super::column::Column;
use super::links::Links;
use super::names::quoted;
use super::package::{MAIN, Sheet, xml};
use super::style::{CellRole, CellStyle, Styles};
use super::text::{cut, write_cell, write_text};
use super::value::{SerialTime, serial_day, serial_time};
use crate::About;
use crate::display_format::DisplayFormat;
use crate::total::{TotalValue, Totals};

/// Sheets that one formula may name.
const MOST_OF_FORMULA: usize = 254;
/// Characters of a title in the header of a page, which takes 255 with its commands.
const MOST_OF_HEADER: usize = 100;
/// Widest column, in characters.
const MOST_WIDTH: usize = 254;
/// Characters that fit an upright page.
const UPRIGHT: usize = 95;

/// Writes what stands before the first row, and the headings.
pub(super) fn write_head(part: &mut Vec<u8>, columns: &[Column], widths: &[usize], first: bool) {
    part.extend_from_slice(&xml());
    // Writing into memory cannot fail.
    let selected = if first { " tabSelected=\"1\"" } else { "" };
    let _ = write!(
        part,
        "<worksheet xmlns=\"{MAIN}\"><sheetPr><pageSetUpPr fitToPage=\"1\"/></sheetPr>\
         <sheetViews><sheetView showGridLines=\"0\"{selected} workbookViewId=\"0\">\
         <pane ySplit=\"1\" topLeftCell=\"A2\" activePane=\"bottomLeft\" state=\"frozen\"/>\
         <selection pane=\"bottomLeft\" activeCell=\"A2\" sqref=\"A2\"/></sheetView></sheetViews>\
         <sheetFormatPr defaultRowHeight=\"15\"/><cols>"
    );
    for (number, width) in (1..).zip(widths) {
        let width = width.min(&MOST_WIDTH);
        let _ = write!(part, "<col min=\"{number}\" max=\"{number}\" width=\"{width}.7109375\" customWidth=\"1\"/>");
    }
    part.extend_from_slice(b"</cols><sheetData><row r=\"1\" ht=\"21\" customHeight=\"1\">");
    for column in columns {
        write_cell(part, &column.letters, 1, column.looks.head, &column.presentation.title);
    }
    part.extend_from_slice(b"</row>");
}

/// Writes a row of one remark.
pub(super) fn write_remark(part: &mut Vec<u8>, row: u32, styles: &mut Styles, role: CellRole, text: &str) {
    let look = styles.number(CellStyle { role, align: ColumnAlign::Left, format: String::new(), whole: false });
    let _ = write!(part, "<row r=\"{row}\">");
    write_cell(part, "A", row, look, text);
    part.extend_from_slice(b"</row>");
}

/// Writes the row of totals: formulas over every sheet, which know of filters, with their exact values.
pub(super) fn write_totals(part: &mut Vec<u8>, row: u32, columns: &[Column], totals: &Totals, sheets: &[Sheet]) {
    let _ = write!(part, "<row r=\"{row}\" ht=\"18\" customHeight=\"1\">");
    for (index, column) in columns.iter().enumerate() {
        let (letters, look) = (&column.letters, column.looks.total);
        match (column.presentation.total, totals.value(index)) {
            (Some(total), Some(value)) => write_total(part, row, column, Total { kind: total, value: &value }, sheets),
            // What a row of numbers is, stands before them.
            (None, _) if index == 0 => write_cell(part, letters, row, look, "Total"),
            _ => drop(write!(part, "<c r=\"{letters}{row}\" s=\"{look}\"/>")),
        }
    }
    part.extend_from_slice(b"</row>");
}

/// The total of a column.
#[derive(Clone, Copy)]
struct Total<'a> {
    kind: ColumnTotal,
    value: &'a TotalValue,
}

fn write_total(part: &mut Vec<u8>, row: u32, column: &Column, total: Total<'_>, sheets: &[Sheet]) {
    let letters = &column.letters;
    let Total { kind, value } = total;
    match cached(column, value) {
        Some(Cached { number, look }) => {
            let _ = write!(part, "<c r=\"{letters}{row}\" s=\"{look}\">");
            // A formula sees numbers only. Where some stand as text it would be wrong.
            if (column.texts == 0 || kind == ColumnTotal::Count) && sheets.len() <= MOST_OF_FORMULA {
                part.extend_from_slice(b"<f>");
                write_text(part, &formula(letters, kind, sheets));
                part.extend_from_slice(b"</f>");
            }
            let _ = write!(part, "<v>{number}</v></c>");
        }
        None => {
            let mut text = Vec::new();
            write_total_text(&mut text, column, value);
            write_cell(part, letters, row, column.looks.text_total, &String::from_utf8_lossy(&text));
        }
    }
}

/// Writes what the cell of a total shows.
pub(super) fn write_total_text(out: &mut Vec<u8>, column: &Column, value: &TotalValue) {
    let is_duration = column.presentation.show == DisplayFormat::Duration;
    match value {
        TotalValue::Number(number) if !is_duration && cached(column, value).is_none() => {
            out.extend_from_slice(number.as_bytes());
        }
        other => column.presentation.write_total(out, other),
    }
}

/// A total that is a number, and the number of its look.
struct Cached {
    number: String,
    look: usize,
}

/// Returns a total as a number. `None`: a spreadsheet has no number that is that.
fn cached(column: &Column, value: &TotalValue) -> Option<Cached> {
    let plain = |number: String| Cached { number, look: column.looks.total };
    let of_time = |time: SerialTime| Cached {
        number: f64_text(&mut zmij::Buffer::new(), time.serial).to_owned(),
        look: if time.fraction { column.looks.fine_total } else { column.looks.total },
    };
    match value {
        TotalValue::Text(_) => None,
        TotalValue::Number(text) => {
            column.total_duration(text).map(of_time).or_else(|| column.total_number(text).map(plain))
        }
        TotalValue::Date(days) => serial_day(*days).map(|serial| plain(serial.to_string())),
        TotalValue::Timestamp(micros) => serial_time(*micros, column.presentation.asked).map(of_time),
        TotalValue::Instant(micros) => {
            serial_time(column.presentation.clock(*micros), column.presentation.asked).map(of_time)
        }
    }
}

fn formula(letters: &str, kind: ColumnTotal, sheets: &[Sheet]) -> String {
    let function = match kind {
        ColumnTotal::Average => 101,
        ColumnTotal::Count => 103,
        ColumnTotal::Max => 104,
        ColumnTotal::Min => 105,
        ColumnTotal::Sum => 109,
    };
    let ranges = sheets.iter().enumerate().map(|(index, sheet)| {
        let range = format!("{letters}2:{letters}{}", sheet.rows + 1);
        // The formula stands on the last sheet.
        if index + 1 == sheets.len() { range } else { format!("{}!{range}", quoted(&sheet.name)) }
    });
    format!("SUBTOTAL({function},{})", ranges.collect::<Vec<_>>().join(","))
}

/// What is known of a sheet when its last row is written.
pub(super) struct SheetTail<'a> {
    pub(super) widths: &'a [usize],
    pub(super) links: &'a Links,
    /// Rows of the result on it.
    pub(super) rows: u32,
}

/// Writes what stands behind the last row.
pub(super) fn write_tail(part: &mut Vec<u8>, about: &About, columns: &[Column], tail: &SheetTail<'_>) {
    let SheetTail { widths, links, rows } = *tail;
    part.extend_from_slice(b"</sheetData>");
    if let Some(last) = columns.last() {
        let letters = &last.letters;
        let _ = write!(part, "<autoFilter ref=\"A1:{letters}{}\"/>", rows + 1);
    }
    links.write(part);
    let orientation = if widths.iter().sum::<usize>() > UPRIGHT { "landscape" } else { "portrait" };
    let _ = write!(
        part,
        "<pageMargins left=\"0.5\" right=\"0.5\" top=\"0.75\" bottom=\"0.75\" header=\"0.3\" footer=\"0.3\"/>\
         <pageSetup paperSize=\"9\" orientation=\"{orientation}\" fitToHeight=\"0\"/><headerFooter><oddHeader>"
    );
    // An ampersand starts a command there.
    write_text(part, "&L&\"-,Bold\"");
    write_text(part, &cut(&about.title, MOST_OF_HEADER).replace('&', "&&"));
    part.extend_from_slice(b"</oddHeader><oddFooter>");
    // A space ends the size of the letters, a digit would belong to it.
    let snapshot = about.snapshot_at.format("%Y-%m-%d %H:%M:%SZ");
    write_text(part, &format!("&L&8 {snapshot}&R&8 &P / &N"));
    part.extend_from_slice(b"</oddFooter></headerFooter>");
    if let Some(last) = columns.last() {
        let letters = &last.letters;
        let _ = write!(
            part,
            "<ignoredErrors><ignoredError sqref=\"A1:{letters}{}\" numberStoredAsText=\"1\"/></ignoredErrors>",
            rows.saturating_add(3).min(1_048_576)
        );
    }
    part.extend_from_slice(b"</worksheet>");
}
