//! One job: claim → read → write → store → finish. One attempt is one pipeline with a closed set of outcomes, settled in one
//! match.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use formats::About;
use futures_util::FutureExt as _;
use model::access::{hash_token, link_token};
use model::artifact::NewArtifact;
use model::job::{Job, JobState};
use model::problem::{Problem, ProblemKind};
use model::progress::Phase;
use model::refusal::Refusal;
use model::retry_schedule::RetryDelay;
use report::ReportDefinition;
use runtime::telemetry;
use sources::{BatchStream, RowCount};
use store::{Ending, TurnRequest};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::attempt::{Attempt, StopReason};
use crate::attempt_metrics::{RunningGauge, record_attempt, record_forecast, record_start};
use crate::claim::{ClaimOutcome, claim};
use crate::definition_cache::DefinitionError;
use crate::discard::discard_files;
use crate::failpoint::fail_here;
use crate::limits::{self, ReportLimits};
use crate::open_rows::open_rows;
use crate::plan_files::{FileNames, PlannedFile};
use crate::preview::Preview;
use crate::settle::{SettleOutcome, settle};
use crate::worker::{OUTAGE_BACKOFF, Worker};
use crate::write_files::{FileOutcome, FilePipeline, WrittenFile};

/// What became of a doorbell, as far as its message is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageOutcome {
    /// The message has done its work.
    Handled,
    /// Nobody will be able to handle it.
    Unreadable,
    /// This process stops before the job's fate is known: somebody else should look.
    Abandoned,
}

/// How one attempt ended.
#[derive(Debug)]
enum AttemptOutcome {
    /// Every file is stored, durably; those that could not be made are said.
    Done(Vec<NewArtifact>, Vec<Refusal>),
    /// It may go better later.
    RetryIn(Problem, RetryDelay),
    /// It will not go better later.
    Failed(Problem),
    /// The caller no longer wants it.
    Cancelled,
    /// This worker stops, or could not prove that it is alive: handed back.
    Interrupted,
    /// Somebody else has the job.
    TooLate,
}

impl AttemptOutcome {
    const fn name(&self) -> &'static str {
        match self {
            Self::Done(..) => "done",
            Self::RetryIn(..) => "retry",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::TooLate => "too_late",
        }
    }
}

/// Runs the job whose turn it is when a doorbell rings, if there is one.
pub(crate) async fn run_job(worker: &Worker, request: TurnRequest, traceparent: Option<&str>) -> MessageOutcome {
    let (job, attempt) = match claim(worker, request).await {
        ClaimOutcome::Claimed(job, attempt) => (job, attempt),
        ClaimOutcome::NothingToDo => return MessageOutcome::Handled,
        ClaimOutcome::Unreadable => return MessageOutcome::Unreadable,
        ClaimOutcome::LeftToOthers => return MessageOutcome::Abandoned,
    };
    let span = tracing::info_span!("attempt", job = %job.id, attempt = job.attempt, tenant = %job.caller.tenant, report = %job.report);
    // The message may have been another job's.
    let rung = traceparent.filter(|_| job.id == request.hint);
    telemetry::continue_trace(&span, job.traceparent.as_deref().or(rung));
    run_attempt(worker, &job, &attempt).instrument(span).await
}

