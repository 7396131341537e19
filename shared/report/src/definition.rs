//! A report definition: one TOML file of the catalogue.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ColumnSpec;
use model::artifact::Format;
use model::job::Lane;
use model::locale::Tz;

use super::query::read_query;
use super::{CsvOptions, Dialect, JsonlOptions, OnLimit, Query, RunsAtOnce, ScheduleSpec, Viewer};

/// A report as the catalogue describes it, parsed and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportDefinition {
    /// The file's name without `.toml`: lower-case letters, digits and hyphens.
    pub name: String,
    /// `sha256:<hex>` of the file's text.
    pub version: String,
    /// The file's text, as kept by the store for workers.
    pub text: String,
    /// For people.
    pub title: String,
    /// For people; may be empty.
    pub description: String,
    /// Name of a source in the configuration.
    pub source: String,
    /// Queue and worker pool.
    pub lane: Lane,
    /// Formats it may be made in, at least one.
    pub formats: Vec<Format>,
    /// Longest time of one attempt.
    pub timeout: Duration,
    /// Errors that fail the job.
    pub max_attempts: i32,
    /// How long artifacts are kept.
    pub retention: Duration,
    /// An identical finished job this fresh is the answer.
    pub reuse: Option<Duration>,
    /// How many of its jobs may run at once.
    pub running: RunsAtOnce,
    /// What happens at `max_rows` and `max_bytes`.
    pub on_limit: OnLimit,
    /// Most rows.
    pub max_rows: Option<u64>,
    /// Most bytes in one file.
    pub max_bytes: Option<u64>,
    /// How the total of rows is found.
    pub total: TotalRows,
    /// Who may open links to its files.
    pub links: LinkAccess,
    /// Who may see it; everybody where absent.
    pub visible_to: Option<Vec<Viewer>>,
    /// Columns of one name are numbered, so that each has a name of its own.
    pub unique_names: bool,
    /// Zone in which spreadsheets and print show points in time; UTC where absent.
    pub time_zone: Option<Tz>,
    /// Query with `:name` placeholders.
    pub sql: String,
    /// Whether the source limits the rows by who asks, so that they may differ from one principal to the next.
    pub row_level_security: bool,
    /// Whether the rows may differ from one principal of a tenant to the next: the source says so, or the query, by the rules of any
    /// database that it may be for.
    pub reads_principal: bool,
    /// Parameters, in the order of the file.
    pub params: Vec<ParamSpec>,
    /// Attributes that the query reads, by the names of their placeholders (`attribute.region`), in the order of the file.
    pub attributes: Vec<ParamSpec>,
    /// Optional presentation of columns.
    pub columns: Vec<ColumnSpec>,
    /// How CSV is written.
    pub csv: CsvOptions,
    /// How JSON Lines are written.
    pub jsonl: JsonlOptions,
    /// The page a PDF is set on.
    pub page: PageSpec,
    /// A picture of the rows, for formats that have a place for one.
    pub chart: Option<ChartSpec>,
    /// When it comes by itself, in the order of the file.
    pub schedules: Vec<ScheduleSpec>,
}

impl ReportDefinition {
    /// Tells whether the parameter of this name is sensitive.
    #[must_use]
    pub fn is_sensitive(&self, name: &str) -> bool {
        self.params.iter().any(|spec| spec.sensitive && spec.name == name)
    }

    /// Tells whether any parameter is sensitive.
    #[must_use]
    pub fn has_sensitive_params(&self) -> bool {
        self.params.iter().any(|spec| spec.sensitive)
    }

    /// Finds what a placeholder of the query stands for; nothing for `:tenant` and `:principal`, which are texts.
    #[must_use]
    pub fn placeholder(&self, name: &str) -> Option<&ParamSpec> {
        self.params.iter().chain(&self.attributes).find(|spec| spec.name == name)
    }

    /// Tells whether the rows depend on attributes of whoever asks.
    #[must_use]
    pub fn reads_attributes(&self) -> bool {
        self.row_level_security || !self.attributes.is_empty()
    }

    /// Reads the query by the rules of the database that will run it.
    ///
    /// # Errors
    /// Says what is wrong with the query, or with a parameter in it.
    pub fn query(&self, dialect: Dialect) -> Result<Query, String> {
        let params: Vec<&ParamSpec> = self.params.iter().chain(&self.attributes).collect();
        let reading = read_query(&self.sql, Some(&params), dialect);
        if reading.faults.is_empty() {
            return Ok(reading.query);
        }
        let messages: Vec<String> = reading.faults.into_iter().map(|fault| fault.message).collect();
        Err(messages.join("; "))
    }
}

