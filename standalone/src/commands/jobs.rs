//! `waitless jobs`, `cancel` and `replay`.

use std::process::ExitCode;

use anyhow::Context as _;
use reqwest::Method;
use serde_json::Value;

use super::{CommandResult, connect};
use crate::cli::{JobArgs, Jobs};
use crate::client::{JobResponse, JobsResponse};
use crate::terminal;

pub(crate) async fn jobs(args: Jobs) -> CommandResult {
    let gateway = connect(&args.server)?;
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.state.map(|state| ("state", state.to_string())));
    query.extend(args.report.map(|report| ("report", report)));
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let path = format!("v1/jobs?{query}");
    if args.output.json {
        let answer: Value = gateway.get(&path).await?;
        terminal::print_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let jobs = gateway.get::<JobsResponse>(&path).await?.jobs;
    if jobs.is_empty() {
        terminal::print("No jobs. `waitless reports` lists what can be run.")?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = jobs.iter().map(row).collect();
    let header = ["JOB", "REPORT", "STATE", "ROWS", "DONE", "SUBMITTED", "TOOK"];
    terminal::print(terminal::table(&header, &[false, false, false, true, true, false, true], &rows))?;
    Ok(ExitCode::SUCCESS)
}

fn row(job: &JobResponse) -> Vec<String> {
    let rows = job.artifacts.first().map_or(job.progress.rows, |artifact| artifact.rows);
    vec![
        job.id.to_string(),
        job.report.clone(),
        terminal::format_state(job.state),
        terminal::format_count(rows),
        job.progress.percent.map(|percent| format!("{percent:.0} %")).unwrap_or_default(),
        terminal::format_time(job.created_at),
        terminal::format_elapsed(job.started_at, job.finished_at),
    ]
}

pub(crate) async fn cancel(args: JobArgs) -> CommandResult {
    let job = change(&args, "cancel").await?;
    if let Some(job) = job {
        terminal::print(format!("Job {} ({}) is {}.", job.id, job.report, terminal::format_state(job.state)))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn replay(args: JobArgs) -> CommandResult {
    let job = change(&args, "replay").await?;
    if let Some(job) = job {
        let state = terminal::format_state(job.state);
        terminal::print(format!("Job {} ({}) is {state} again. `waitless show {0}` shows it.", job.id, job.report))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks for a change. Returns the job after it, where there is something left to say.
async fn change(args: &JobArgs, what: &str) -> anyhow::Result<Option<JobResponse>> {
    let gateway = connect(&args.server)?;
    let answer: Value = gateway.answer(gateway.call(Method::POST, &format!("v1/jobs/{}/{what}", args.id))).await?;
    if args.output.json {
        terminal::print_json(&answer)?;
        return Ok(None);
    }
    Ok(Some(serde_json::from_value(answer).context("read the gateway's answer")?))
}
