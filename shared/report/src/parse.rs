//! A catalogue file is read and checked.

use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use toml::Spanned;

use super::file::DefinitionFile;
use super::output;
use super::parse_column::parse_columns;
use super::parse_param::parse_params;
use super::parse_print::{parse_chart, parse_page};
use super::query::{FaultPlace, QueryFault, read_query};
use super::{DefinitionFault, Dialect, ParamSpec, ReportDefinition};
use model::artifact::Format;
use model::job::Lane;
use model::units::ByteSize;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);
const DEFAULT_ATTEMPTS: i64 = 5;
const MAX_ATTEMPTS: i64 = 100;

/// What is wrong, and at which bytes of the file.
pub(super) struct ParseError {
    pub(super) at: Range<usize>,
    pub(super) message: String,
}

impl ParseError {
    pub(super) fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// Reads the text of `<name>.toml`, where nobody can say what kind of database its query is for: it must be good for one of them.
///
/// # Errors
/// The first fault, with its line and what would be right.
pub fn parse_definition(name: &str, text: &str) -> Result<ReportDefinition, DefinitionFault> {
    parse_for_any(name, text, &Dialect::ALL)
}

/// Reads the text of `<name>.toml`, whose query is for a database of this kind.
///
/// # Errors
/// Those of [`parse_definition`].
pub fn parse_definition_for(name: &str, text: &str, dialect: Dialect) -> Result<ReportDefinition, DefinitionFault> {
    parse_for_any(name, text, &[dialect])
}

fn parse_for_any(name: &str, text: &str, dialects: &[Dialect]) -> Result<ReportDefinition, DefinitionFault> {
    parse(name, text, dialects).map_err(|fault| {
        let before = text.as_bytes().get(..fault.at.start).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        DefinitionFault { file: format!("{name}.toml"), line, message: fault.message }
    })
}

fn parse(name: &str, text: &str, dialects: &[Dialect]) -> Result<ReportDefinition, ParseError> {
    check_name(name)?;
    let file: DefinitionFile = toml::from_str(text).map_err(|error| {
        let message = error.message().lines().next().unwrap_or("cannot be read").to_owned();
        ParseError::new(error.span().unwrap_or(0..0), message)
    })?;
    let title = not_blank(&file.title, "title")?;
    let source = not_blank(&file.source, "source")?;
    let lane = file.lane.as_ref().map_or(Ok(Lane::Interactive), lane)?;
    let formats = file.formats.as_ref().map_or(Ok(vec![Format::Csv]), formats)?;
    let timeout = duration(file.timeout.as_ref(), DAY)?.unwrap_or(DEFAULT_TIMEOUT);
    let retention = duration(file.retention.as_ref(), 3650 * DAY)?.unwrap_or(30 * DAY);
    let reuse = duration(file.reuse.as_ref(), 365 * DAY)?;
    let max_attempts = whole("max_attempts", file.max_attempts.as_ref(), 1..=MAX_ATTEMPTS)?.unwrap_or(DEFAULT_ATTEMPTS);
    let max_rows = whole("max_rows", file.max_rows.as_ref(), 1..=i64::MAX)?;
    let max_bytes = file.max_bytes.as_ref().map(size).transpose()?;
    let (param_places, params): (Vec<_>, Vec<_>) = parse_params(file.params)?.into_iter().unzip();
    let reads_principal = check_query(&file.sql, &params, dialects).map_err(|fault| {
        let place = match fault.place {
            FaultPlace::Query => file.sql.span(),
            FaultPlace::Byte(at) => place_in_file(&file.sql, at, text),
            FaultPlace::Param(index) => param_places.get(index).cloned().unwrap_or_else(|| file.sql.span()),
        };
        ParseError::new(place, fault.message)
    })?;
    let columns = parse_columns(file.columns)?;
    let csv = output::csv(file.csv, &formats)?;
    let jsonl = output::jsonl(file.jsonl, &formats)?;
    let page = parse_page(&file.pdf)?;
    let chart = file.chart.as_ref().map(parse_chart).transpose()?;
    Ok(ReportDefinition {
        name: name.to_owned(),
        version: format!("sha256:{}", hex::encode(Sha256::digest(text.as_bytes()))),
        text: text.to_owned(),
        title,
        description: file.description.trim().to_owned(),
        source,
        lane,
        formats,
        timeout,
        max_attempts: i32::try_from(max_attempts).unwrap_or(i32::MAX),
        retention,
        reuse,
        max_rows: max_rows.and_then(|rows| u64::try_from(rows).ok()),
        max_bytes,
        on_limit: file.on_limit,
        total: file.total,
        links: file.links,
        sql: file.sql.into_inner(),
        reads_principal,
        params,
        columns,
        csv,
        jsonl,
        page,
        chart,
    })
}

fn check_name(name: &str) -> Result<(), ParseError> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 100 || !name.bytes().all(good) || name.starts_with('-') || name.ends_with('-') {
        let message = "the file's name must be lower-case letters, digits and hyphens, at most 100, then `.toml`";
        return Err(ParseError::new(0..0, message));
    }
    Ok(())
}