/// Who may open the links to a report's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkAccess {
    /// Whoever has the link.
    #[default]
    Anyone,
    /// Whoever has the link and is signed in as somebody of the same tenant who may read.
    Tenant,
}

impl LinkAccess {
    pub(super) const ALL: [(&'static str, Self); 2] = [("anyone", Self::Anyone), ("tenant", Self::Tenant)];
}

/// How a report's total number of rows is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TotalRows {
    /// Ask the planner; shown as an estimate. Sources without one: unknown.
    #[default]
    Estimate,
    /// `select count(*)` over the query first, in the same snapshot.
    Exact,
    /// Do not ask.
    Unknown,
}

impl TotalRows {
    pub(super) const ALL: [(&'static str, Self); 3] =
        [("estimate", Self::Estimate), ("exact", Self::Exact), ("unknown", Self::Unknown)];
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamType {
    /// JSON string.
    Text,
    /// JSON number without fraction, within 64 bits.
    Integer,
    /// JSON number or string of digits; kept as a string, so that no digit is lost.
    Decimal,
    /// JSON boolean.
    Boolean,
    /// `YYYY-MM-DD`.
    Date,
    /// RFC 3339 with offset; kept in UTC.
    Timestamp,
    /// One of `choices`.
    Choice,
}

impl ParamType {
    pub(super) const ALL: [(&'static str, Self); 7] = [
        ("text", Self::Text),
        ("integer", Self::Integer),
        ("decimal", Self::Decimal),
        ("boolean", Self::Boolean),
        ("date", Self::Date),
        ("timestamp", Self::Timestamp),
        ("choice", Self::Choice),
    ];

    /// Returns the name used in definitions.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

/// One parameter of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamSpec {
    /// Name of the placeholder without its colon.
    pub name: String,
    /// Type of the value, or of each element where `list` is set.
    pub kind: ParamType,
    /// A JSON array of values. Bound as an array where the source has one, else expanded in place.
    pub list: bool,
    /// For people; the name where absent.
    pub label: String,
    /// For people; may be empty.
    pub description: String,
    /// Taken when the caller gives none, in canonical form. Absent: required, unless `optional`.
    pub default: Option<serde_json::Value>,
    /// Without value and default, the placeholder is bound to null.
    pub optional: bool,
    /// Values a choice may take.
    pub choices: Vec<String>,
    /// Smallest value (integer, decimal, date, timestamp), in canonical form.
    pub min: Option<serde_json::Value>,
    /// Largest value.
    pub max: Option<serde_json::Value>,
    /// Longest text, in characters (1000 where absent).
    pub max_length: Option<u32>,
    /// Most elements of a list (1000 where absent).
    pub max_items: Option<u32>,
    /// Kept out of logs, answers and receipts.
    pub sensitive: bool,
}

/// `[pdf]`: the page a report is set on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageSpec {
    /// Size of the sheet.
    pub paper: Paper,
    /// Absent: chosen by the width of the columns.
    pub orientation: Option<Orientation>,
}

/// Size of a sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paper {
    /// 210 × 297 mm.
    #[default]
    A4,
    /// 297 × 420 mm.
    A3,
    /// 8.5 × 11 inches.
    Letter,
    /// 11 × 17 inches.
    Tabloid,
}

/// Which side of a sheet is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orientation {
    /// The short one.
    Portrait,
    /// The long one.
    Landscape,
}

/// `[chart]`: a picture of the rows. Rows with the same `x` are added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartSpec {
    /// Bars or lines.
    pub kind: ChartKind,
    /// The column that names the points.
    pub x: String,
    /// Numeric columns, one series each, at least one.
    pub y: Vec<String>,
    /// For people; where absent, the titles of the columns.
    pub title: Option<String>,
}

/// How a chart shows its points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChartKind {
    /// One bar a point.
    Bar,
    /// Points joined in the order of the rows.
    Line,
}

/// Good definitions by name, and what is wrong with the others.
#[derive(Debug, Clone, Default)]
pub struct CatalogueSnapshot {
    /// Definitions in service.
    pub reports: BTreeMap<String, std::sync::Arc<ReportDefinition>>,
    /// Files that could not be read; their last good version, if any, is in `reports`.
    pub faults: Vec<DefinitionFault>,
}

/// What is wrong with a catalogue file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct DefinitionFault {
    /// The file's name.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// Character of the line, from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub message: String,
}
