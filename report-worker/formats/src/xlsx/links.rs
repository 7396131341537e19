//! Cells of a sheet that lead to the web. Their addresses stand behind its rows and in a part of their own, so they are kept until
//! then: as many as a sheet may have, and not more than a few megabytes. The cells of others are text.

use std::io::Write as _;

use super::package::{OFFICE, PACKAGE, xml};

/// Most links of a sheet that spreadsheets take.
const MOST: usize = 65_530;
/// Most bytes of addresses that are kept.
const MOST_BYTES: usize = 2 << 20;

/// The links of a sheet.
#[derive(Debug, Clone, Default)]
pub(super) struct Links {
    /// Cell and address.
    links: Vec<(Box<str>, Box<str>)>,
    bytes: usize,
}

impl Links {
    /// Adds a link. Returns false when there are too many.
    pub(super) fn add(&mut self, letters: &str, row: &[u8], address: String) -> bool {
        if self.links.len() >= MOST || self.bytes + address.len() > MOST_BYTES {
            return false;
        }
        self.bytes += address.len();
        let cell = format!("{letters}{}", String::from_utf8_lossy(row));
        self.links.push((cell.into(), address.into()));
        true
    }

    /// Writes what a sheet says of its links.
    pub(super) fn write(&self, sheet: &mut Vec<u8>) {
        if self.links.is_empty() {
            return;
        }
        // Writing into memory cannot fail.
        let _ = write!(sheet, "<hyperlinks xmlns:r=\"{OFFICE}/relationships\">");
        for (number, (cell, _)) in (1..).zip(&self.links) {
            let _ = write!(sheet, "<hyperlink ref=\"{cell}\" r:id=\"rId{number}\"/>");
        }
        sheet.extend_from_slice(b"</hyperlinks>");
    }

    /// Returns the part with the addresses of a sheet, if it has any.
    pub(super) fn part(&self) -> Option<Vec<u8>> {
        if self.links.is_empty() {
            return None;
        }
        let mut part = xml();
        let _ = write!(part, "<Relationships xmlns=\"{PACKAGE}/relationships\">");
        for (number, (_, address)) in (1..).zip(&self.links) {
            // An address has no other character that XML would take for its own.
            let address = address.replace('&', "&amp;");
            let _ = write!(
                part,
                "<Relationship Id=\"rId{number}\" Type=\"{OFFICE}/relationships/hyperlink\" Target=\"{address}\" \
                 TargetMode=\"External\"/>"
            );
        }
        part.extend_from_slice(b"</Relationships>");
        Some(part)
    }
}
