//! A small reader of workbooks, which shares nothing with the writer.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::collections::BTreeMap;
use std::io::Read as _;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// A workbook, its parts inflated.
#[derive(Debug)]
pub struct Workbook {
    pub parts: BTreeMap<String, String>,
}

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Empty,
    /// As it is written.
    Number(String),
    Text(String),
    Boolean(bool),
    Formula(String, String),
}

impl Workbook {
    /// Reads an archive by its directory, and checks each entry's size and checksum.
    pub fn read(bytes: &[u8]) -> Self {
        let number = |at: usize, width: usize| {
            bytes[at..at + width].iter().rev().fold(0_usize, |value, byte| value << 8 | usize::from(*byte))
        };
        let end = bytes.len() - 22;
        assert_eq!(number(end, 4), 0x0605_4b50, "the archive ends with its directory's end");
        let (count, mut at) = (number(end + 10, 2), number(end + 16, 4));
        assert_eq!(at + number(end + 12, 4), end, "nothing stands between directory and end");
        let mut parts = BTreeMap::new();
        for _ in 0..count {
            let (crc, compressed, size) = (number(at + 16, 4), number(at + 20, 4), number(at + 24, 4));
            let (name, offset) = (number(at + 28, 2), number(at + 42, 4));
            let title = String::from_utf8(bytes[at + 46..at + 46 + name].to_vec()).unwrap();
            assert_eq!(number(offset, 4), 0x0403_4b50, "{title} starts where the directory says");
            let data = offset + 30 + number(offset + 26, 2) + number(offset + 28, 2);
            let mut text = String::new();
            flate2::read::DeflateDecoder::new(&bytes[data..data + compressed]).read_to_string(&mut text).unwrap();
            assert_eq!((text.len(), crc32fast::hash(text.as_bytes()) as usize), (size, crc), "{title} is whole");
            let descriptor = data + compressed;
            assert_eq!((number(descriptor, 4), number(descriptor + 4, 4)), (0x0807_4b50, crc), "{title}");
            assert!(parts.insert(title, text).is_none(), "a part stands twice");
            at += 46 + name + number(at + 30, 2) + number(at + 32, 2);
        }
        Self { parts }
    }

    /// Returns the names of the sheets.
    pub fn sheet_names(&self) -> Vec<String> {
        elements(&self.parts["xl/workbook.xml"], "sheet")
            .iter()
            .map(|sheet| attribute(sheet, "name").unwrap())
            .collect()
    }

    /// Returns the cells of a sheet (from 1), row by row; gaps are empty.
    pub fn sheet(&self, number: usize) -> Vec<Vec<Cell>> {
        self.cells(number).into_iter().map(|row| row.into_iter().map(|(cell, _)| cell).collect()).collect()
    }

    /// Returns the text of a cell, whatever it holds.
    pub fn text(&self, number: usize, row: usize, column: usize) -> String {
        match self.sheet(number).get(row).and_then(|row| row.get(column)).unwrap_or(&Cell::Empty) {
            Cell::Empty => String::new(),
            Cell::Number(text) | Cell::Text(text) | Cell::Formula(_, text) => text.clone(),
            Cell::Boolean(truth) => truth.to_string(),
        }
    }

    /// Returns the code of a cell's number format.
    pub fn format(&self, number: usize, row: usize, column: usize) -> String {
        let styles = &self.parts["xl/styles.xml"];
        let looks = styles.split_once("<cellXfs").unwrap().1;
        let look = self.cells(number)[row][column].1;
        let id = attribute(&elements(&format!("<cellXfs{looks}"), "xf")[look], "numFmtId").unwrap();
        let format = elements(styles, "numFmt").into_iter().find(|format| attribute(format, "numFmtId").unwrap() == id);
        format.map_or_else(String::new, |format| attribute(&format, "formatCode").unwrap())
    }

    fn cells(&self, number: usize) -> Vec<Vec<(Cell, usize)>> {
        let shared = self.shared();
        let mut reader = Reader::from_str(&self.parts[&format!("xl/worksheets/sheet{number}.xml")]);
        let (mut rows, mut reading) = (Vec::new(), Reading::default());
        loop {
            match reader.read_event().unwrap() {
                Event::Start(tag) => reading.start(&tag, &mut rows),
                Event::Empty(tag) if tag.name().as_ref() == b"c" => {
                    reading.start(&tag, &mut rows);
                    reading.place(&mut rows, &shared);
                }
                Event::Text(text) => reading.text.push_str(&text.decode().unwrap()),
                Event::GeneralRef(name) => reading.text.push_str(entity(&name.decode().unwrap())),
                Event::End(tag) => reading.end(tag.name().as_ref(), &mut rows, &shared),
                Event::Eof => return rows,
                _ => {}
            }
        }
    }

