//! A catalogue file is read and checked.

use std::str::FromStr;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use toml::de::DeTable;

use super::output;
use super::parse_attribute::parse_attributes;
use super::parse_column::parse_columns;
use super::parse_faults::ParseFaults;
use super::parse_param::parse_params;
use super::parse_print::{parse_chart, parse_page};
use super::parse_query::parse_query;
use super::parse_running::parse_running;
use super::parse_schedule::parse_schedules;
use super::table_reader::{TableKeys, TableReader, quoted};
use super::{DefinitionFault, Dialect, LinkAccess, OnLimit, ReportDefinition, TotalRows, Viewer};
use model::artifact::Format;
use model::job::Lane;
use model::locale::{Tz, time_zone};
use model::units::ByteSize;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);
const DEFAULT_ATTEMPTS: i64 = 5;
const MAX_ATTEMPTS: i64 = 100;

const KEYS: TableKeys = TableKeys {
    needed: &["title", "source", "sql"],
    optional: &[
        "description",
        "lane",
        "formats",
        "timeout",
        "max_attempts",
        "retention",
        "reuse",
        "max_running",
        "concurrency_key",
        "max_running_per_key",
        "max_rows",
        "max_bytes",
        "on_limit",
        "total",
        "links",
        "visible_to",
        "unique_names",
        "time_zone",
        "row_level_security",
        "params",
        "attributes",
        "columns",
        "csv",
        "jsonl",
        "pdf",
        "chart",
        "schedules",
    ],
};

/// The kinds of database that a query may be for.
enum QueryFor<'a> {
    /// Nobody can say: it must be good for one of them.
    Any,
    /// That of the source, where it is known.
    Source(&'a dyn Fn(&str) -> Option<Dialect>),
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
/// Every fault in the order of the file, at least one, each with its line and what would be right.
pub fn check_definition(name: &str, text: &str) -> Result<ReportDefinition, Vec<DefinitionFault>> {
    check(name, text, &QueryFor::Any)
}

/// Reads the text of `<name>.toml`. `dialect_of` says what kind of database a source is, where it knows the source.
///
/// # Errors
/// Those of [`check_definition`].
pub fn check_definition_for(
    name: &str,
    text: &str,
    dialect_of: &dyn Fn(&str) -> Option<Dialect>,
) -> Result<ReportDefinition, Vec<DefinitionFault>> {
    check(name, text, &QueryFor::Source(dialect_of))
}

fn check(name: &str, text: &str, query_for: &QueryFor<'_>) -> Result<ReportDefinition, Vec<DefinitionFault>> {
    let mut faults = ParseFaults::default();
    if let Err(message) = check_name(name) {
        faults.add(0..0, message);
    }
    let (file, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        faults.add_unreadable(error);
    }
    let mut table = TableReader::open("", 0..0, file.get_ref(), &KEYS, &mut faults);
    let definition = read_definition(name, text, query_for, &mut table);
    if faults.is_empty() { Ok(definition) } else { Err(faults.tell(name, text)) }
}

/// Reads what there is. Where faults were noted, the definition is none to be used.
fn read_definition(name: &str, text: &str, query_for: &QueryFor<'_>, table: &mut TableReader<'_>) -> ReportDefinition {
    let source = table.text("source", |text| line_of_text("source", text)).unwrap_or_default();
    let formats = table.texts("formats", None, format).unwrap_or_else(|| vec![Format::Csv]);
    let faults_before = table.faults.count();
    let params = parse_params(table);
    let are_params_sure = table.faults.count() == faults_before && table.is_sure(&["params"]);
    let attributes = parse_attributes(table);
    let row_level_security = table.truth("row_level_security").unwrap_or_default();
    let dialects = match query_for {
        QueryFor::Any => Dialect::ALL.to_vec(),
        QueryFor::Source(dialect_of) => dialect_of(&source).map_or_else(|| Dialect::ALL.to_vec(), |one| vec![one]),
    };
    let placeholders: Vec<_> = params.iter().chain(&attributes).cloned().collect();
    let reads_principal = parse_query(table, &placeholders, &dialects, text) || row_level_security;
    let specs = params.iter().map(|(_, spec)| spec);
    let schedules = parse_schedules(table, &formats, are_params_sure.then_some(&specs));
    let attempts = table.whole("max_attempts", 1..=MAX_ATTEMPTS).unwrap_or(DEFAULT_ATTEMPTS);
    ReportDefinition {
        name: name.to_owned(),
        version: format!("sha256:{}", hex::encode(Sha256::digest(text.as_bytes()))),
        text: text.to_owned(),
        title: table.text("title", |text| line_of_text("title", text)).unwrap_or_default(),
        description: table.plain_text("description").unwrap_or_default(),
        source,
        lane: table.text("lane", lane).unwrap_or(Lane::Interactive),
        timeout: table.text("timeout", |text| duration(text, DAY)).unwrap_or(DEFAULT_TIMEOUT),
        max_attempts: i32::try_from(attempts).unwrap_or(i32::MAX),
        retention: table.text("retention", |text| duration(text, 3650 * DAY)).unwrap_or(30 * DAY),
        reuse: table.text("reuse", |text| duration(text, 365 * DAY)),
        max_rows: table.whole("max_rows", 1..=i64::MAX).and_then(|rows| u64::try_from(rows).ok()),
        max_bytes: table.text("max_bytes", size),
        running: parse_running(table, &params),
        on_limit: table.word("on_limit", &OnLimit::ALL).unwrap_or_default(),
        total: table.word("total", &TotalRows::ALL).unwrap_or_default(),
        links: table.word("links", &LinkAccess::ALL).unwrap_or_default(),
        visible_to: table.texts("visible_to", None, viewer),
        unique_names: table.truth("unique_names").unwrap_or_default(),
        time_zone: table.text("time_zone", zone),
        sql: table.text("sql", |sql| Ok(sql.to_owned())).unwrap_or_default(),
        row_level_security,
        reads_principal,
        params: params.into_iter().map(|(_, spec)| spec).collect(),
        attributes: attributes.into_iter().map(|(_, spec)| spec).collect(),
        columns: parse_columns(table),
        csv: output::csv(table, &formats),
        jsonl: output::jsonl(table, &formats),
        page: parse_page(table),
        chart: parse_chart(table),
        schedules,
        formats,
    }
}

fn check_name(name: &str) -> Result<(), &'static str> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 100 || !name.bytes().all(good) || name.starts_with('-') || name.ends_with('-') {
        return Err("the file's name must be lower-case letters, digits and hyphens, at most 100, then `.toml`");
    }
    Ok(())
}

