//! `waitless watch`, and how every command follows a job to its end.

use std::process::ExitCode;

use model::job::JobState;
use serde_json::Value;
use uuid::Uuid;

use super::{CANCELLED, CommandResult, FAILED, IN_PART, INTERRUPTED, UNREACHABLE, connect};
use crate::cli::{OutageLimit, Watch};
use crate::client::{GatewayClient, JobFollower, JobResponse};
use crate::progress_reporter::ProgressReporter;
use crate::terminal;

pub(crate) async fn watch(args: Watch) -> CommandResult {
    let Watch { job: args, outage_limit } = args;
    let gateway = connect(&args.server)?;
    let mut bar = ProgressReporter::new();
    let job = match follow(&gateway, args.id, &outage_limit, &mut bar).await? {
        Ok(job) => job,
        Err(code) => return Ok(code),
    };
    if args.output.json {
        let answer: Value = gateway.get(&format!("v1/jobs/{}", job.id)).await?;
        terminal::print_json(&answer)?;
    }
    let code = exit_code(&job);
    if job.state == JobState::Done && !args.output.json {
        terminal::print(format!(
            "Job {} is {}. `waitless show {0}` shows its files.",
            job.id,
            terminal::format_state(job.state)
        ))?;
    }
    Ok(code)
}

/// Follows a job to its end. The inner error is the code to end with where that was not seen.
pub(crate) async fn follow(
    gateway: &GatewayClient,
    id: Uuid,
    outage_limit: &OutageLimit,
    bar: &mut ProgressReporter,
) -> anyhow::Result<Result<JobResponse, ExitCode>> {
    let ended = tokio::select! {
        ended = JobFollower::new(gateway, id, outage_limit.give_up_after).follow(bar) => ended,
        _ = tokio::signal::ctrl_c() => {
            bar.clear();
            terminal::print_error(format!("The job goes on. `waitless show {id}` shows it, `waitless cancel {id}` ends it."));
            return Ok(Err(ExitCode::from(INTERRUPTED)));
        }
    };
    bar.clear();
    match ended {
        Ok(job) => Ok(Ok(job)),
        Err(error) if error.is_transient() => {
            terminal::print_error(format!("{error}\nThe job may go on all the same; `waitless show {id}` shows it."));
            Ok(Err(ExitCode::from(UNREACHABLE)))
        }
        Err(error) => Err(error.into()),
    }
}

/// Says why a job that has ended has no file, or not one of each format, and returns the code that says so too.
pub(crate) fn exit_code(job: &JobResponse) -> ExitCode {
    match job.state {
        JobState::Done if job.refused.is_empty() => ExitCode::SUCCESS,
        JobState::Done => {
            for refusal in &job.refused {
                let (format, problem) = (&refusal.format, &refusal.problem);
                terminal::print_error(format!("There is no {format} file. {}: {}", problem.title, problem.detail));
            }
            ExitCode::from(IN_PART)
        }
        JobState::Cancelled => {
            terminal::print_error(format!("Job {} was cancelled.", job.id));
            ExitCode::from(CANCELLED)
        }
        _ => {
            let why = job.error.as_ref().map(|error| format!("{}: {}", error.title, error.detail)).unwrap_or_default();
            terminal::print_error(format!("Job {0} failed. {why}\n`waitless replay {0}` runs it again.", job.id));
            ExitCode::from(FAILED)
        }
    }
}
