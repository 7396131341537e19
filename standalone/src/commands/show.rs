//! `waitless show`.

use std::process::ExitCode;

use serde_json::Value;

use super::{Outcome, connect};
use crate::cli::Show;
use crate::client::{ArtifactAnswer, JobAnswer, ReceiptAnswer};
use crate::screen;

pub(crate) async fn show(args: Show) -> Outcome {
    let gateway = connect(&args.server)?;
    let path = format!("v1/jobs/{}", args.id);
    if args.output.json {
        let answer: Value = gateway.get(&path).await?;
        screen::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let job: JobAnswer = gateway.get(&path).await?;
    screen::line(facts(&describe(&job)));
    for artifact in &job.artifacts {
        let receipt: ReceiptAnswer = gateway.get(&format!("{path}/artifacts/{}/receipt", artifact.format)).await?;
        screen::line("");
        screen::line(facts(&describe_file(artifact, &receipt)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Lays out names and values in two columns.
pub(crate) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines: Vec<String> = facts.iter().map(|(name, value)| format!("{name:<width$}  {value}")).collect();
    lines.join("\n")
}

fn describe(job: &JobAnswer) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Job", job.id.to_string()),
        ("Report", job.report.clone()),
        ("Version", job.report_version.clone()),
        ("Parameters", Value::Object(job.params.clone()).to_string()),
        ("Formats", job.formats.join(", ")),
        ("State", screen::state(job.state)),
        ("Attempt", job.attempt.to_string()),
        ("Submitted", screen::when(job.created_at)),
    ];
    facts.extend(job.started_at.map(|time| ("Started", screen::when(time))));
    let took = screen::between(job.started_at, job.finished_at);
    facts.extend(job.finished_at.map(|time| ("Finished", format!("{} after {took}", screen::when(time)))));
    facts.extend(job.next_attempt_at.map(|time| ("Next attempt", screen::when(time))));
    if !job.state.is_final() {
        let percent = job.progress.percent.map(|percent| format!(", {percent:.1} %")).unwrap_or_default();
        facts.push((
            "Progress",
            format!("{}: {} rows{percent}", job.progress.phase.as_str(), screen::count(job.progress.rows)),
        ));
    }
    if let Some(error) = &job.error {
        facts.push(("Error", format!("{}: {}", error.title, error.detail)));
        facts.extend(error.errors.iter().map(|field| ("", format!("{} {}", field.pointer, field.detail))));
    }
    facts
}

pub(crate) fn describe_file(artifact: &ArtifactAnswer, receipt: &ReceiptAnswer) -> Vec<(&'static str, String)> {
    let rows = screen::count(receipt.rows);
    vec![
        ("File", artifact.filename.clone()),
        ("Rows", if receipt.complete { format!("{rows}, complete") } else { format!("{rows}, CUT SHORT by a limit") }),
        ("Size", format!("{} ({} bytes)", screen::bytes(receipt.bytes), screen::count(receipt.bytes))),
        ("SHA-256", receipt.sha256.clone()),
        ("Data as of", screen::when(receipt.snapshot_at)),
        ("Made by", format!("attempt {} of {}", receipt.attempt, receipt.report_version)),
        ("Link", artifact.link.clone()),
        ("Kept until", screen::when(artifact.expires_at)),
    ]
}
