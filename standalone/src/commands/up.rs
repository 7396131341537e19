//! `waitless up`: everything in one process.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use configuration::{Config, Role};
use report::{ParamSpec, ReportDefinition};
use runtime::Catalogue;
use runtime::service_args::ServiceArgs;
use runtime::shutdown;
use runtime::telemetry;
use serde_json::json;

use super::{CommandResult, check_mail_and_sources};
use crate::all_in_one::AllInOne;
use crate::data_folder::DataFolder;
use crate::progress_reporter::ProgressReporter;
use crate::terminal;

pub(crate) async fn up(args: ServiceArgs) -> CommandResult {
    let stop = shutdown::on_signal().context("listen to signals")?;
    let config = args.load_with(Role::AllInOne, check_mail_and_sources)?;
    shutdown::limit(config.http.close_after.unwrap_or_default() + config.service.shutdown_grace);
    let _telemetry = telemetry::start(&config.telemetry, "standalone")?;
    let mut bar = ProgressReporter::new();
    let mut on_progress = |done, total| bar.show("making the demo data", done, Some(total));
    let built = stop.run_until_cancelled(AllInOne::build(config.clone(), &mut on_progress)).await;
    let Some(everything) = built else { return Ok(ExitCode::SUCCESS) };
    let everything = everything?;
    bar.clear();
    terminal::print(welcome(&config, &everything))?;
    everything.run_until_stopped(stop).await?;
    Ok(ExitCode::SUCCESS)
}

fn welcome(config: &Config, everything: &AllInOne) -> String {
    let key_file = DataFolder::new(&config.service.data_dir).key_file();
    let mut text = format!(
        "Waitless listens on {address}. The API key is in {}.

Open the console; the link signs in once, within an hour:
  {}
",
        key_file.display(),
        everything.sign_in_link,
        address = everything.address,
    );
    if let Some(report) = easiest_report(config) {
        text.push_str(&commands_to_try(config, &everything.address, &report));
    }
    text.push_str("\nCtrl-C stops it; running jobs go on at the next start.");
    text
}

/// Takes the first report of the catalogue in service, of those that need no parameters where there is one.
fn easiest_report(config: &Config) -> Option<Arc<ReportDefinition>> {
    let snapshot = Catalogue::open(&config.catalogue).ok()?.snapshot();
    let easy = snapshot.reports.values().find(|report| !report.params.iter().any(is_required));
    easy.or_else(|| snapshot.reports.values().next()).cloned()
}

fn is_required(param: &ParamSpec) -> bool {
    param.default.is_none() && !param.optional
}

/// Shows how a report is run.
fn commands_to_try(config: &Config, address: &str, report: &ReportDefinition) -> String {
    let key_file = DataFolder::new(&config.service.data_dir).key_file();
    let data = config.service.data_dir.display().to_string();
    let data = if data == "data" { String::new() } else { format!(" --data {data}") };
    let name = &report.name;
    let required = || report.params.iter().filter(|param| is_required(param)).map(|param| &param.name);
    let options: String = required().map(|param| format!(" --param {param}=…")).collect();
    let mut body = json!({ "report": name });
    for param in required() {
        body["params"][param] = json!("…");
    }
    format!(
        "
From another terminal:
  waitless reports{data}
  waitless run {name}{options}{data}
  curl -H \"Authorization: Bearer $(cat {})\" -H 'Content-Type: application/json' \\
       -d '{body}' {address}/v1/jobs
",
        key_file.display()
    )
}
