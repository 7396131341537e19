//! The `[[columns]]` tables of a catalogue file are checked.

use super::parse::zone;
use super::table_reader::{TableKeys, TableReader};
use super::{ColumnAlign, ColumnFormat, ColumnSpec, ColumnTotal, ColumnType, DecimalDigits};

/// Widest column of a spreadsheet, in characters.
const MAX_WIDTH: i64 = 255;
/// Decimals of an amount that names none.
const CENTS: u8 = 2;
/// Longest code or symbol of a currency, in characters.
const MAX_UNIT: usize = 5;

const KEYS: TableKeys =
    TableKeys { needed: &["name"], optional: &["type", "title", "format", "total", "width", "time_zone", "align"] };

/// Reads the presentation of columns, each named once.
pub(super) fn parse_columns(file: &mut TableReader<'_>) -> Vec<ColumnSpec> {
    let mut names: Vec<String> = Vec::new();
    file.tables("columns", &KEYS, |table| {
        let spec = parse_column(table);
        if names.contains(&spec.name) && table.is_sure(&["name"]) {
            table.fault("name", format!("[[columns]] names `{}` twice", spec.name));
        }
        names.push(spec.name.clone());
        spec
    })
}

fn parse_column(table: &mut TableReader<'_>) -> ColumnSpec {
    let format = table.text("format", format);
    let total = table.word("total", &ColumnTotal::ALL.map(|total| (total.as_str(), total)));
    if let (Some(total @ (ColumnTotal::Sum | ColumnTotal::Average)), Some(format)) = (total, &format)
        && !format.has_sum()
    {
        let message =
            format!("`{}` is of numbers and durations only; a column of another format has `count`", total.as_str());
        table.fault("total", message);
    }
    let kind = table.text("type", kind);
    ColumnSpec {
        name: table.text("name", name).unwrap_or_default(),
        kind: kind.map(|(kind, _)| kind),
        digits: kind.and_then(|(_, digits)| digits),
        title: table.plain_text("title").filter(|title| !title.is_empty()),
        format,
        total,
        width: table.whole("width", 1..=MAX_WIDTH).and_then(|width| u16::try_from(width).ok()),
        time_zone: table.text("time_zone", zone),
        align: table.word("align", &ColumnAlign::ALL.map(|align| (align.as_str(), align))),
    }
}

fn name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("a column's `name` must not be empty".to_owned());
    }
    Ok(text.to_owned())
}

fn kind(text: &str) -> Result<(ColumnType, Option<DecimalDigits>), String> {
    if let Some(kind) = ColumnType::ALL.into_iter().find(|kind| kind.as_str() == text) {
        return Ok((kind, None));
    }
    if let Some(digits) = read_digits(text) {
        return Ok((ColumnType::Decimal, Some(digits)));
    }
    let known = ColumnType::ALL.map(|kind| format!("`{}`", kind.as_str())).join(", ");
    let most = DecimalDigits::MOST;
    Err(format!(
        "`{text}` is not a type of a column; supported: {known}, and `decimal(<digits>, <digits behind the point>)` with 1 to \
         {most} digits"
    ))
}

fn read_digits(text: &str) -> Option<DecimalDigits> {
    let (precision, scale) = text.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
    let number =
        |text: &str| text.trim().parse::<u8>().ok().filter(|_| text.trim().bytes().all(|byte| byte.is_ascii_digit()));
    let digits = DecimalDigits { precision: number(precision)?, scale: number(scale)? };
    let fits = (1..=DecimalDigits::MOST).contains(&digits.precision) && digits.scale <= digits.precision;
    fits.then_some(digits)
}

fn format(text: &str) -> Result<ColumnFormat, String> {
    read_format(text).ok_or_else(|| {
        let most = ColumnFormat::MOST_DECIMALS;
        format!(
            "`{text}` is not a format of a column; supported: `text`, `number:<decimals>`, `percent:<decimals>`, \
             `currency:<code or symbol>`, `currency:<code or symbol>:<decimals>`, `date`, `datetime`, `duration`, `link`, with 0 to \
             {most} decimals and a code or symbol of at most {MAX_UNIT} characters"
        )
    })
}

fn read_format(text: &str) -> Option<ColumnFormat> {
    let (kind, rest) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
    match (kind, rest) {
        ("text", None) => Some(ColumnFormat::Text),
        ("date", None) => Some(ColumnFormat::Date),
        ("datetime", None) => Some(ColumnFormat::Datetime),
        ("duration", None) => Some(ColumnFormat::Duration),
        ("link", None) => Some(ColumnFormat::Link),
        ("number", Some(rest)) => decimals(rest).map(|decimals| ColumnFormat::Number { decimals }),
        ("percent", Some(rest)) => decimals(rest).map(|decimals| ColumnFormat::Percent { decimals }),
        ("currency", Some(rest)) => currency(rest),
        _ => None,
    }
}

fn currency(text: &str) -> Option<ColumnFormat> {
    let (unit, decimals) = match text.split_once(':') {
        Some((unit, rest)) => (unit, decimals(rest)?),
        None => (text, CENTS),
    };
    // What could be taken for a part of the number, or for syntax of a spreadsheet's format, is no unit.
    let good = |char: char| {
        !char.is_numeric() && !char.is_control() && !char.is_whitespace() && !" \"\\.,-+;[]%".contains(char)
    };
    let length = unit.chars().count();
    let is_unit = (1..=MAX_UNIT).contains(&length) && unit.chars().all(good);
    is_unit.then(|| ColumnFormat::Currency { unit: unit.to_owned(), decimals })
}

fn decimals(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|decimals| plain && *decimals <= ColumnFormat::MOST_DECIMALS)
}
