//! How the cells of a column look, and what stands in each of them before its value.

use report::{ColumnAlign, ColumnTotal};

use super::style::{CellRole, CellStyle, Styles, code};
use crate::display_format::DisplayFormat;
use crate::presentation::Presentation;

/// The looks of a column.
#[derive(Debug, Clone)]
pub(super) struct Looks {
    /// Numbers of the looks of its heading and of its total: as a number, as a time with milliseconds, as text.
    pub(super) head: usize,
    pub(super) total: usize,
    pub(super) fine_total: usize,
    pub(super) text_total: usize,
    /// What stands between the row's number and a value, by the kind of the cell.
    pub(super) empty: Vec<u8>,
    pub(super) number: Vec<u8>,
    pub(super) fine_time: Vec<u8>,
    pub(super) boolean: Vec<u8>,
    text: TextPieces,
    link: TextPieces,
    as_text: TextPieces,
}

/// What the text of a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextKind {
    /// The value itself.
    Own,
    /// The value itself, and an address.
    Link,
    /// It stands for a number or a time that a spreadsheet does not have.
    Instead,
}

/// What stands before a text.
#[derive(Debug, Clone)]
pub(super) struct TextPieces {
    pub(super) shared: Vec<u8>,
    pub(super) inline: Vec<u8>,
}

impl TextPieces {
    fn of(look: usize) -> Self {
        let piece = |rest: &str| format!("\" s=\"{look}\"{rest}").into_bytes();
        Self { shared: piece(" t=\"s\"><v>"), inline: piece(" t=\"inlineStr\"><is><t") }
    }
}

impl Looks {
    /// Finds the looks of a column. `zoned`: its times are points in time.
    pub(super) fn of(presentation: &Presentation, zoned: bool, styles: &mut Styles) -> Self {
        let show = &presentation.show;
        let (align, apart) = (presentation.align, presentation.align != ColumnAlign::Left);
        // What stands as text in a column of numbers must not look like another number: it is shown whole, and on the other side.
        let text_side = if apart && !presentation.aligned { ColumnAlign::Left } else { align };
        let mut look = |role, align, format: String, whole| styles.number(CellStyle { role, align, format, whole });
        let body = look(CellRole::Body, align, code(show, zoned, false), false);
        let fine_body = look(CellRole::Body, align, code(show, zoned, true), false);
        let text_body = look(CellRole::Body, align, code(show, zoned, false), apart);
        let as_text_body = look(CellRole::Body, text_side, code(show, zoned, false), true);
        let link = look(CellRole::Link, align, String::new(), apart);
        let head = look(CellRole::Head, align, String::new(), apart);
        let count = DisplayFormat::Number { decimals: 0 };
        let of_total = if presentation.total == Some(ColumnTotal::Count) { &count } else { show };
        let total = look(CellRole::Total, align, code(of_total, zoned, false), false);
        let fine_total = look(CellRole::Total, align, code(of_total, zoned, true), false);
        let text_total = look(CellRole::Total, text_side, code(of_total, zoned, false), true);
        let piece = |look: usize, rest: &str| format!("\" s=\"{look}\"{rest}").into_bytes();
        Self {
            head,
            total,
            fine_total,
            text_total,
            empty: piece(body, "/>"),
            number: piece(body, "><v>"),
            fine_time: piece(fine_body, "><v>"),
            boolean: piece(body, " t=\"b\"><v>"),
            text: TextPieces::of(text_body),
            link: TextPieces::of(link),
            as_text: TextPieces::of(as_text_body),
        }
    }

    /// Returns what stands before a text.
    pub(super) fn text(&self, kind: TextKind) -> &TextPieces {
        match kind {
            TextKind::Own => &self.text,
            TextKind::Link => &self.link,
            TextKind::Instead => &self.as_text,
        }
    }
}