async fn run_attempt(worker: &Worker, job: &Job, attempt: &Arc<Attempt>) -> MessageOutcome {
    let _listed = RegisteredAttempt { worker, attempt };
    let _counted = RunningGauge::start(job.lane);
    record_start(job);
    fail_here!("after_claim");
    let files: Vec<PlannedFile> = job.formats.iter().map(|format| PlannedFile::plan(attempt, *format)).collect();
    let outcome = make_files_or_stop(worker, job, attempt, &files).await;
    let name = outcome.name();
    fail_here!("before_settle");
    let settled = match outcome {
        AttemptOutcome::Done(artifacts, refused) if refused.is_empty() => {
            settle(worker, attempt, Ending::Done(artifacts)).await
        }
        AttemptOutcome::Done(artifacts, refused) => {
            settle(worker, attempt, Ending::DoneInPart(artifacts, refused)).await
        }
        AttemptOutcome::RetryIn(problem, delay) => settle(worker, attempt, Ending::RetryLater(problem, delay)).await,
        AttemptOutcome::Failed(problem) => settle(worker, attempt, Ending::Failed(problem)).await,
        AttemptOutcome::Interrupted => settle(worker, attempt, Ending::HandBack).await,
        AttemptOutcome::Cancelled | AttemptOutcome::TooLate => SettleOutcome::TooLate,
    };
    fail_here!("after_settle");
    let progress = attempt.progress();
    record_attempt(job.lane, name, attempt.since.elapsed(), &progress);
    if settled == SettleOutcome::Settled(JobState::Done) {
        record_forecast(job, attempt.since.elapsed());
    }
    tracing::info!(outcome = name, ?settled, rows = progress.rows, bytes = progress.bytes, "an attempt ended");
    // With the outcome unknown, files that were offered as the result may be the job's.
    if settled != SettleOutcome::Settled(JobState::Done) && !(settled == SettleOutcome::Unknown && name == "done") {
        discard_files(worker, attempt, &files).await;
    }
    if settled == SettleOutcome::Unknown { MessageOutcome::Abandoned } else { MessageOutcome::Handled }
}

/// Takes the attempt off the list of running ones however it ends.
struct RegisteredAttempt<'a> {
    worker: &'a Worker,
    attempt: &'a Attempt,
}

impl Drop for RegisteredAttempt<'_> {
    fn drop(&mut self) {
        self.worker.attempts.remove(self.attempt);
    }
}

/// Makes the files, unless the attempt is stopped, takes too long or panics.
///
/// Whatever ends it first drops the pipeline: the query is cancelled at the server and uploads are aborted.
async fn make_files_or_stop(
    worker: &Worker,
    job: &Job,
    attempt: &Arc<Attempt>,
    files: &[PlannedFile],
) -> AttemptOutcome {
    let limit = limits::timeout(&worker.settings, job);
    let making = AssertUnwindSafe(make_files(worker, job, attempt, files, limit)).catch_unwind();
    let problem = tokio::select! {
        biased;
        reason = attempt.stopped() => return match reason {
            StopReason::Cancelled => AttemptOutcome::Cancelled,
            StopReason::NoLongerOurs => AttemptOutcome::TooLate,
            StopReason::Fenced | StopReason::Shutdown => AttemptOutcome::Interrupted,
        },
        made = tokio::time::timeout(limit, making) => match made {
            Ok(Ok(Ok((artifacts, refused)))) => return AttemptOutcome::Done(artifacts, refused),
            Ok(Ok(Err(problem))) => problem,
            Ok(Err(panic)) => panicked(panic.as_ref()),
            Err(_) => timed_out(limit),
        },
    };
    tracing::warn!(kind = ?problem.kind, detail = problem.detail, "an attempt failed");
    if problem.kind.may_pass() {
        let errors = job.errors.max(0).unsigned_abs() + 1;
        let delay = worker.retry_delays.after(errors, rand::random());
        AttemptOutcome::RetryIn(problem, delay)
    } else {
        AttemptOutcome::Failed(problem)
    }
}

