//! `waitless jobs`, `cancel` and `replay`.

use std::process::ExitCode;

use anyhow::Context as _;
use reqwest::Method;
use serde_json::Value;

use super::{Outcome, connect};
use crate::cli::{Jobs, OneJob};
use crate::client::{JobAnswer, JobsAnswer};
use crate::screen;

pub(crate) async fn jobs(args: Jobs) -> Outcome {
    let gateway = connect(&args.server)?;
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.state.map(|state| ("state", state.to_string())));
    query.extend(args.report.map(|report| ("report", report)));
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let path = format!("v1/jobs?{query}");
    if args.output.json {
        let answer: Value = gateway.get(&path).await?;
        screen::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let jobs = gateway.get::<JobsAnswer>(&path).await?.jobs;
    if jobs.is_empty() {
        screen::line("No jobs. `waitless reports` lists what can be run.");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = jobs.iter().map(row).collect();
    let header = ["JOB", "REPORT", "STATE", "ROWS", "DONE", "SUBMITTED", "TOOK"];
    screen::line(screen::table(&header, &[false, false, false, true, true, false, true], &rows));
    Ok(ExitCode::SUCCESS)
}

fn row(job: &JobAnswer) -> Vec<String> {
    let rows = job.artifacts.first().map_or(job.progress.rows, |artifact| artifact.rows);
    vec![
        job.id.to_string(),
        job.report.clone(),
        screen::state(job.state),
        screen::count(rows),
        job.progress.percent.map(|percent| format!("{percent:.0} %")).unwrap_or_default(),
        screen::when(job.created_at),
        screen::between(job.started_at, job.finished_at),
    ]
}

pub(crate) async fn cancel(args: OneJob) -> Outcome {
    let job = change(&args, "cancel").await?;
    if let Some(job) = job {
        screen::line(format!("Job {} ({}) is {}.", job.id, job.report, screen::state(job.state)));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn replay(args: OneJob) -> Outcome {
    let job = change(&args, "replay").await?;
    if let Some(job) = job {
        let state = screen::state(job.state);
        screen::line(format!("Job {} ({}) is {state} again. `waitless show {0}` shows it.", job.id, job.report));
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks for a change. Returns the job after it, where there is something left to say.
async fn change(args: &OneJob, what: &str) -> anyhow::Result<Option<JobAnswer>> {
    let gateway = connect(&args.server)?;
    let answer: Value = gateway.answer(gateway.call(Method::POST, &format!("v1/jobs/{}/{what}", args.id))).await?;
    if args.output.json {
        screen::json(&answer)?;
        return Ok(None);
    }
    Ok(Some(serde_json::from_value(answer).context("read the gateway's answer")?))
}
