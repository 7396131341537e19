//! How cells look: a small set of fonts, fills and lines, and the number formats that the columns ask for.

use std::io::Write as _;

use report::ColumnAlign;

use super::package::{MAIN, xml};
use super::text::write_attribute;
use crate::display_format::DisplayFormat;

/// The first number format that is not built in.
const FIRST_FORMAT: usize = 164;

/// What a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CellRole {
    /// A value.
    Body = 0,
    /// A heading.
    Head,
    /// A total.
    Total,
    /// The title of the page about the report.
    Title,
    /// The name of a fact there.
    Label,
    /// A fact, over as many lines as it needs.
    Fact,
    /// What is said beside the values.
    Note,
    /// What must not be overlooked.
    Warning,
    /// A value that leads somewhere.
    Link,
}

/// The look of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CellStyle {
    pub(super) role: CellRole,
    pub(super) align: ColumnAlign,
    /// A format's code; empty for none.
    pub(super) format: String,
    /// Text that is wider than its cell is shown smaller and not cut.
    pub(super) whole: bool,
}

/// The looks in use, each with its number.
#[derive(Debug, Clone, Default)]
pub(super) struct Styles {
    looks: Vec<CellStyle>,
}

impl Styles {
    /// Returns the number of a look. 0 is the look of cells that have none.
    pub(super) fn number(&mut self, look: CellStyle) -> usize {
        let known = self.looks.iter().position(|known| *known == look);
        known.unwrap_or_else(|| {
            self.looks.push(look);
            self.looks.len() - 1
        }) + 1
    }

    /// Returns the part of the workbook that holds the looks.
    pub(super) fn part(&self) -> Vec<u8> {
        let mut formats: Vec<&str> = Vec::new();
        for look in self.looks.iter().filter(|look| !look.format.is_empty()) {
            if !formats.contains(&look.format.as_str()) {
                formats.push(&look.format);
            }
        }
        let mut part = xml();
        // Writing into memory cannot fail.
        let _ = write!(part, "<styleSheet xmlns=\"{MAIN}\">");
        if !formats.is_empty() {
            let _ = write!(part, "<numFmts count=\"{}\">", formats.len());
            for (at, format) in formats.iter().enumerate() {
                let _ = write!(part, "<numFmt numFmtId=\"{}\" formatCode=\"", FIRST_FORMAT + at);
                write_attribute(&mut part, format);
                part.extend_from_slice(b"\"/>");
            }
            part.extend_from_slice(b"</numFmts>");
        }
        part.extend_from_slice(PALETTE.as_bytes());
        let _ = write!(part, "<cellXfs count=\"{}\">", self.looks.len() + 1);
        part.extend_from_slice(b"<xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\"/>");
        for look in &self.looks {
            let format = formats.iter().position(|format| *format == look.format).map_or(0, |at| FIRST_FORMAT + at);
            look.write(&mut part, format);
        }
        part.extend_from_slice(
            b"</cellXfs><cellStyles count=\"1\"><cellStyle name=\"Normal\" xfId=\"0\" builtinId=\"0\"/></cellStyles>\
              <dxfs count=\"0\"/><tableStyles count=\"0\"/></styleSheet>",
        );
        part
    }
}

impl CellStyle {
    fn write(&self, part: &mut Vec<u8>, format: usize) {
        let (font, fill, border) = match self.role {
            CellRole::Head => (1, 2, 0),
            CellRole::Total => (2, 3, 2),
            CellRole::Title => (3, 0, 0),
            CellRole::Label => (4, 0, 1),
            CellRole::Body | CellRole::Fact => (0, 0, 1),
            CellRole::Note => (5, 0, 0),
            CellRole::Warning => (6, 0, 0),
            CellRole::Link => (7, 0, 1),
        };
        let side = self.align != ColumnAlign::Center;
        let more = match self.role {
            // Numbers on the right and text on the left of the next column keep apart.
            CellRole::Head if side => " vertical=\"center\" indent=\"1\"",
            CellRole::Body | CellRole::Total | CellRole::Link if side => " indent=\"1\"",
            CellRole::Head => " vertical=\"center\"",
            CellRole::Label => " vertical=\"top\"",
            CellRole::Fact => " vertical=\"top\" wrapText=\"1\"",
            _ => "",
        };
        let align = self.align.as_str();
        let whole = if self.whole { " shrinkToFit=\"1\"" } else { "" };
        let _ = write!(
            part,
            "<xf numFmtId=\"{format}\" fontId=\"{font}\" fillId=\"{fill}\" borderId=\"{border}\" xfId=\"0\" \
             applyNumberFormat=\"1\" applyFont=\"1\" applyFill=\"1\" applyBorder=\"1\" applyAlignment=\"1\">\
             <alignment horizontal=\"{align}\"{more}{whole}/></xf>"
        );
    }
}