    fn shared(&self) -> Vec<String> {
        let mut reader = Reader::from_str(&self.parts["xl/sharedStrings.xml"]);
        let (mut texts, mut text) = (Vec::new(), String::new());
        loop {
            match reader.read_event().unwrap() {
                Event::Start(tag) if tag.name().as_ref() == b"si" => text.clear(),
                Event::Text(part) => text.push_str(&part.decode().unwrap()),
                Event::GeneralRef(name) => text.push_str(entity(&name.decode().unwrap())),
                Event::End(tag) if tag.name().as_ref() == b"si" => texts.push(unescaped(&text)),
                Event::Eof => return texts,
                _ => {}
            }
        }
    }
}

/// A cell on its way.
#[derive(Debug, Default)]
struct Reading {
    text: String,
    kind: String,
    place: String,
    look: usize,
    value: String,
    formula: Option<String>,
}

impl Reading {
    fn start(&mut self, tag: &BytesStart<'_>, rows: &mut Vec<Vec<(Cell, usize)>>) {
        self.text.clear();
        match tag.name().as_ref() {
            b"row" => {
                let number: usize = attribute(tag, "r").unwrap().parse().unwrap();
                assert!(number > rows.len(), "rows go up");
                rows.resize(number, Vec::new());
            }
            b"c" => {
                let look = attribute(tag, "s").map_or(0, |look| look.parse().unwrap());
                let kind = attribute(tag, "t").unwrap_or_default();
                *self = Self { kind, place: attribute(tag, "r").unwrap(), look, ..Self::default() };
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: &[u8], rows: &mut [Vec<(Cell, usize)>], shared: &[String]) {
        match tag {
            b"v" | b"t" => self.value = std::mem::take(&mut self.text),
            b"f" => self.formula = Some(std::mem::take(&mut self.text)),
            b"c" => self.place(rows, shared),
            _ => {}
        }
    }

    fn place(&mut self, rows: &mut [Vec<(Cell, usize)>], shared: &[String]) {
        let Self { kind, place, look, value, formula, .. } = std::mem::take(self);
        let digits = place.find(|char: char| char.is_ascii_digit()).unwrap();
        let column = place[..digits].bytes().fold(0, |column, letter| column * 26 + usize::from(letter - b'A') + 1) - 1;
        assert_eq!(place[digits..].parse::<usize>().unwrap(), rows.len(), "{place} stands in its row");
        let cell = match (formula, kind.as_str()) {
            (Some(formula), _) => Cell::Formula(formula, value),
            (None, "s") => Cell::Text(shared[value.parse::<usize>().unwrap()].clone()),
            (None, "inlineStr") => Cell::Text(unescaped(&value)),
            (None, "b") => Cell::Boolean(value == "1"),
            (None, _) if value.is_empty() => Cell::Empty,
            (None, _) => Cell::Number(value),
        };
        let row = rows.last_mut().unwrap();
        assert!(row.len() <= column, "{place} stands behind the cell before it");
        row.resize(column, (Cell::Empty, 0));
        row.push((cell, look));
    }
}

fn elements<'a>(part: &'a str, name: &str) -> Vec<BytesStart<'a>> {
    let mut reader = Reader::from_str(part);
    let mut found = Vec::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) if tag.name().as_ref() == name.as_bytes() => found.push(tag),
            Ok(Event::Eof) | Err(_) => return found,
            Ok(_) => {}
        }
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let value = tag.try_get_attribute(name).unwrap()?.value;
    let text = String::from_utf8(value.into_owned()).unwrap();
    Some(text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}

fn entity(name: &str) -> &'static str {
    match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        other => unreachable!("{other} is no entity we write"),
    }
}

/// Reads `_xHHHH_` as spreadsheets do.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("_x") {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 2..at + 6).and_then(|code| u32::from_str_radix(code, 16).ok());
        match code.filter(|_| rest.get(at + 6..at + 7) == Some("_")).and_then(char::from_u32) {
            Some(char) => {
                out.push(char);
                rest = &rest[at + 7..];
            }
            None => {
                out.push('_');
                rest = &rest[at + 1..];
            }
        }
    }
    out + rest
}
