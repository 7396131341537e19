//! The shape of a catalogue file, before anything in it is checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::output::{CsvFile, JsonlFile};
use super::{LinkAccess, OnLimit, ParamType, TotalRows};

/// One file, each value with its place where a fault may be found in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DefinitionFile {
    pub(super) title: Spanned<String>,
    #[serde(default)]
    pub(super) description: String,
    pub(super) source: Spanned<String>,
    pub(super) lane: Option<Spanned<String>>,
    pub(super) formats: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) timeout: Option<Spanned<String>>,
    pub(super) max_attempts: Option<Spanned<i64>>,
    pub(super) retention: Option<Spanned<String>>,
    pub(super) reuse: Option<Spanned<String>>,
    pub(super) max_rows: Option<Spanned<i64>>,
    pub(super) max_bytes: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) on_limit: OnLimit,
    #[serde(default)]
    pub(super) total: TotalRows,
    #[serde(default)]
    pub(super) links: LinkAccess,
    #[serde(default)]
    pub(super) unique_names: bool,
    pub(super) time_zone: Option<Spanned<String>>,
    pub(super) sql: Spanned<String>,
    #[serde(default)]
    pub(super) params: BTreeMap<Spanned<String>, ParamFile>,
    #[serde(default)]
    pub(super) columns: Vec<Spanned<ColumnFile>>,
    pub(super) csv: Option<Spanned<CsvFile>>,
    pub(super) jsonl: Option<Spanned<JsonlFile>>,
    #[serde(default)]
    pub(super) pdf: PageFile,
    pub(super) chart: Option<ChartFile>,
}

/// `[pdf]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageFile {
    pub(super) page: Option<Spanned<String>>,
    pub(super) orientation: Option<Spanned<String>>,
}

/// `[chart]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChartFile {
    pub(super) kind: Spanned<String>,
    pub(super) x: Spanned<String>,
    pub(super) y: Spanned<Vec<Spanned<String>>>,
    pub(super) title: Option<Spanned<String>>,
}

/// `[params.<name>]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ParamFile {
    #[serde(rename = "type")]
    pub(super) kind: ParamType,
    #[serde(default)]
    pub(super) list: bool,
    pub(super) label: Option<String>,
    #[serde(default)]
    pub(super) description: String,
    pub(super) default: Option<Spanned<toml::Value>>,
    #[serde(default)]
    pub(super) optional: bool,
    pub(super) choices: Option<Spanned<Vec<String>>>,
    pub(super) min: Option<Spanned<toml::Value>>,
    pub(super) max: Option<Spanned<toml::Value>>,
    pub(super) max_length: Option<Spanned<i64>>,
    pub(super) max_items: Option<Spanned<i64>>,
    #[serde(default)]
    pub(super) sensitive: bool,
}

/// `[[columns]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnFile {
    pub(super) name: Spanned<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<Spanned<String>>,
    pub(super) title: Option<String>,
    pub(super) format: Option<Spanned<String>>,
    pub(super) total: Option<Spanned<String>>,
    pub(super) width: Option<Spanned<i64>>,
    pub(super) time_zone: Option<Spanned<String>>,
    pub(super) align: Option<Spanned<String>>,
}
