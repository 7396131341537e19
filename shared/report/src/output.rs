//! How the text files of a report are written, as far as its definition has a say.

use std::str::FromStr as _;

use super::table_reader::{TableKeys, TableReader, quoted};
use model::artifact::Format;
use model::job::UnknownName;

/// What happens when a report has more rows, or a file more bytes, than may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnLimit {
    /// The job fails and there is no file.
    #[default]
    Fail,
    /// The file ends in good order at the limit, and everything that tells of it says that it is not complete.
    Truncate,
}

impl OnLimit {
    pub(super) const ALL: [(&'static str, Self); 2] = [("fail", Self::Fail), ("truncate", Self::Truncate)];
}

/// How a text file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952; the file's name ends in `.gz`.
    Gzip,
    /// RFC 8878; the file's name ends in `.zst`.
    Zstd,
}

impl Compression {
    const ALL: [(&'static str, Self); 3] = [("none", Self::None), ("gzip", Self::Gzip), ("zstd", Self::Zstd)];

    /// Returns what the file's name ends in, its dot included; empty without compression.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

impl std::str::FromStr for Compression {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, compression)| compression).ok_or_else(|| UnknownName::new("compression", name))
    }
}

/// What becomes of text in CSV that a spreadsheet would run as a formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FormulaText {
    /// It gets an apostrophe before it.
    #[default]
    Escape,
    /// It stays as it is, for programs that read the file.
    Keep,
}

impl FormulaText {
    const ALL: [(&'static str, Self); 2] = [("escape", Self::Escape), ("keep", Self::Keep)];
}

/// `[csv]`: what differs between the programs that open CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvOptions {
    /// Stands between fields: `,`, `;`, `|` or a tab.
    pub separator: u8,
    /// Whether the first line holds the columns' names.
    pub header: bool,
    /// Whether the file starts with a byte order mark, by which Excel knows UTF-8.
    pub bom: bool,
    /// Whether numbers have a comma before their decimals; never together with `,` between fields.
    pub decimal_comma: bool,
    /// What becomes of text that a spreadsheet would run.
    pub formulas: FormulaText,
    /// How the file is compressed.
    pub compression: Compression,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            separator: b',',
            header: true,
            bom: false,
            decimal_comma: false,
            formulas: FormulaText::Escape,
            compression: Compression::None,
        }
    }
}

/// How JSON Lines hold the JSON of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JsonText {
    /// As a string.
    #[default]
    Text,
    /// As the value that it is.
    Nested,
}

impl JsonText {
    const ALL: [(&'static str, Self); 2] = [("text", Self::Text), ("nested", Self::Nested)];
}

/// `[jsonl]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JsonlOptions {
    /// How JSON within a row stands.
    pub json: JsonText,
    /// How the file is compressed.
    pub compression: Compression,
}

const CSV_KEYS: TableKeys =
    TableKeys { needed: &[], optional: &["separator", "header", "bom", "decimal_comma", "formulas", "compression"] };
const JSONL_KEYS: TableKeys = TableKeys { needed: &[], optional: &["json", "compression"] };

/// Reads `[csv]`.
pub(super) fn csv(file: &mut TableReader<'_>, formats: &[Format]) -> CsvOptions {
    check_is_made(file, Format::Csv, formats);
    let default = CsvOptions::default();
    let options = file.table("csv", &CSV_KEYS, |table| {
        let separator = table.text("separator", separator).unwrap_or(default.separator);
        let decimal_comma = table.truth("decimal_comma").unwrap_or(default.decimal_comma);
        if decimal_comma && separator == b',' && table.is_sure(&["separator"]) {
            let message = "`decimal_comma` needs another separator between fields, for example `separator = \";\"`";
            table.fault("decimal_comma", message);
        }
        CsvOptions {
            separator,
            header: table.truth("header").unwrap_or(default.header),
            bom: table.truth("bom").unwrap_or(default.bom),
            decimal_comma,
            formulas: table.word("formulas", &FormulaText::ALL).unwrap_or_default(),
            compression: table.text("compression", compression).unwrap_or_default(),
        }
    });
    options.unwrap_or(default)
}

/// Reads `[jsonl]`.
pub(super) fn jsonl(file: &mut TableReader<'_>, formats: &[Format]) -> JsonlOptions {
    check_is_made(file, Format::Jsonl, formats);
    let options = file.table("jsonl", &JSONL_KEYS, |table| JsonlOptions {
        json: table.word("json", &JsonText::ALL).unwrap_or_default(),
        compression: table.text("compression", compression).unwrap_or_default(),
    });
    options.unwrap_or_default()
}

/// Options of a format that is not made would do nothing, which nobody would notice.
fn check_is_made(file: &mut TableReader<'_>, format: Format, formats: &[Format]) {
    let key = format.as_str();
    if file.value(key).is_some() && !formats.contains(&format) && file.is_sure(&["formats"]) {
        file.fault(key, format!("[{key}] does nothing: `formats` does not name `{key}`"));
    }
}

fn separator(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte @ (b',' | b';' | b'|' | b'\t')] => Ok(*byte),
        _ => Err("`separator` must be one of `,`, `;`, `|` and a tab, written \"\\t\"".to_owned()),
    }
}

fn compression(text: &str) -> Result<Compression, String> {
    Compression::from_str(text)
        .map_err(|error| format!("{error}; supported: {}", quoted(Compression::ALL.iter().map(|(name, _)| *name))))
}