/// Returns the code of a format. `zoned`: its times are points in time. `fine`: they are shown with milliseconds.
pub(super) fn code(show: &DisplayFormat, zoned: bool, fine: bool) -> String {
    let number = |decimals: u8| match decimals {
        0 => "#,##0".to_owned(),
        some => format!("#,##0.{}", "0".repeat(usize::from(some))),
    };
    match show {
        DisplayFormat::Plain | DisplayFormat::Link => String::new(),
        DisplayFormat::Duration => format!("[h]:mm:ss{}", if fine { ".000" } else { "" }),
        DisplayFormat::Text => "@".to_owned(),
        DisplayFormat::Number { decimals } => number(*decimals),
        DisplayFormat::Percent { decimals } => number(*decimals) + "%",
        DisplayFormat::Currency { unit, before: true, decimals } => {
            let number = number(*decimals);
            format!("\"{unit}\"{number};-\"{unit}\"{number}")
        }
        DisplayFormat::Currency { unit, before: false, decimals } => format!("{}\\ \"{unit}\"", number(*decimals)),
        DisplayFormat::Date => "yyyy\\-mm\\-dd".to_owned(),
        DisplayFormat::Datetime => {
            let (fraction, zone) = (if fine { ".000" } else { "" }, if zoned { "\"Z\"" } else { "" });
            format!("yyyy\\-mm\\-dd\\ hh:mm:ss{fraction}{zone}")
        }
    }
}

/// Fonts, fills and lines, in the order in which [`CellStyle::write`] counts them.
const PALETTE: &str = "<fonts count=\"8\">\
    <font><sz val=\"11\"/><color rgb=\"FF1F2937\"/><name val=\"Calibri\"/><family val=\"2\"/></font>\
    <font><b/><sz val=\"11\"/><color rgb=\"FFFFFFFF\"/><name val=\"Calibri\"/><family val=\"2\"/></font>\
    <font><b/><sz val=\"11\"/><color rgb=\"FF12304F\"/><name val=\"Calibri\"/><family val=\"2\"/></font>\
    <font><b/><sz val=\"18\"/><color rgb=\"FF12304F\"/><name val=\"Calibri\"/><family val=\"2\"/></font>\
    <font><sz val=\"11\"/><color rgb=\"FF6B7280\"/><name val=\"Calibri\"/><family val=\"2\"/></font>\
    <font><i/><sz val=\"11\"/><color rgb=\"FF6B7280\"/><name val=\"Calibri\"/><family val=\"2\"/></font>\
    <font><b/><sz val=\"11\"/><color rgb=\"FFB91C1C\"/><name val=\"Calibri\"/><family val=\"2\"/></font>\
    <font><u/><sz val=\"11\"/><color rgb=\"FF1F5FBF\"/><name val=\"Calibri\"/><family val=\"2\"/></font>\
    </fonts><fills count=\"4\">\
    <fill><patternFill patternType=\"none\"/></fill><fill><patternFill patternType=\"gray125\"/></fill>\
    <fill><patternFill patternType=\"solid\"><fgColor rgb=\"FF12304F\"/><bgColor indexed=\"64\"/></patternFill></fill>\
    <fill><patternFill patternType=\"solid\"><fgColor rgb=\"FFEEF2F7\"/><bgColor indexed=\"64\"/></patternFill></fill>\
    </fills><borders count=\"3\">\
    <border><left/><right/><top/><bottom/><diagonal/></border>\
    <border><left/><right/><top/><bottom style=\"thin\"><color rgb=\"FFE5E7EB\"/></bottom><diagonal/></border>\
    <border><left/><right/><top style=\"thin\"><color rgb=\"FF12304F\"/></top>\
    <bottom style=\"thin\"><color rgb=\"FF12304F\"/></bottom><diagonal/></border>\
    </borders><cellStyleXfs count=\"1\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\"/></cellStyleXfs>";
