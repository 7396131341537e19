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
    let mut faults = told_by_source(&config, folder.as_deref(), &snapshot.faults);
    if args.connect {
        check_urls(config.source_urls(sources::check_url, sources::check_secured_url))?;
        if folder.is_none() {
            add_demo_source(&mut config);
        }
    }
    for report in snapshot.reports.values() {
        match check_file(&config, &report.name, &report.text) {
            Ok(report) if args.connect => faults.extend(prepare(&config, &report).await),
            Ok(_) => {}
            Err(misread) => faults.extend(misread),
        }
    }
    faults.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    let is_good = |name: &&String| faults.iter().all(|fault| fault.file != format!("{name}.toml"));
    let good: Vec<&String> = snapshot.reports.keys().filter(is_good).collect();
    if args.output.json {
        let told = |fault: &DefinitionFault| json!({ "file": fault.file, "line": fault.line, "column": fault.column, "message": fault.message });
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

/// Reads a file where the kind of database is known: a query that is good for some kind may be none for the one it is for. Report and
/// source must agree, too, on who limits the rows.
fn check_file(config: &Config, name: &str, text: &str) -> Result<ReportDefinition, Vec<DefinitionFault>> {
    let dialect_of = |source: &str| config.sources.get(source).and_then(sources::dialect_of);
    let report = check_definition_for(name, text, &dialect_of)?;
    let source = config.sources.get(&report.source);
    match source.and_then(|source| sources::disagreement(source, &report)) {
        None => Ok(report),
        Some(why) => {
            let place = if report.row_level_security { "row_level_security" } else { "source" };
            Err(vec![report.fault_at(&[place], why)])
        }
    }
}

/// Reads the files with faults again as [`check_file`] does. What is wrong with those that cannot be read stays as it is.
fn told_by_source(config: &Config, folder: Option<&Path>, faults: &[DefinitionFault]) -> Vec<DefinitionFault> {
    let files: BTreeSet<&str> = faults.iter().map(|fault| fault.file.as_str()).collect();
    let again = |file: &str| -> Option<Vec<DefinitionFault>> {
        let path = folder?.join(file);
        // A pipe would be waited for.
        let text = path.is_file().then(|| std::fs::read_to_string(path).ok())??;
        check_file(config, file.trim_end_matches(".toml"), &text).err()
    };
    let before = |file: &str| faults.iter().filter(|fault| fault.file == file).cloned().collect();
    files.into_iter().flat_map(|file| again(file).unwrap_or_else(|| before(file))).collect()
}

fn in_folder(folder: Option<&Path>, fault: &DefinitionFault) -> String {
    let file = folder.map_or_else(|| PathBuf::from(&fault.file), |folder| folder.join(&fault.file));
    format!("{}:{}:{}: {}", file.display(), fault.line, fault.column, fault.message)
}

/// Has the report's source prepare its query. Returns what is wrong.
async fn prepare(config: &Config, report: &ReportDefinition) -> Vec<DefinitionFault> {
    let Some(source) = config.sources.get(&report.source) else {
        let message = format!("the configuration has no source `{0}`; add [sources.{0}] with a url", report.source);
        return vec![report.fault_at(&["source"], message)];
    };
    let known = config.tenants.keys().map(String::as_str);
    let databases = sources::databases(&report.source, source, known);
    if databases.is_empty() {
        let message = format!(
            "no tenant is known whose database at the source `{}` could be looked at; name one by a section [tenants.<name>]",
            report.source
        );
        return vec![report.fault_at(&["source"], message)];
    }
    let mut faults = Vec::new();
    for database in databases {
        let of_tenant = database.tenant.map_or_else(String::new, |tenant| format!(" (tenant {tenant})"));
        match database.settings {
            Err(why) => faults.push(report.fault_at(&["source"], format!("{why}{of_tenant}"))),
            Ok(settings) => match sources::explain(&settings, report).await {
                Ok(columns) => faults.extend(misnamed(report, columns, &of_tenant)),
                Err(problem) => faults.push(report.fault_at(&["sql"], format!("{}{of_tenant}", problem.detail))),
            },
        }
    }
    faults
}

/// Says which columns that the report names its query does not return.
fn misnamed(report: &ReportDefinition, mut columns: Vec<String>, of_tenant: &str) -> Vec<DefinitionFault> {
    if report.unique_names {
        columns = unique_names(&columns.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let missing = |section: &str, name: &String, path: &[&str]| {
        let message = || format!("{section} names `{name}`, but the query returns {}{of_tenant}", columns.join(", "));
        (!columns.contains(name)).then(|| report.fault_at(path, message()))
    };
    let shown =
        report.columns.iter().enumerate().filter_map(|(index, column)| {
            missing("[[columns]]", &column.name, &["columns", &index.to_string(), "name"])
        });
    let drawn = report.chart.iter().flat_map(|chart| {
        let series = chart.y.iter().enumerate();
        let series = series.filter_map(|(index, name)| missing("[chart]", name, &["chart", "y", &index.to_string()]));
        missing("[chart]", &chart.x, &["chart", "x"]).into_iter().chain(series)
    });
    shown.chain(drawn).collect()
}