pub(super) fn line_of_text(key: &str, text: &str) -> Result<String, String> {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.chars().any(char::is_control) {
        return Err(format!("`{key}` must be a line of text"));
    }
    Ok(trimmed.to_owned())
}

fn lane(text: &str) -> Result<Lane, String> {
    Lane::from_str(text)
        .map_err(|error| format!("{error}; supported: {}", quoted(Lane::ALL.iter().map(|lane| lane.as_str()))))
}

/// Finds a time zone by its name.
pub(super) fn zone(name: &str) -> Result<Tz, String> {
    time_zone(name).ok_or_else(|| format!("`{name}` is not an IANA time zone; write for example \"Europe/Berlin\""))
}

fn viewer(before: &[Viewer], text: &str) -> Result<Viewer, String> {
    let viewer = Viewer::read(text)?;
    if before.contains(&viewer) { Err(format!("`{text}` is named twice in `visible_to`")) } else { Ok(viewer) }
}

pub(super) fn format(before: &[Format], text: &str) -> Result<Format, String> {
    let format = Format::from_str(text)
        .map_err(|error| format!("{error}; supported: {}", quoted(Format::ALL.iter().map(|format| format.as_str()))))?;
    if before.contains(&format) {
        return Err(format!("format `{format}` is named twice"));
    }
    Ok(format)
}

fn duration(text: &str, most: Duration) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| format!("`{text}` is not a duration; write for example \"90s\", \"30m\" or \"30d\""))?;
    if duration.is_zero() || duration > most {
        let most = humantime::format_duration(most);
        return Err(format!("`{text}` must be more than nothing and at most {most}"));
    }
    Ok(duration)
}

fn size(text: &str) -> Result<u64, String> {
    match ByteSize::from_str(text) {
        Ok(ByteSize(0)) => Err("`max_bytes` must be more than nothing".to_owned()),
        Ok(ByteSize(bytes)) => Ok(bytes),
        Err(message) => Err(message),
    }
}
