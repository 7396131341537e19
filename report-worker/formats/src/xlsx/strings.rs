//! Texts that come again and again, written once: a table of bounded size. What does not fit stands in its cell.

use std::collections::HashMap;

use super::text::{has_outer_space, write_text};

/// Longest text worth a place, in bytes.
const LONGEST: usize = 100;
/// Most texts of the table.
const MOST: usize = 32_768;
/// Most bytes of the table.
const MOST_BYTES: usize = 2 << 20;
/// After so many texts it is seen whether those of a column come again.
const TRIAL: u32 = 256;

/// The table.
#[derive(Debug, Clone, Default)]
pub(super) struct Strings {
    places: HashMap<Box<str>, u32>,
    /// `<si>…</si>` of each text, in order.
    xml: Vec<u8>,
}

/// Whether a column's texts are looked up.
#[derive(Debug, Clone, Default)]
pub(super) struct StringSharing {
    looked_up: u32,
    missed: u32,
    given_up: bool,
}

impl Strings {
    /// Returns the place of a text. `None`: it is to stand in its cell.
    pub(super) fn place(&mut self, text: &str, sharing: &mut StringSharing) -> Option<u32> {
        if sharing.given_up || text.len() > LONGEST {
            return None;
        }
        sharing.looked_up = sharing.looked_up.saturating_add(1);
        if let Some(place) = self.places.get(text) {
            return Some(*place);
        }
        sharing.missed += 1;
        // Most were new: looking up costs more than it saves.
        sharing.given_up = sharing.looked_up >= TRIAL && sharing.missed > sharing.looked_up / 2;
        if self.places.len() >= MOST || self.xml.len() + text.len() > MOST_BYTES {
            return None;
        }
        let place = u32::try_from(self.places.len()).unwrap_or(0);
        self.places.insert(text.into(), place);
        let space = if has_outer_space(text) { " xml:space=\"preserve\"" } else { "" };
        self.xml.extend_from_slice(b"<si><t");
        self.xml.extend_from_slice(space.as_bytes());
        self.xml.push(b'>');
        write_text(&mut self.xml, text);
        self.xml.extend_from_slice(b"</t></si>");
        Some(place)
    }

    /// Returns the part of the workbook that holds the table.
    pub(super) fn part(&self) -> Vec<u8> {
        let count = self.places.len();
        let mut part = super::package::xml();
        part.extend_from_slice(format!("<sst xmlns=\"{}\" uniqueCount=\"{count}\">", super::package::MAIN).as_bytes());
        part.extend_from_slice(&self.xml);
        part.extend_from_slice(b"</sst>");
        part
    }
}
