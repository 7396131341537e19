//! `waitless check`: says what is wrong with a catalogue, file and line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use configuration::{Config, Role, check_urls};
use report::{DefinitionFault, ReportDefinition, check_definition_for, unique_names};
use runtime::Catalogue;
use serde_json::json;

use super::CommandResult;
use crate::all_in_one::add_demo_source;
use crate::cli::Check;
use crate::terminal;

pub(crate) async fn check(args: Check) -> CommandResult {
    let mut config = args.config.load(Role::DatabaseOnly)?;
    let folder: Option<PathBuf> = args.folder.or_else(|| config.catalogue.folder.clone());
    let wanted = configuration::Catalogue { folder: folder.clone(), reload_every: config.catalogue.reload_every };
    let snapshot = Catalogue::open(&wanted)?.snapshot();
    let mut faults = snapshot.faults.clone();
    if args.connect {
        check_urls(config.source_urls(sources::check_url))?;
        if folder.is_none() {
            add_demo_source(&mut config);
        }
    }
    for report in snapshot.reports.values() {
        let misread = misread(&config, report);
        if misread.is_empty() && args.connect {
            faults.extend(prepare(&config, report).await.err());
        }
        faults.extend(misread);
    }
    faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    let is_good = |name: &&String| faults.iter().all(|fault| fault.file != format!("{name}.toml"));
    let good: Vec<&String> = snapshot.reports.keys().filter(is_good).collect();
    if args.output.json {
        let told =
            |fault: &DefinitionFault| json!({ "file": fault.file, "line": fault.line, "message": fault.message });
        terminal::print_json(&json!({ "good": good, "faults": faults.iter().map(told).collect::<Vec<_>>() }))?;
        return Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    for fault in &faults {
        terminal::print(in_folder(folder.as_deref(), fault))?;
    }
    let faulty: BTreeSet<&String> = faults.iter().map(|fault| &fault.file).collect();
    let summary = format!("{} good, {} with faults", good.len(), faulty.len());
    if faults.is_empty() {
        terminal::print(summary)?;
        return Ok(ExitCode::SUCCESS);
    }
    terminal::print_error(summary);
    Ok(ExitCode::FAILURE)
}

/// A query that is good for some kind of database may be none for the one it is for.
fn misread(config: &Config, report: &ReportDefinition) -> Vec<DefinitionFault> {
    let dialect = config.sources.get(&report.source).and_then(sources::dialect_of);
    dialect.and_then(|dialect| check_definition_for(&report.name, &report.text, dialect).err()).unwrap_or_default()
}

fn in_folder(folder: Option<&Path>, fault: &DefinitionFault) -> String {
    let file = folder.map_or_else(|| PathBuf::from(&fault.file), |folder| folder.join(&fault.file));
    format!("{}:{}: {}", file.display(), fault.line, fault.message)
}

/// Has the report's source prepare its query.
async fn prepare(config: &Config, report: &ReportDefinition) -> Result<(), DefinitionFault> {
    let fault = |key: &str, message: String| DefinitionFault {
        file: format!("{}.toml", report.name),
        line: line_of(&report.text, key),
        message,
    };
    let Some(source) = config.sources.get(&report.source) else {
        let message = format!("the configuration has no source `{0}`; add [sources.{0}] with a url", report.source);
        return Err(fault("source", message));
    };
    let prepared = sources::explain(source, report).await;
    let mut columns = prepared.map_err(|problem| fault("sql", problem.detail))?;
    if report.unique_names {
        columns = unique_names(&columns.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let shown = report.columns.iter().map(|column| ("columns", "[[columns]]", &column.name));
    let drawn = report.chart.iter().flat_map(|chart| std::iter::once(&chart.x).chain(&chart.y));
    let drawn = drawn.map(|name| ("chart", "[chart]", name));
    match shown.chain(drawn).find(|(.., name)| !columns.contains(name)) {
        Some((key, place, name)) => {
            let message = format!("{place} names `{name}`, but the query returns {}", columns.join(", "));
            Err(fault(key, message))
        }
        None => Ok(()),
    }
}

/// Finds the line on which a key stands.
fn line_of(text: &str, key: &str) -> usize {
    let is_key = |line: &str| {
        let line = line.trim_start_matches(['[', ' ']);
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', ']']))
    };
    text.lines().position(is_key).map_or(1, |index| index + 1)
}
