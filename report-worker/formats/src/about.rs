//! What a file says about itself besides its rows.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use model::job::{Job, Params};
use model::locale::Tz;
use report::{ChartSpec, ColumnSpec, CsvOptions, JsonlOptions, PageSpec, ParamType, ReportDefinition};
use serde_json::Value;
use uuid::Uuid;

use super::FontFile;

/// What is known of a file before its first row: its heading, and its presentation.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// For people.
    pub title: String,
    /// For people; may be empty.
    pub description: String,
    /// The job the file is made for.
    pub job_id: Uuid,
    /// The report's name in the catalogue.
    pub report: String,
    /// `sha256:…` of the definition.
    pub report_version: String,
    /// Label and value of each parameter that has one, in the definition's order; sensitive ones are left out.
    pub params: Vec<(String, String)>,
    /// Whether the report has a sensitive parameter: its rows may show the value, so problems tell no values.
    pub secret: bool,
    /// How columns are shown.
    pub columns: Vec<ColumnSpec>,
    /// Whether columns of one name get names of their own.
    pub unique_names: bool,
    /// Zone in which points in time are shown where nothing else is said of their column.
    pub time_zone: Option<Tz>,
    /// How CSV is written.
    pub csv: CsvOptions,
    /// How JSON Lines are written.
    pub jsonl: JsonlOptions,
    /// The page a printed file is set on.
    pub page: PageSpec,
    /// A picture of the rows.
    pub chart: Option<ChartSpec>,
    /// Fonts behind the built-in ones, for formats that embed some.
    pub fonts: Arc<[Arc<FontFile>]>,
    /// The source's time of the snapshot.
    pub snapshot_at: DateTime<Utc>,
}

impl About {
    /// Gathers what the files of a job say about themselves.
    #[must_use]
    pub fn new(job: &Job, definition: &ReportDefinition, snapshot_at: DateTime<Utc>) -> Self {
        Self {
            title: definition.title.clone(),
            description: definition.description.clone(),
            job_id: job.id,
            report: job.report.clone(),
            report_version: job.report_version.clone(),
            params: shown(definition, &job.params),
            secret: definition.params.iter().any(|spec| spec.sensitive),
            columns: definition.columns.clone(),
            unique_names: definition.unique_names,
            time_zone: definition.time_zone,
            csv: definition.csv,
            jsonl: definition.jsonl,
            page: definition.page,
            chart: definition.chart.clone(),
            fonts: Arc::default(),
            snapshot_at,
        }
    }

    /// Adds the fonts of this worker.
    #[must_use]
    pub fn with_fonts(self, fonts: &Arc<[Arc<FontFile>]>) -> Self {
        Self { fonts: Arc::clone(fonts), ..self }
    }

    /// Returns the presentation of a column, if the definition has one.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnSpec> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// What is known of a file behind its last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSummary {
    /// Rows in the file, header not counted.
    pub rows: u64,
    /// False when a limit cut the file, which the file has to say where it can.
    pub complete: bool,
}

fn shown(definition: &ReportDefinition, params: &Params) -> Vec<(String, String)> {
    let specs = definition.params.iter().filter(|spec| !spec.sensitive);
    specs
        .filter_map(|spec| {
            let value = params.get(&spec.name).filter(|value| !value.is_null())?;
            Some((spec.label.clone(), plain(value, spec.kind)))
        })
        .collect()
}

/// Writes a value for people: moments as the rest of the file writes them.
fn plain(value: &Value, kind: ParamType) -> String {
    match value {
        Value::String(text) if kind == ParamType::Timestamp => {
            text.strip_suffix('Z').map_or_else(|| text.clone(), |text| format!("{} UTC", text.replace('T', " ")))
        }
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(|item| plain(item, kind)).collect::<Vec<_>>().join(", "),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}
