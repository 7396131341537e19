//! `waitless show`.

use std::process::ExitCode;

use serde_json::Value;

use super::{CommandResult, connect};
use crate::cli::Show;
use crate::client::{ArtifactResponse, JobResponse, ReceiptResponse};
use crate::terminal;

pub(crate) async fn show(args: Show) -> CommandResult {
    let gateway = connect(&args.server)?;
    let path = format!("v1/jobs/{}", args.id);
    if args.output.json {
        let answer: Value = gateway.get(&path).await?;
        terminal::print_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let job: JobResponse = gateway.get(&path).await?;
    terminal::print(key_values(&describe(&job)))?;
    for artifact in &job.artifacts {
        let receipt: ReceiptResponse = gateway.get(&format!("{path}/artifacts/{}/receipt", artifact.format)).await?;
        terminal::print("")?;
        terminal::print(key_values(&describe_file(artifact, &receipt)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Lays out names and values in two columns.
pub(crate) fn key_values(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines: Vec<String> = facts.iter().map(|(name, value)| format!("{name:<width$}  {value}")).collect();
    lines.join("\n")
}

fn describe(job: &JobResponse) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Job", job.id.to_string()),
        ("Report", job.report.clone()),
        ("Version", job.report_version.clone()),
        ("Parameters", Value::Object(job.params.clone()).to_string()),
        ("Formats", job.formats.join(", ")),
        ("State", terminal::format_state(job.state)),
        ("Attempt", job.attempt.to_string()),
        ("Submitted", terminal::format_time(job.created_at)),
    ];
    facts.extend(job.started_at.map(|time| ("Started", terminal::format_time(time))));
    let took = terminal::format_elapsed(job.started_at, job.finished_at);
    facts.extend(job.finished_at.map(|time| ("Finished", format!("{} after {took}", terminal::format_time(time)))));
    facts.extend(job.next_attempt_at.map(|time| ("Next attempt", terminal::format_time(time))));
    if !job.state.is_final() {
        let percent = job.progress.percent.map(|percent| format!(", {percent:.1} %")).unwrap_or_default();
        facts.push((
            "Progress",
            format!("{}: {} rows{percent}", job.progress.phase.as_str(), terminal::format_count(job.progress.rows)),
        ));
    }
    facts.extend(job.refused.iter().map(|refusal| {
        let (format, problem) = (&refusal.format, &refusal.problem);
        ("Not made", format!("{format}: {}: {}", problem.title, problem.detail))
    }));
    if let Some(error) = &job.error {
        facts.push(("Error", format!("{}: {}", error.title, error.detail)));
        facts.extend(error.errors.iter().map(|field| ("", format!("{} {}", field.pointer, field.detail))));
    }
    facts
}

pub(crate) fn describe_file(artifact: &ArtifactResponse, receipt: &ReceiptResponse) -> Vec<(&'static str, String)> {
    let rows = terminal::format_count(receipt.rows);
    vec![
        ("File", artifact.filename.clone()),
        ("Rows", if receipt.complete { format!("{rows}, complete") } else { format!("{rows}, CUT SHORT by a limit") }),
        (
            "Size",
            format!("{} ({} bytes)", terminal::format_bytes(receipt.bytes), terminal::format_count(receipt.bytes)),
        ),
        ("SHA-256", receipt.sha256.clone()),
        ("Data as of", terminal::format_time(receipt.snapshot_at)),
        ("Made by", format!("attempt {} of {}", receipt.attempt, receipt.report_version)),
        ("Link", artifact.link.clone()),
        ("Kept until", terminal::format_time(artifact.expires_at)),
    ]
}
