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
use super::parse_query::parse_query;
use super::{DefinitionFault, Dialect, ReportDefinition};
use model::artifact::Format;
use model::job::Lane;
use model::locale::{Tz, time_zone};
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

/// What is wrong with a file, in the order in which it was found.
#[derive(Default)]
pub(super) struct ParseErrors(Vec<ParseError>);

impl ParseErrors {
    /// Returns the value, or keeps the fault and returns one that stands in for it.
    pub(super) fn keep<T: Default>(&mut self, read: Result<T, ParseError>) -> T {
        read.unwrap_or_else(|fault| {
            self.0.push(fault);
            T::default()
        })
    }

    /// Keeps faults and returns a value that stands in.
    fn keep_all<T: Default>(&mut self, found: Vec<ParseError>) -> T {
        self.0.extend(found);
        T::default()
    }
}

/// Reads the text of `<name>.toml`, where nobody can say what kind of database its query is for: it must be good for one of them.
///
/// # Errors
/// The first fault, with its line and what would be right.
pub fn parse_definition(name: &str, text: &str) -> Result<ReportDefinition, DefinitionFault> {
    check_definition(name, text).map_err(|mut faults| faults.swap_remove(0))
}

/// Reads the text of `<name>.toml` as [`parse_definition`] does.
///
/// # Errors
/// Every fault, at least one, each with its line and what would be right.
pub fn check_definition(name: &str, text: &str) -> Result<ReportDefinition, Vec<DefinitionFault>> {
    check_for_any(name, text, &Dialect::ALL)
}

/// Reads the text of `<name>.toml`, whose query is for a database of this kind.
///
/// # Errors
/// Those of [`check_definition`].
pub fn check_definition_for(
    name: &str,
    text: &str,
    dialect: Dialect,
) -> Result<ReportDefinition, Vec<DefinitionFault>> {
    check_for_any(name, text, &[dialect])
}

fn check_for_any(name: &str, text: &str, dialects: &[Dialect]) -> Result<ReportDefinition, Vec<DefinitionFault>> {
    let mut faults = ParseErrors::default();
    match parse(name, text, dialects, &mut faults) {
        Ok(definition) if faults.0.is_empty() => return Ok(definition),
        Ok(_) => {}
        Err(fault) => faults.0.push(fault),
    }
    let told = |fault: ParseError| {
        let before = text.as_bytes().get(..fault.at.start).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        DefinitionFault { file: format!("{name}.toml"), line, message: fault.message }
    };
    Err(faults.0.into_iter().map(told).collect())
}

/// Reads what there is. Where faults were kept, the definition is none to be used.
fn parse(
    name: &str,
    text: &str,
    dialects: &[Dialect],
    faults: &mut ParseErrors,
) -> Result<ReportDefinition, ParseError> {
    check_name(name)?;
    let file: DefinitionFile = toml::from_str(text).map_err(|error| {
        let message = error.message().lines().next().unwrap_or("cannot be read").to_owned();
        ParseError::new(error.span().unwrap_or(0..0), message)
    })?;
    let title = faults.keep(not_blank(&file.title, "title"));
    let source = faults.keep(not_blank(&file.source, "source"));
    let lane = faults.keep(file.lane.as_ref().map(lane).transpose()).unwrap_or(Lane::Interactive);
    let formats = faults.keep(file.formats.as_ref().map(formats).transpose()).unwrap_or_else(|| vec![Format::Csv]);
    let timeout = faults.keep(duration(file.timeout.as_ref(), DAY)).unwrap_or(DEFAULT_TIMEOUT);
    let retention = faults.keep(duration(file.retention.as_ref(), 3650 * DAY)).unwrap_or(30 * DAY);
    let reuse = faults.keep(duration(file.reuse.as_ref(), 365 * DAY));
    let max_attempts = faults.keep(whole("max_attempts", file.max_attempts.as_ref(), 1..=MAX_ATTEMPTS));
    let max_attempts = max_attempts.unwrap_or(DEFAULT_ATTEMPTS);
    let max_rows = faults.keep(whole("max_rows", file.max_rows.as_ref(), 1..=i64::MAX));
    let max_bytes = faults.keep(file.max_bytes.as_ref().map(size).transpose());
    let (params, reads_principal) = match parse_params(file.params) {
        Ok(params) => {
            let (places, params): (Vec<_>, Vec<_>) = params.into_iter().unzip();
            let reads_principal = parse_query(&file.sql, &params, &places, dialects, text);
            (params, reads_principal.unwrap_or_else(|found| faults.keep_all(found)))
        }
        Err(fault) => (faults.keep(Err(fault)), false),
    };
    let time_zone = faults.keep(file.time_zone.as_ref().map(zone).transpose());
    let columns = parse_columns(file.columns, faults);
    let csv = output::csv(file.csv, &formats, faults);
    let jsonl = output::jsonl(file.jsonl, &formats, faults);
    let page = faults.keep(parse_page(&file.pdf));
    let chart = faults.keep(file.chart.as_ref().map(parse_chart).transpose());
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
        unique_names: file.unique_names,
        time_zone,
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

/// Finds the value of a key that takes one of a few words.
pub(super) fn one_of<T: Copy>(key: &str, name: &Spanned<String>, choices: &[(&str, T)]) -> Result<T, ParseError> {
    let found = choices.iter().find(|(choice, _)| choice == name.get_ref());
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<String> = choices.iter().map(|(choice, _)| format!("`{choice}`")).collect();
        let message = format!("`{key}` must be one of {}, not `{}`", known.join(", "), name.get_ref());
        ParseError::new(name.span(), message)
    })
}

fn lane(value: &Spanned<String>) -> Result<Lane, ParseError> {
    Lane::from_str(value.get_ref()).map_err(|error| {
        let known = Lane::ALL.map(|lane| format!("`{lane}`")).join(", ");
        ParseError::new(value.span(), format!("{error}; supported: {known}"))
    })
}

/// Finds a time zone by its name.
pub(super) fn zone(value: &Spanned<String>) -> Result<Tz, ParseError> {
    let name = value.get_ref();
    time_zone(name).ok_or_else(|| {
        let message = format!("`{name}` is not an IANA time zone; write for example \"Europe/Berlin\"");
        ParseError::new(value.span(), message)
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
