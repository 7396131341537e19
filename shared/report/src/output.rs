//! How the text files of a report are written, as far as its definition has a say.

use std::str::FromStr as _;

use serde::Deserialize;
use toml::Spanned;

use super::parse::{ParseError, ParseErrors, one_of};
use model::artifact::Format;
use model::job::UnknownName;

/// What happens when a report has more rows, or a file more bytes, than may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLimit {
    /// The job fails and there is no file.
    #[default]
    Fail,
    /// The file ends in good order at the limit, and everything that tells of it says that it is not complete.
    Truncate,
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

/// `[csv]` as it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CsvFile {
    separator: Option<Spanned<String>>,
    header: Option<bool>,
    bom: Option<bool>,
    decimal_comma: Option<Spanned<bool>>,
    formulas: Option<Spanned<String>>,
    compression: Option<Spanned<String>>,
}

/// `[jsonl]` as it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JsonlFile {
    json: Option<Spanned<String>>,
    compression: Option<Spanned<String>>,
}

/// Checks `[csv]`.
pub(super) fn csv(file: Option<Spanned<CsvFile>>, formats: &[Format], faults: &mut ParseErrors) -> CsvOptions {
    let default = CsvOptions::default();
    let Some(file) = file else { return default };
    faults.keep(offered(&file, Format::Csv, formats));
    let file = file.into_inner();
    let read = faults.keep(file.separator.as_ref().map(separator).transpose());
    let (is_known, separator) = (read.is_some() || file.separator.is_none(), read.unwrap_or(default.separator));
    let decimal_comma = file.decimal_comma.as_ref().is_some_and(|wanted| *wanted.get_ref());
    if let Some(wanted) = file.decimal_comma.filter(|_| decimal_comma && is_known && separator == b',') {
        let message = "`decimal_comma` needs another separator between fields, for example `separator = \";\"`";
        faults.keep::<()>(Err(ParseError::new(wanted.span(), message)));
    }
    let formulas = file.formulas.as_ref().map(|word| one_of("formulas", word, &FormulaText::ALL));
    CsvOptions {
        separator,
        header: file.header.unwrap_or(default.header),
        bom: file.bom.unwrap_or(default.bom),
        decimal_comma,
        formulas: faults.keep(formulas.transpose()).unwrap_or_default(),
        compression: faults.keep(compression(file.compression.as_ref())),
    }
}

/// Checks `[jsonl]`.
pub(super) fn jsonl(file: Option<Spanned<JsonlFile>>, formats: &[Format], faults: &mut ParseErrors) -> JsonlOptions {
    let Some(file) = file else { return JsonlOptions::default() };
    faults.keep(offered(&file, Format::Jsonl, formats));
    let file = file.into_inner();
    let json = file.json.as_ref().map(|word| one_of("json", word, &JsonText::ALL));
    JsonlOptions {
        json: faults.keep(json.transpose()).unwrap_or_default(),
        compression: faults.keep(compression(file.compression.as_ref())),
    }
}

/// Options of a format that is not made would do nothing, which nobody would notice.
fn offered<T>(options: &Spanned<T>, format: Format, formats: &[Format]) -> Result<(), ParseError> {
    if formats.contains(&format) {
        return Ok(());
    }
    let message = format!("[{format}] does nothing: `formats` does not name `{format}`");
    Err(ParseError::new(options.span(), message))
}

fn separator(value: &Spanned<String>) -> Result<u8, ParseError> {
    match value.get_ref().as_bytes() {
        [byte @ (b',' | b';' | b'|' | b'\t')] => Ok(*byte),
        _ => {
            let message = "`separator` must be one of `,`, `;`, `|` and a tab, written \"\\t\"";
            Err(ParseError::new(value.span(), message))
        }
    }
}

fn compression(value: Option<&Spanned<String>>) -> Result<Compression, ParseError> {
    let Some(value) = value else { return Ok(Compression::None) };
    Compression::from_str(value.get_ref()).map_err(|error| {
        let known = Compression::ALL.map(|(name, _)| format!("`{name}`")).join(", ");
        ParseError::new(value.span(), format!("{error}; supported: {known}"))
    })
}
