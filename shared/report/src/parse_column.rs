//! The `[[columns]]` tables of a catalogue file are checked.

use toml::Spanned;

use super::file::ColumnFile;
use super::parse::{ParseError, ParseErrors, whole, zone};
use super::{ColumnAlign, ColumnFormat, ColumnSpec, ColumnTotal, ColumnType, DecimalDigits};

/// Widest column of a spreadsheet, in characters.
const MAX_WIDTH: i64 = 255;
/// Decimals of an amount that names none.
const CENTS: u8 = 2;
/// Longest code or symbol of a currency, in characters.
const MAX_UNIT: usize = 5;

/// Checks the presentation of columns, each named once.
pub(super) fn parse_columns(columns: Vec<Spanned<ColumnFile>>, faults: &mut ParseErrors) -> Vec<ColumnSpec> {
    let mut specs: Vec<ColumnSpec> = Vec::with_capacity(columns.len());
    for column in columns {
        let place = column.span();
        let spec = parse_column(column.into_inner(), faults);
        if !spec.name.is_empty() && specs.iter().any(|other| other.name == spec.name) {
            let twice = ParseError::new(place, format!("[[columns]] names `{}` twice", spec.name));
            faults.keep::<()>(Err(twice));
        }
        specs.push(spec);
    }
    specs
}

fn parse_column(column: ColumnFile, faults: &mut ParseErrors) -> ColumnSpec {
    if column.name.get_ref().trim().is_empty() {
        let nameless = ParseError::new(column.name.span(), "a column's `name` must not be empty");
        faults.keep::<()>(Err(nameless));
    }
    let kind = faults.keep(column.kind.as_ref().map(kind).transpose());
    let format = faults.keep(column.format.as_ref().map(format).transpose());
    let total = faults.keep(column.total.as_ref().map(total).transpose());
    if let (Some(total @ (ColumnTotal::Sum | ColumnTotal::Average)), Some(format), Some(place)) =
        (total, &format, &column.total)
        && !format.has_sum()
    {
        let message =
            format!("`{}` is of numbers and durations only; a column of another format has `count`", total.as_str());
        faults.keep::<()>(Err(ParseError::new(place.span(), message)));
    }
    let width = faults.keep(whole("width", column.width.as_ref(), 1..=MAX_WIDTH));
    ColumnSpec {
        name: column.name.into_inner(),
        kind: kind.map(|(kind, _)| kind),
        digits: kind.and_then(|(_, digits)| digits),
        title: column.title.map(|title| title.trim().to_owned()).filter(|title| !title.is_empty()),
        format,
        total,
        width: width.and_then(|width| u16::try_from(width).ok()),
        time_zone: faults.keep(column.time_zone.as_ref().map(zone).transpose()),
        align: faults.keep(column.align.as_ref().map(align).transpose()),
    }
}

fn kind(value: &Spanned<String>) -> Result<(ColumnType, Option<DecimalDigits>), ParseError> {
    let text = value.get_ref();
    if let Some(kind) = ColumnType::ALL.into_iter().find(|kind| kind.as_str() == text) {
        return Ok((kind, None));
    }
    if let Some(digits) = read_digits(text) {
        return Ok((ColumnType::Decimal, Some(digits)));
    }
    let known = ColumnType::ALL.map(|kind| format!("`{}`", kind.as_str())).join(", ");
    let most = DecimalDigits::MOST;
    let message = format!(
        "`{text}` is not a type of a column; supported: {known}, and `decimal(<digits>, <digits behind the point>)` with 1 to \
         {most} digits"
    );
    Err(ParseError::new(value.span(), message))
}

fn read_digits(text: &str) -> Option<DecimalDigits> {
    let (precision, scale) = text.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
    let number =
        |text: &str| text.trim().parse::<u8>().ok().filter(|_| text.trim().bytes().all(|byte| byte.is_ascii_digit()));
    let digits = DecimalDigits { precision: number(precision)?, scale: number(scale)? };
    let fits = (1..=DecimalDigits::MOST).contains(&digits.precision) && digits.scale <= digits.precision;
    fits.then_some(digits)
}

fn format(value: &Spanned<String>) -> Result<ColumnFormat, ParseError> {
    let text = value.get_ref();
    read_format(text).ok_or_else(|| {
        let most = ColumnFormat::MOST_DECIMALS;
        let message = format!(
            "`{text}` is not a format of a column; supported: `text`, `number:<decimals>`, `percent:<decimals>`, \
             `currency:<code or symbol>`, `currency:<code or symbol>:<decimals>`, `date`, `datetime`, `duration`, `link`, with 0 to \
             {most} decimals and a code or symbol of at most {MAX_UNIT} characters"
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
