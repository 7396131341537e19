//! `waitless watch`, and how every command follows a job to its end.

use std::process::ExitCode;

use model::job::JobState;
use serde_json::Value;
use uuid::Uuid;

use super::{CANCELLED, FAILED, INTERRUPTED, Outcome, UNREACHABLE, connect};
use crate::bar::Bar;
use crate::cli::{Patience, Watch};
use crate::client::{Follower, Gateway, JobAnswer};
use crate::screen;

pub(crate) async fn watch(args: Watch) -> Outcome {
    let Watch { job: args, patience } = args;
    let gateway = connect(&args.server)?;
    let mut bar = Bar::new();
    let job = match follow(&gateway, args.id, &patience, &mut bar).await? {
        Ok(job) => job,
        Err(code) => return Ok(code),
    };
    if args.output.json {
        let answer: Value = gateway.get(&format!("v1/jobs/{}", job.id)).await?;
        screen::json(&answer)?;
    }
    let code = judge(&job);
    if job.state == JobState::Done && !args.output.json {
        screen::line(format!("Job {} is {}. `waitless show {0}` shows its files.", job.id, screen::state(job.state)));
    }
    Ok(code)
}

/// Follows a job to its end. The inner error is the code to end with where that was not seen.
pub(crate) async fn follow(
    gateway: &Gateway,
    id: Uuid,
    patience: &Patience,
    bar: &mut Bar,
) -> anyhow::Result<Result<JobAnswer, ExitCode>> {
    let ended = tokio::select! {
        ended = Follower::new(gateway, id, patience.give_up_after).follow(bar) => ended,
        _ = tokio::signal::ctrl_c() => {
            bar.clear();
            screen::note(format!("The job goes on. `waitless show {id}` shows it, `waitless cancel {id}` ends it."));
            return Ok(Err(ExitCode::from(INTERRUPTED)));
        }
    };
    bar.clear();
    match ended {
        Ok(job) => Ok(Ok(job)),
        Err(error) if error.may_pass() => {
            screen::note(format!("{error}\nThe job may go on all the same; `waitless show {id}` shows it."));
            Ok(Err(ExitCode::from(UNREACHABLE)))
        }
        Err(error) => Err(error.into()),
    }
}

/// Says why a job that has ended has no file, and returns the code that says so too.
pub(crate) fn judge(job: &JobAnswer) -> ExitCode {
    match job.state {
        JobState::Done => ExitCode::SUCCESS,
        JobState::Cancelled => {
            screen::note(format!("Job {} was cancelled.", job.id));
            ExitCode::from(CANCELLED)
        }
        _ => {
            let why = job.error.as_ref().map(|error| format!("{}: {}", error.title, error.detail)).unwrap_or_default();
            screen::note(format!("Job {0} failed. {why}\n`waitless replay {0}` runs it again.", job.id));
            ExitCode::from(FAILED)
        }
    }
}
