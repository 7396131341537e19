//! `waitless reports`.

use std::process::ExitCode;

use serde_json::Value;

use super::show::key_values;
use super::{CommandResult, connect};
use crate::cli::Reports;
use crate::client::{GatewayClient, ReportResponse, ReportsResponse};
use crate::terminal;

pub(crate) async fn reports(args: Reports) -> CommandResult {
    let gateway = connect(&args.server)?;
    let path = args.name.as_ref().map_or_else(|| "v1/reports".to_owned(), |name| report_path(name));
    if args.output.json {
        let answer: Value = gateway.get(&path).await?;
        terminal::print_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.name.is_some() {
        terminal::print(describe(&gateway.get(&path).await?))?;
        return Ok(ExitCode::SUCCESS);
    }
    let reports = gateway.get::<ReportsResponse>(&path).await?.reports;
    let rows: Vec<Vec<String>> = reports
        .iter()
        .map(|report| vec![report.name.clone(), report.lane.clone(), report.formats.join(","), report.title.clone()])
        .collect();
    terminal::print(terminal::table(&["REPORT", "LANE", "FORMATS", "TITLE"], &[false; 4], &rows))?;
    terminal::print("\n`waitless reports NAME` shows a report's parameters.")?;
    Ok(ExitCode::SUCCESS)
}

/// Reads one report.
pub(crate) async fn read_report(
    gateway: &GatewayClient,
    name: &str,
) -> Result<ReportResponse, crate::client::ClientError> {
    gateway.get(&report_path(name)).await
}

fn report_path(name: &str) -> String {
    let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("v1/reports/{}", name.replace('+', "%20"))
}

fn describe(report: &ReportResponse) -> String {
    let mut text = key_values(&[
        ("Report", report.name.clone()),
        ("Title", report.title.clone()),
        ("Lane", report.lane.clone()),
        ("Formats", report.formats.join(", ")),
    ]);
    if !report.description.is_empty() {
        text.push_str(&format!("\n\n{}", report.description));
    }
    let rows: Vec<Vec<String>> = names(report).iter().map(|name| parameter(report, name)).collect();
    if !rows.is_empty() {
        text.push_str("\n\n");
        text.push_str(&terminal::table(&["PARAMETER", "TYPE", "DEFAULT", "MEANING"], &[false; 4], &rows));
    }
    text.push_str(&format!("\n\n{}", example(report)));
    text
}

/// Names parameters in the order of the definition, which JSON objects do not keep.
fn names(report: &ReportResponse) -> Vec<String> {
    let order = report.params["x-order"].as_array();
    order.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

fn parameter(report: &ReportResponse, name: &str) -> Vec<String> {
    let schema = &report.params["properties"][name];
    let required = report.params["required"].as_array().is_some_and(|names| names.iter().any(|known| known == name));
    let default = match &schema["default"] {
        Value::Null if required => "required".to_owned(),
        Value::Null => String::new(),
        value => plain(value),
    };
    let meaning = [schema["title"].as_str(), schema["description"].as_str()];
    let meaning: Vec<&str> = meaning.into_iter().flatten().collect();
    vec![name.to_owned(), kind(schema), default, meaning.join(": ")]
}

/// Says in a word or two what values a schema allows.
fn kind(schema: &Value) -> String {
    if let Some(choices) = schema["enum"].as_array() {
        return choices.iter().map(plain).collect::<Vec<_>>().join(" | ");
    }
    if let Some(variants) = schema["anyOf"].as_array() {
        let optional = variants.iter().any(|variant| variant["type"] == "null");
        let first = variants.first().map(kind).unwrap_or_default();
        return if optional {
            format!("{first}, optional")
        } else {
            bounded(first.replace("number", "decimal"), schema)
        };
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("array"), _) => format!("list of {}", kind(&schema["items"])),
        (Some("string"), Some("date")) => bounded("date".to_owned(), schema),
        (Some("string"), Some(_)) => bounded("time".to_owned(), schema),
        (Some("string"), None) => "text".to_owned(),
        (Some(other), _) => bounded(other.to_owned(), schema),
        (None, _) => String::new(),
    }
}

fn bounded(kind: String, schema: &Value) -> String {
    let bound = |keys: [&str; 2]| keys.into_iter().map(|key| &schema[key]).find(|value| !value.is_null()).map(plain);
    match (bound(["minimum", "x-minimum"]), bound(["maximum", "x-maximum"])) {
        (Some(min), Some(max)) => format!("{kind}, {min} to {max}"),
        (Some(min), None) => format!("{kind}, from {min}"),
        (None, Some(max)) => format!("{kind}, up to {max}"),
        (None, None) => kind,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Returns a command line that runs the report.
fn example(report: &ReportResponse) -> String {
    let required = report.params["required"].as_array().cloned().unwrap_or_default();
    let mut params = String::new();
    for name in required.iter().filter_map(Value::as_str) {
        params.push_str(&format!(" --param {name}=…"));
    }
    format!(
        "waitless run {}{params} --out {}.{}",
        report.name,
        report.name,
        report.formats.first().map_or("csv", |f| f)
    )
}