async fn make_files(
    worker: &Worker,
    job: &Job,
    attempt: &Arc<Attempt>,
    files: &[PlannedFile],
    timeout: Duration,
) -> Result<(Vec<NewArtifact>, Vec<Refusal>), Problem> {
    attempt.advance(|progress| progress.phase = Phase::Starting);
    let report = definition(worker, job).await?;
    let limits = ReportLimits::of(&worker.settings, &report);
    let batches = open_rows(worker, job, &report, attempt, timeout).await?;
    let snapshot_at = batches.snapshot_at();
    attempt.advance(|progress| {
        progress.phase = Phase::Reading;
        (progress.total_rows, progress.total_is_estimate) = match batches.total() {
            RowCount::Exact(rows) => (Some(rows), false),
            RowCount::Estimate(rows) => (Some(rows), true),
            RowCount::Unknown => (None, false),
        };
    });
    let about = Arc::new(About::new(job, &report, snapshot_at).with_fonts(&worker.fonts));
    let (storage, budget, preview) = (&worker.backends.storage, &worker.budget, Preview::default());
    let names = FileNames::new(&job.report, snapshot_at);
    let to_write = FilePipeline {
        attempt,
        storage,
        budget,
        limits,
        preview: &preview,
        about: Arc::clone(&about),
        files,
        names: &names,
        on_refusal: job.on_refusal,
    };
    let made = write_and_show(worker, &to_write, batches).await?;
    attempt.advance(|progress| progress.phase = Phase::Finished);
    fail_here!("after_store");
    let artifact = |file: &PlannedFile, WrittenFile { stored, summary }: WrittenFile| {
        let link_id = Uuid::new_v4();
        NewArtifact {
            id: file.id,
            format: file.format,
            object_key: file.key.clone(),
            filename: names.of(file.format, about.compression(file.format).suffix()),
            bytes: stored.bytes,
            rows: summary.rows,
            sha256: stored.sha256,
            complete: summary.complete,
            snapshot_at,
            link_id,
            link_hash: hash_token(&link_token(worker.link_secret.expose(), link_id)),
        }
    };
    Ok(sort_out(files, made, artifact))
}

/// Parts what was made from what was refused.
fn sort_out(
    files: &[PlannedFile],
    made: Vec<FileOutcome>,
    artifact: impl Fn(&PlannedFile, WrittenFile) -> NewArtifact,
) -> (Vec<NewArtifact>, Vec<Refusal>) {
    let (mut artifacts, mut refused) = (Vec::with_capacity(files.len()), Vec::new());
    for (file, outcome) in files.iter().zip(made) {
        match outcome {
            FileOutcome::Written(written) => artifacts.push(artifact(file, written)),
            FileOutcome::Refused(problem) => {
                let (format, kind, detail) = (file.format, problem.kind, &problem.detail);
                tracing::info!(%format, ?kind, detail, "a format refused the rows");
                refused.push(Refusal { format, problem });
            }
        }
    }
    (artifacts, refused)
}

/// Writes the files, and shows the first rows as they come.
async fn write_and_show(
    worker: &Worker,
    files: &FilePipeline<'_>,
    batches: BatchStream,
) -> Result<Vec<FileOutcome>, Problem> {
    let made = tokio::select! {
        made = files.write(batches) => made?,
        never = files.preview.save_while_the_job_runs(worker, files.attempt) => match never {},
    };
    files.preview.save_the_rest(worker, files.attempt).await;
    Ok(made)
}

/// Returns the definition the job was submitted with, however long the database is away: that is not the report's fault.
async fn definition(worker: &Worker, job: &Job) -> Result<Arc<ReportDefinition>, Problem> {
    let mut backoff = OUTAGE_BACKOFF;
    loop {
        match worker.definitions.report(worker.backends.store.as_ref(), &job.report_version).await {
            Ok(report) => return Ok(report),
            Err(DefinitionError::Broken(problem)) => return Err(problem),
            Err(DefinitionError::Store(error)) => {
                tracing::warn!(%error, "a report's definition could not be read yet");
                tokio::time::sleep(backoff.pause()).await;
            }
        }
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Problem {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(said, "an attempt panicked");
    Problem::new(ProblemKind::AttemptPanicked, "the program that runs the report crashed; the log says where")
}

fn timed_out(limit: Duration) -> Problem {
    Problem::new(ProblemKind::TimedOut, format!("the report took longer than {} s", limit.as_secs_f32()))
}