pub(super) fn not_blank(value: &Spanned<String>, what: &str) -> Result<String, ParseError> {
    let trimmed = value.get_ref().trim();
    if trimmed.is_empty() || trimmed.chars().any(char::is_control) {
        return Err(ParseError::new(value.span(), format!("`{what}` must be a line of text")));
    }
    Ok(trimmed.to_owned())
}

fn lane(value: &Spanned<String>) -> Result<Lane, ParseError> {
    Lane::from_str(value.get_ref()).map_err(|error| {
        let known = Lane::ALL.map(|lane| format!("`{lane}`")).join(", ");
        ParseError::new(value.span(), format!("{error}; supported: {known}"))
    })
}

fn formats(value: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<Format>, ParseError> {
    let mut formats = Vec::new();
    for name in value.get_ref() {
        let format = Format::from_str(name.get_ref()).map_err(|error| {
            let known = Format::ALL.map(|format| format!("`{format}`")).join(", ");
            ParseError::new(name.span(), format!("{error}; supported: {known}"))
        })?;
        if formats.contains(&format) {
            return Err(ParseError::new(name.span(), format!("format `{format}` is named twice")));
        }
        formats.push(format);
    }
    if formats.is_empty() {
        return Err(ParseError::new(value.span(), "`formats` must name at least one"));
    }
    Ok(formats)
}

fn duration(value: Option<&Spanned<String>>, most: Duration) -> Result<Option<Duration>, ParseError> {
    let Some(value) = value else { return Ok(None) };
    let text = value.get_ref();
    let duration = humantime::parse_duration(text).map_err(|_| {
        ParseError::new(
            value.span(),
            format!("`{text}` is not a duration; write for example \"90s\", \"30m\" or \"30d\""),
        )
    })?;
    if duration.is_zero() || duration > most {
        let most = humantime::format_duration(most);
        return Err(ParseError::new(value.span(), format!("`{text}` must be more than nothing and at most {most}")));
    }
    Ok(Some(duration))
}

pub(super) fn whole(
    key: &str,
    value: Option<&Spanned<i64>>,
    range: std::ops::RangeInclusive<i64>,
) -> Result<Option<i64>, ParseError> {
    let Some(value) = value else { return Ok(None) };
    if !range.contains(value.get_ref()) {
        let message = if *range.end() == i64::MAX {
            format!("`{key}` must be {} or more", range.start())
        } else {
            format!("`{key}` must be between {} and {}", range.start(), range.end())
        };
        return Err(ParseError::new(value.span(), message));
    }
    Ok(Some(*value.get_ref()))
}

fn size(value: &Spanned<String>) -> Result<u64, ParseError> {
    match ByteSize::from_str(value.get_ref()) {
        Ok(ByteSize(0)) => Err(ParseError::new(value.span(), "`max_bytes` must be more than nothing")),
        Ok(ByteSize(bytes)) => Ok(bytes),
        Err(message) => Err(ParseError::new(value.span(), message)),
    }
}

/// Tells whether the query reads the principal. One that is good for one kind of database may be for it; if it is good for none,
/// the first kind says what is wrong.
fn check_query(sql: &Spanned<String>, params: &[ParamSpec], dialects: &[Dialect]) -> Result<bool, QueryFault> {
    let (mut reads_principal, mut is_good, mut first_fault) = (false, false, None);
    for dialect in dialects {
        match read_query(sql.get_ref(), params, *dialect) {
            Ok(query) => {
                is_good = true;
                reads_principal |= query.placeholders().iter().any(|name| name == "principal");
            }
            Err(fault) => drop(first_fault.get_or_insert(fault)),
        }
    }
    first_fault.filter(|_| !is_good).map_or(Ok(reads_principal), Err)
}

/// Finds the line of the file that byte `at` of the query stands in. A line break right after the opening quotes is not part of
/// the query.
fn place_in_file(sql: &Spanned<String>, at: usize, text: &str) -> Range<usize> {
    let span = sql.span();
    let raw = text.get(span.clone()).unwrap_or_default();
    let opening = ["\"\"\"\r\n", "\"\"\"\n", "'''\r\n", "'''\n"].into_iter().find(|quotes| raw.starts_with(quotes));
    let lines = sql.get_ref().get(..at).unwrap_or_default().matches('\n').count() + usize::from(opening.is_some());
    let offset = raw.match_indices('\n').map(|(newline, _)| newline + 1).nth(lines.wrapping_sub(1)).unwrap_or(0);
    span.start + offset..span.end
}
