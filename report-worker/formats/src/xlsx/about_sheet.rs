//! The last sheet: what the file says about itself, for people.

use std::io::Write as _;

use report::ColumnAlign;
use values::number::f64_text;

use super::package::{MAIN, xml};
use super::style::{CellRole, CellStyle, Styles, code};
use super::text::{MOST_UNITS, cut, split_units, write_cell};
use super::value::serial_time;
use crate::display_format::DisplayFormat;
use crate::{About, FileSummary};

/// Widths of names and of facts, in characters.
const WIDTHS: (u16, u16) = (24, 84);
/// Height of a line of text.
const LINE: usize = 15;

struct AboutSheet<'a> {
    part: Vec<u8>,
    row: u32,
    styles: &'a mut Styles,
}

/// Returns the sheet about the report.
pub(super) fn about_sheet(about: &About, summary: FileSummary, styles: &mut Styles) -> Vec<u8> {
    let mut part = xml();
    // Writing into memory cannot fail.
    let _ = write!(
        part,
        "<worksheet xmlns=\"{MAIN}\"><sheetPr><pageSetUpPr fitToPage=\"1\"/></sheetPr>\
         <sheetViews><sheetView showGridLines=\"0\" workbookViewId=\"0\"/></sheetViews>\
         <sheetFormatPr defaultRowHeight=\"{LINE}\"/><cols>\
         <col min=\"1\" max=\"1\" width=\"{}\" customWidth=\"1\"/><col min=\"2\" max=\"2\" width=\"{}\" customWidth=\"1\"/>\
         </cols><sheetData>",
        WIDTHS.0, WIDTHS.1
    );
    let mut page = AboutSheet { part, row: 0, styles };
    page.title(&about.title);
    if !about.description.is_empty() {
        page.text(&about.description);
    }
    page.row += 1;
    for (label, value) in &about.params {
        page.fact(label, value);
    }
    if !about.params.is_empty() {
        page.row += 1;
    }
    page.fact("Report", &about.report);
    page.fact("Version", &about.report_version);
    page.fact("Job", &about.job_id.to_string());
    if let Some(time) = serial_time(about.snapshot_at.timestamp_micros(), true) {
        page.number("Snapshot (UTC)", time.serial, &DisplayFormat::Datetime, time.fraction);
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let rows = summary.rows as f64;
    page.number("Rows", rows, &DisplayFormat::Number { decimals: 0 }, false);
    if summary.complete {
        page.fact("Complete", "Yes");
    } else {
        page.warning("Complete", "No: a limit cut this file, further rows are missing");
    }
    page.fact("Made by", "Waitless");
    let mut part = page.part;
    part.extend_from_slice(
        b"</sheetData><pageMargins left=\"0.5\" right=\"0.5\" top=\"0.75\" bottom=\"0.75\" header=\"0.3\" footer=\"0.3\"/>\
          <pageSetup paperSize=\"9\" orientation=\"portrait\" fitToHeight=\"0\"/></worksheet>",
    );
    part
}

impl AboutSheet<'_> {
    fn look(&mut self, role: CellRole) -> usize {
        self.styles.number(CellStyle { role, align: ColumnAlign::Left, format: String::new(), whole: false })
    }

    fn start(&mut self, height: usize) {
        self.row += 1;
        let row = self.row;
        let _ = write!(self.part, "<row r=\"{row}\" ht=\"{height}\" customHeight=\"1\">");
    }

    fn end(&mut self) {
        self.part.extend_from_slice(b"</row>");
    }

    fn title(&mut self, text: &str) {
        let look = self.look(CellRole::Title);
        self.start(2 * LINE);
        write_cell(&mut self.part, "A", self.row, look, text);
        self.end();
    }

    /// Writes each line of a text, which runs over the empty cell beside it.
    fn text(&mut self, text: &str) {
        let look = self.look(CellRole::Note);
        for line in text.lines() {
            let mut rest = line;
            loop {
                let (piece, behind) = split_units(rest, MOST_UNITS);
                self.start(LINE);
                write_cell(&mut self.part, "A", self.row, look, piece);
                self.end();
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
        }
    }

    fn fact(&mut self, label: &str, value: &str) {
        let (name, fact) = (self.look(CellRole::Label), self.look(CellRole::Fact));
        // A list of thousands of values is longer than a cell takes.
        let value = cut(value, MOST_UNITS);
        let lines: usize = value.lines().map(|line| line.chars().count() / usize::from(WIDTHS.1) + 1).sum();
        self.start((lines.clamp(1, 26) * LINE) + 3);
        write_cell(&mut self.part, "A", self.row, name, label);
        write_cell(&mut self.part, "B", self.row, fact, &value);
        self.end();
    }

    fn warning(&mut self, label: &str, value: &str) {
        let (name, warning) = (self.look(CellRole::Label), self.look(CellRole::Warning));
        self.start(LINE + 3);
        write_cell(&mut self.part, "A", self.row, name, label);
        write_cell(&mut self.part, "B", self.row, warning, value);
        self.end();
    }

    /// `fine`: a time with milliseconds.
    fn number(&mut self, label: &str, value: f64, show: &DisplayFormat, fine: bool) {
        let (align, format) = (ColumnAlign::Left, code(show, false, fine));
        let name = self.look(CellRole::Label);
        let fact = self.styles.number(CellStyle { role: CellRole::Fact, align, format, whole: false });
        self.start(LINE + 3);
        write_cell(&mut self.part, "A", self.row, name, label);
        let number = f64_text(&mut zmij::Buffer::new(), value).to_owned();
        let row = self.row;
        let _ = write!(self.part, "<c r=\"B{row}\" s=\"{fact}\"><v>{number}</v></c>");
        self.end();
    }
}
