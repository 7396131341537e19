//! The `[[columns]]` tables of a catalogue file are checked.

use toml::Spanned;

use super::file::ColumnFile;
use super::parse::{ParseError, whole};
use super::{ColumnAlign, ColumnFormat, ColumnSpec, ColumnTotal};

/// Widest column of a spreadsheet, in characters.
const MAX_WIDTH: i64 = 255;
/// Decimals of an amount that names none.
const CENTS: u8 = 2;
/// Longest code or symbol of a currency, in characters.
const MAX_UNIT: usize = 5;

/// Checks the presentation of columns, each named once.
pub(super) fn parse_columns(columns: Vec<Spanned<ColumnFile>>) -> Result<Vec<ColumnSpec>, ParseError> {
    let mut specs: Vec<ColumnSpec> = Vec::with_capacity(columns.len());
    for column in columns {
        let place = column.span();
        let spec = parse_column(column.into_inner())?;
        if specs.iter().any(|other| other.name == spec.name) {
            return Err(ParseError::new(place, format!("[[columns]] names `{}` twice", spec.name)));
        }
        specs.push(spec);
    }
    Ok(specs)
}

fn parse_column(column: ColumnFile) -> Result<ColumnSpec, ParseError> {
    if column.name.get_ref().trim().is_empty() {
        return Err(ParseError::new(column.name.span(), "a column's `name` must not be empty"));
    }
    let format = column.format.as_ref().map(format).transpose()?;
    let total = column.total.as_ref().map(total).transpose()?;
    if let (Some(total @ (ColumnTotal::Sum | ColumnTotal::Average)), Some(format), Some(place)) =
        (total, &format, &column.total)
        && !format.is_number()
    {
        let message = format!("`{}` is of numbers only; a column of another format has `count`", total.as_str());
        return Err(ParseError::new(place.span(), message));
    }
    let width = whole("width", column.width.as_ref(), 1..=MAX_WIDTH)?;
    Ok(ColumnSpec {
        name: column.name.into_inner(),
        title: column.title.map(|title| title.trim().to_owned()).filter(|title| !title.is_empty()),
        format,
        total,
        width: width.and_then(|width| u16::try_from(width).ok()),
        align: column.align.as_ref().map(align).transpose()?,
    })
}

fn format(value: &Spanned<String>) -> Result<ColumnFormat, ParseError> {
    let text = value.get_ref();
    read_format(text).ok_or_else(|| {
        let most = ColumnFormat::MOST_DECIMALS;
        let message = format!(
            "`{text}` is not a format of a column; supported: `text`, `number:<decimals>`, `percent:<decimals>`, \
             `currency:<code or symbol>`, `currency:<code or symbol>:<decimals>`, `date`, `datetime`, with 0 to {most} \
             decimals and a code or symbol of at most {MAX_UNIT} characters"
        );
        ParseError::new(value.span(), message)
    })
}

fn read_format(text: &str) -> Option<ColumnFormat> {
    let (kind, rest) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
    match (kind, rest) {
        ("text", None) => Some(ColumnFormat::Text),
        ("date", None) => Some(ColumnFormat::Date),
        ("datetime", None) => Some(ColumnFormat::Datetime),
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
    let good = |char: char| !char.is_numeric() && !char.is_control() && !" \"\\.,-+;[]%".contains(char);
    let length = unit.chars().count();
    let is_unit = (1..=MAX_UNIT).contains(&length) && unit.chars().all(good);
    is_unit.then(|| ColumnFormat::Currency { unit: unit.to_owned(), decimals })
}

fn decimals(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|decimals| plain && *decimals <= ColumnFormat::MOST_DECIMALS)
}

fn total(value: &Spanned<String>) -> Result<ColumnTotal, ParseError> {
    let text = value.get_ref();
    ColumnTotal::ALL.into_iter().find(|total| total.as_str() == text).ok_or_else(|| {
        let known = ColumnTotal::ALL.map(|total| format!("`{}`", total.as_str())).join(", ");
        ParseError::new(value.span(), format!("`{text}` is not a total; supported: {known}"))
    })
}

fn align(value: &Spanned<String>) -> Result<ColumnAlign, ParseError> {
    let text = value.get_ref();
    ColumnAlign::ALL.into_iter().find(|align| align.as_str() == text).ok_or_else(|| {
        let known = ColumnAlign::ALL.map(|align| format!("`{}`", align.as_str())).join(", ");
        ParseError::new(value.span(), format!("`{text}` is not a place in a cell; supported: {known}"))
    })
}
